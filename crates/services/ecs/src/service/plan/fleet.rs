//! The controller of services whose revisions have a count each: while a deployment goes by stages, and for task sets. Each
//! is planned for by itself.

use super::{Plan, rolling};
use crate::service::view::View;

/// Plans for one revision of a service, the view's PRIMARY deployment, which is to have so many tasks.
pub fn plan(view: &View, count: i32) -> Plan {
    rolling::within(view, count, |deployment| *deployment == view.primary.id)
}
