//! The rows of a cluster, by kind.

use state::contract::{EventOut, InterfaceWanted, SequenceRow};

use super::rows::*;

state::rows! {
    /// A row of a cluster.
    "cluster" Cluster(ClusterRow, ()): |_row| (),
    "instance" Instance(InstanceRow, InstanceId): |row| row.id,
    "service" Service(ServiceRow, ServiceName): |row| row.name.clone(),
    "service-event" ServiceEvent(ServiceEventRow, (ServiceName, u64)): |row| (row.service.clone(), row.number),
    "service-revision" ServiceRevision(ServiceRevisionRow, (ServiceName, DeploymentId)): |row| (row.service.clone(), row.id),
    "service-images" ServiceImages(ServiceImagesRow, (ServiceName, DeploymentId)): |row| (row.service.clone(), row.id),
    "service-deployment" ServiceDeployment(ServiceDeploymentRow, (ServiceName, u64)): |row| (row.service.clone(), row.number),
    "task-set" TaskSet(TaskSetRow, (ServiceName, DeploymentId)): |row| (row.service.clone(), row.id),
    "service-token" ServiceToken(ServiceTokenRow, ServiceName): |row| row.service.clone(),
    "daemon" Daemon(DaemonRow, DaemonName): |row| row.name.clone(),
    "daemon-revision" DaemonRevision(DaemonRevisionRow, (DaemonName, DaemonRevisionId)): |row| (row.daemon.clone(), row.id),
    "daemon-deployment" DaemonDeployment(DaemonDeploymentRow, (DaemonName, u64)): |row| (row.daemon.clone(), row.number),
    "task" Task(TaskRow, TaskId): |row| row.id,
    "kept-task" KeptTask(KeptTaskRow, TaskId): |row| row.task.id,
    "interface-wanted" InterfaceWanted(InterfaceWanted, TaskId): |row| TaskId(row.task),
    "token" Token(TokenRow, String): |row| row.token.clone(),
    "event-out" EventOut(EventOut, u64): |row| row.sequence,
    "sequence" Sequence(SequenceRow, ()): |_row| (),
}

/// A change to one row.
pub type Change = state::Change<Row>;
