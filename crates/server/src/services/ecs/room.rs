//! What is not begun on a disk that is nearly full, so that the room that is left is there for what ends
//! something: stops, deletes, reports of agents, and what the scheduler makes of them.

use ecs_model::errors;
use wire::Error;

use crate::{gate::Call, runtime::Runtime};

/// What makes rows, or makes them longer. An update of a service is not among them: it may scale to nought.
const BEGINS: [&str; 10] = [
    "CreateCluster",
    "CreateService",
    "PutAccountSetting",
    "PutAccountSettingDefault",
    "PutAttributes",
    "RegisterTaskDefinition",
    "RunTask",
    "StartTask",
    "TagResource",
    "UpdateCluster",
];

/// Refuses it while there is no room for it.
pub fn check(runtime: &Runtime, call: &Call) -> Result<(), Error> {
    if BEGINS.contains(&call.operation.name) && runtime.store().is_tight() {
        return Err(errors::server(
            "The disk of the control plane is nearly full: what is left is kept for stopping and deleting. Free some \
             space there; no restart is needed.",
        ));
    }
    Ok(())
}
