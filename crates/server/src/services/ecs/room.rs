//! What is not begun on a disk that is nearly full, so that the room that is left is there for what ends
//! something: stops, deletes, reports of agents, and what the scheduler makes of them.

use ecs_model::errors;
use state::api::Built;
use wire::Error;

use crate::runtime::Runtime;

/// Refuses what makes rows, or makes them longer, while there is no room for it.
pub fn check(runtime: &Runtime, built: &Built) -> Result<(), Error> {
    if built.grows && runtime.store().is_tight() {
        return Err(errors::server(
            "The disk of the control plane is nearly full: what is left is kept for stopping and deleting. Free some \
             space there; no restart is needed.",
        ));
    }
    Ok(())
}
