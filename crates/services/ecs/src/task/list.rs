//! ListTasks. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html>

use ecs_model::{self as ecs, DesiredStatus, errors};
use wire::{Error, StringEnum};

use crate::{
    Ctx, arn,
    cluster::{
        Cluster, DaemonName, Desired, InstanceId, LaunchType, Phase, ServiceName, TaskFacet, TaskId, TaskRow,
        seek::Seek,
    },
    convert::Stored,
    paging,
};

/// What ListTasks filters by.
struct Filter {
    instance: Option<InstanceId>,
    service: Option<ServiceName>,
    daemon: Option<DaemonName>,
    family: Option<String>,
    started_by: Option<String>,
    desired: DesiredStatus,
    launch_type: Option<LaunchType>,
}

/// Lists the ARNs of tasks, in the order of their ids.
///
/// # Errors
/// `InvalidParameterException` for a page that cannot be and for filters that ECS does not take together;
/// `ServiceNotFoundException`, `ClientException` for a service or daemon that is not there.
pub fn list_tasks(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListTasksRequest,
) -> Result<ecs::ListTasksResponse, Error> {
    let filter = Filter::read(state, ctx, request)?;
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let after = paging::behind(&page, TaskId::parse)?;
    let found = filter.seek(state).after(after);
    let found = found.filter_map(|id| state.task(&id)).filter(|task| filter.keeps(task));
    let (rows, next_token) = page.cut(found, |task| task.id.to_string());
    let arns = rows.iter().map(|row| arn::task(ctx, &state.row.name, row.id)).collect();
    Ok(ecs::ListTasksResponse { task_arns: Some(arns), next_token })
}

/// Refuses what ECS does not take beside `startedBy` or `serviceName`, in its words. The desired status goes with both, and the
/// launch type with `serviceName`.
fn alone(request: &ecs::ListTasksRequest) -> Result<(), Error> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let others = given(&request.family) || given(&request.container_instance) || given(&request.daemon_name);
    let (by, service) = (given(&request.started_by), given(&request.service_name));
    if by && (others || service || request.launch_type.is_some()) {
        return Err(errors::invalid_parameter("cannot specify startedBy with other arguments"));
    }
    if service && others {
        return Err(errors::invalid_parameter("cannot specify serviceName with other arguments"));
    }
    Ok(())
}

impl Filter {
    fn read(state: &Cluster, ctx: &Ctx, request: &ecs::ListTasksRequest) -> Result<Filter, Error> {
        let cluster = &state.row.name;
        alone(request)?;
        let service = request.service_name.as_deref().filter(|name| !name.is_empty());
        let service = service.map(|name| arn::service_name(ctx, cluster, name)).transpose()?;
        if let Some(name) = &service
            && state.service(&ServiceName(name.clone())).is_none()
        {
            return Err(errors::service_not_found("Service not found."));
        }
        let daemon = request.daemon_name.as_deref().filter(|name| !name.is_empty()).map(DaemonName::from);
        if let Some(name) = &daemon
            && state.daemon_row(name).is_none()
        {
            return Err(errors::client("Daemon not found."));
        }
        let instance = request.container_instance.as_deref().filter(|name| !name.is_empty());
        let instance = instance.map(|name| arn::container_instance_id(ctx, cluster, name)).transpose()?;
        Ok(Filter {
            // What is no identifier of ours is nobody's.
            instance: instance.map(|id| InstanceId::parse(&id).unwrap_or_default()),
            service: service.map(ServiceName),
            daemon,
            family: request.family.clone().filter(|family| !family.is_empty()),
            started_by: request.started_by.clone().filter(|by| !by.is_empty()),
            desired: request.desired_status.unwrap_or(DesiredStatus::Running),
            launch_type: request.launch_type.stored(),
        })
    }

    /// Where to look: what is in none of the sets that the filters name is not looked at.
    fn seek<'a>(&self, state: &'a Cluster) -> Seek<'a, TaskId> {
        let phases: &[Phase] = match self.desired {
            DesiredStatus::Running => &[Phase::Running],
            DesiredStatus::Stopped => &[Phase::Stopping, Phase::Stopped],
            // ECS never sets this desired status; the filter is documented to find nothing.
            DesiredStatus::Pending => &[],
        };
        let facets = [
            self.service.as_ref().map(TaskFacet::Service),
            self.daemon.as_ref().map(TaskFacet::Daemon),
            self.started_by.as_deref().map(TaskFacet::StartedBy),
            self.family.as_deref().map(TaskFacet::Family),
            self.launch_type.map(TaskFacet::LaunchType),
        ];
        let facets = facets.into_iter().flatten().map(|facet| state.seek_tasks(facet, phases));
        let instance = self.instance.iter().map(|instance| state.seek_tasks_on(instance, phases));
        let sets: Vec<Seek<TaskId>> = instance.chain(facets).collect();
        if !sets.is_empty() {
            return Seek::All(sets);
        }
        let all = LaunchType::ALL.iter();
        Seek::Any(all.map(|of| state.seek_tasks(TaskFacet::LaunchType(*of), phases)).collect())
    }

    fn keeps(&self, task: &TaskRow) -> bool {
        let desired = match self.desired {
            DesiredStatus::Running => task.desired == Desired::Running,
            DesiredStatus::Stopped => task.desired == Desired::Stopped,
            DesiredStatus::Pending => false,
        };
        desired
            // On none, as far as anybody sees, where it is on Fargate.
            && self.instance.is_none_or(|id| task.instance == Some(id) && !task.is_on_fargate())
            && self.service.as_ref().is_none_or(|name| task.service.as_ref().is_some_and(|(s, _)| s == name))
            && self.daemon.as_ref().is_none_or(|name| task.daemon.as_ref().is_some_and(|of| of.name == *name))
            && self
                .family
                .as_ref()
                .is_none_or(|family| task.daemon.is_none() && task.task_definition.family == *family)
            && self.started_by.as_ref().is_none_or(|by| task.started_by.as_ref() == Some(by))
            && self.launch_type.is_none_or(|launch_type| task.launch_type == launch_type)
    }
}
