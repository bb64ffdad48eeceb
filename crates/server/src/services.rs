//! The AWS services behind the front door, one module each.

pub mod ecs;
pub mod hosted;
pub mod logs;
pub mod sts;

/// Every service's model and what of it is built, in the order of docs/support.md.
pub static SUPPORT: &[(&wire::schema::Service, &crate::gate::Support)] = &[
    (&ecs_model::SERVICE, &ecs::support::SUPPORT),
    (&logs_model::SERVICE, &logs::SUPPORT),
    (&sts_model::SERVICE, &sts::SUPPORT),
];

/// docs/support.md, made from the tables that decide.
pub fn support_page() -> String {
    crate::gate::page(SUPPORT) + &ecs::support::nested()
}
