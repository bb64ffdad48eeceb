//! What of a cluster is settled on its own, once a batch for all that touched it.

use super::{rows::*, waiting::Turn};

/// What is settled on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A container instance was deregistered, and its tasks are given up.
    Instance(InstanceId),
    /// It may be reached elsewhere than the interfaces of its tasks say.
    Moved(InstanceId),
    /// Something that a daemon looks at has changed.
    Daemon(DaemonName),
    /// A container instance may take tasks again, if no daemon holds it.
    Held(InstanceId),
    /// Something that a service looks at has changed.
    Service(ServiceName),
    /// Room came on a container instance: the services that wait for it have their turn, each settled before the next
    /// one is looked for, as it may take the room. It goes on behind the last one.
    Room(InstanceId, Option<Turn>),
    /// Fewer tasks of a `startedBy` go on than before, or another one waits for its turn among them.
    Turn(String),
    /// A container instance is being drained: its tasks of FARGATE_SPOT are interrupted.
    Drained(InstanceId),
}
