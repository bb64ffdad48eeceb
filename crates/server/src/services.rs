//! The AWS services behind the front door, one module each.

pub mod ecs;
pub mod hosted;
pub mod logs;
mod others;
pub mod sts;

/// The model of every service that is no [hosted](hosted) one, and what of it is built.
pub static SUPPORT: &[(&wire::schema::Service, &crate::gate::Support)] = &[
    (&ecs_model::SERVICE, &ecs::support::SUPPORT),
    (&logs_model::SERVICE, &logs::SUPPORT),
    (&sts_model::SERVICE, &sts::SUPPORT),
];

/// docs/support.md, made from the tables that decide.
pub fn support_page(hosted: &[Box<dyn hosted::Hosts>]) -> String {
    let hosted = hosted.iter().map(|host| host.support());
    let all: Vec<_> = SUPPORT.iter().copied().chain(hosted).collect();
    crate::gate::page(&all) + &ecs::support::nested()
}
