//! The AWS services of this program that are one domain each. A new one is one line here.

use server::services::hosted::{Hosting, Hosts};

/// All of them, in the order of docs/support.md.
pub fn hosted() -> Vec<Box<dyn Hosts>> {
    vec![
        Box::new(Hosting::<ec2::Ec2>::new().with_interfaces()),
        Box::new(Hosting::<events::Events>::sending().as_bus()),
        Box::new(Hosting::<scheduler::Scheduler>::sending()),
    ]
}

#[cfg(test)]
mod tests;
