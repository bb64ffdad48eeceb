//! The AWS services behind the front door, one module each.

pub mod ecs;
pub mod following;
pub mod hosted;
pub mod lambda;
pub mod logs;
mod others;
pub mod sts;

use state::api::{Operation, named};
use wire::Error;

use crate::gate::{Call, Support};

/// The model of every service that is no [hosted] one, and what of it is built.
pub fn support() -> [(&'static wire::schema::Service, &'static Support); 4] {
    [
        (&ecs_model::SERVICE, &ecs::SUPPORT),
        (&lambda_model::SERVICE, &lambda::SUPPORT),
        (&logs_model::SERVICE, &logs::SUPPORT),
        (&sts_model::SERVICE, &sts::SUPPORT),
    ]
}

/// docs/support.md, made from the tables that decide.
pub fn support_page(hosted: &[Box<dyn hosted::Hosts>]) -> String {
    let hosted = hosted.iter().map(|host| host.support());
    let all: Vec<_> = support().into_iter().chain(hosted).collect();
    crate::gate::page(&all) + &::ecs::api::nested()
}

/// The entry of a call's operation.
///
/// # Errors
/// Never behind a gate, which lets only through what is in the table.
fn entry<H>(table: &'static [Operation<H>], call: &Call) -> Result<&'static Operation<H>, Error> {
    let name = call.operation.name;
    named(table, name).ok_or_else(|| Error::internal(format!("{name} has no handler.")))
}
