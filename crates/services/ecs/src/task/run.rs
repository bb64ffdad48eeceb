//! RunTask and StartTask.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>

use std::sync::Arc;

use ecs_model::{self as ecs, errors};
use sha2::{Digest, Sha256};
use wire::Error;

use super::{describe, provisioning};
use crate::{
    account::{TaskDefinitionRow, health_check_runs},
    arn,
    beyond::{self, On, Wishes},
    capacity::{
        distribution::{Distribution, Place},
        wanted::{self, Wanted},
    },
    cluster::{
        ContainerDefinition, ContainerRow, DeploymentId, Desired, Gpus, HealthStatus, InstanceId,
        InstanceStatus, LaunchType, NetworkRow, OfDaemon, PlacementConstraint, PlacementStrategy,
        PlatformRow, Resources, ServiceName, Tag, TaskDefinitionStatus, TaskId, TaskOverride, TaskRow,
        TaskStatus, TokenRow, Txn, WaitRow, Writes,
    },
    convert::{Shown, Stored},
    fargate, limits, network, placement, tags,
};

/// What a new task is made of, besides its definition.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub group: String,
    pub service: Option<(ServiceName, DeploymentId)>,
    /// The definition is a daemon's then.
    pub daemon: Option<Box<OfDaemon>>,
    pub started_by: Option<String>,
    pub capacity_provider: Option<Box<str>>,
    /// Of a task on Fargate.
    pub platform: Option<Box<PlatformRow>>,
    pub overrides: TaskOverride,
    pub tags: Vec<Tag>,
    pub enable_execute_command: bool,
    /// Of a task of mode `awsvpc`; of one of a service it is that of its deployment.
    pub network: Option<Box<NetworkRow>>,
}

/// Starts up to ten tasks where there is room; the others are among the failures.
pub fn run_task(txn: &mut Txn, request: ecs::RunTaskRequest) -> Result<ecs::RunTaskResponse, Error> {
    check_token(request.client_token.as_deref(), limits::TOKEN_LENGTH)?;
    let digest = fingerprint(&ecs::RunTaskRequest { client_token: None, ..request.clone() });
    if let Some(answer) = repeated(txn, request.client_token.as_deref(), &digest)? {
        return Ok(answer);
    }
    let count = request.count.unwrap_or(1);
    if !(1..=limits::RUN_TASK_COUNT).contains(&count) {
        return Err(errors::invalid_parameter("Count must be between 1 and 10."));
    }
    let Wanted { strategy, launch_type } =
        wanted::capacity(txn, request.launch_type, request.capacity_provider_strategy.clone())?;
    let definition = active_definition(txn, &request.task_definition, errors::invalid_parameter)?;
    let asked = fargate::Asked {
        launch_type,
        definition: &definition,
        platform_version: request.platform_version.as_deref(),
        has_constraints: request.placement_constraints.as_ref().is_some_and(|given| !given.is_empty()),
        has_strategy: request.placement_strategy.as_ref().is_some_and(|given| !given.is_empty()),
    };
    let platform = asked.platform()?;
    let network = network::of_request(txn, &definition, launch_type, request.network_configuration.as_ref())?;
    let origin = origin(txn, &definition, Given::of_run(&request))?;
    fargate::check_overrides(launch_type, &definition, &origin.overrides)?;
    let origin = Origin { network, platform, ..origin };
    let wishes = Wishes::of(request.tags.as_deref().unwrap_or_default(), origin.started_by.as_deref())?;
    let constraints = request.placement_constraints.unwrap_or_default().stored();
    let constraints = network::constrained(constraints, origin.network.as_deref());
    let order = request.placement_strategy.unwrap_or_default().stored();
    let wanted =
        placement::Request::new(&definition, &origin.overrides, &origin.group, &constraints, &order)?;
    let wanted = wanted.on(launch_type);
    let queues = wishes.queue_seconds.is_some();
    let has_none = txn.state.totals().instances.active == 0;
    if strategy.is_empty() && !queues && has_none && launch_type == LaunchType::Ec2 {
        return Err(errors::invalid_parameter("No Container Instances were found in your cluster."));
    }
    let wait = Wait { constraints: &constraints, order: &order, wishes };
    let (mut tasks, mut too_many) = (Vec::new(), None);
    let mut places = Distribution::new(wanted, &strategy).by_chance().queueing(queues);
    for _ in 0..count {
        let has_turn = provisioning::has_turn(txn, origin.started_by.as_deref(), wishes.max_concurrent);
        if places.is_over() {
            break;
        }
        let place = match has_turn {
            true => places.place(txn),
            false => queues.then(|| places.hold(txn)).flatten(),
        };
        if let Some((place, capacity_provider)) = place {
            let origin = Origin { capacity_provider, ..origin.clone() };
            tasks.push(begin(txn, &definition, origin, place, wait));
        } else if !has_turn {
            too_many = Some(beyond::failure(txn.state, origin.started_by.as_deref().unwrap_or_default()));
            break;
        }
    }
    let refused = places.refused().flat_map(|(_, refused)| refused.failures(txn.ctx, &txn.state.row.name));
    let failures = refused.chain(too_many).collect();
    // What started nothing may be tried again with the same token.
    if let Some(token) = request.client_token.filter(|_| !tasks.is_empty()) {
        let ids = tasks.iter().map(|row| row.id).collect();
        let forget_at = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
        txn.put(TokenRow { token, request: digest, tasks: ids, forget_at });
        txn.trim();
    }
    Ok(ecs::RunTaskResponse { tasks: Some(shown(txn, &tasks)), failures: Some(failures) })
}

/// Starts a task on each of the container instances named, where it fits.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StartTask.html>
pub fn start_task(txn: &mut Txn, request: ecs::StartTaskRequest) -> Result<ecs::StartTaskResponse, Error> {
    if request.container_instances.is_empty() {
        return Err(errors::invalid_parameter("Container instances cannot be empty."));
    }
    if request.container_instances.len() > limits::START_TASK_INSTANCES {
        return Err(errors::invalid_parameter("Container instances cannot have more than 10 elements."));
    }
    let definition = active_definition(txn, &request.task_definition, errors::invalid_parameter)?;
    // It is for container instances alone.
    let launch_type = LaunchType::Ec2;
    let network = network::of_request(txn, &definition, launch_type, request.network_configuration.as_ref())?;
    let origin = Origin { network, ..origin(txn, &definition, Given::of_start(&request))? };
    fargate::check_overrides(launch_type, &definition, &origin.overrides)?;
    let constraints = network::constrained(Vec::new(), origin.network.as_deref());
    let wanted = placement::Request::new(&definition, &origin.overrides, &origin.group, &constraints, &[])?;
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for named in &request.container_instances {
        let cluster = txn.state.row.name.clone();
        let text = arn::container_instance_id(txn.ctx, &cluster, named)?;
        let found = InstanceId::parse(&text).and_then(|id| txn.state.instance(&id));
        let Some(id) = found.filter(|row| row.status != InstanceStatus::Inactive).map(|row| row.id) else {
            failures.push(describe::missing(arn::container_instance(txn.ctx, &cluster, text)));
            continue;
        };
        match placement::place_on(txn.state, &wanted, &id) {
            Ok(()) => tasks.push(start(txn, &definition, origin.clone(), id)),
            Err(refused) => failures.extend(refused.failures(txn.ctx, &cluster)),
        }
    }
    Ok(ecs::StartTaskResponse { tasks: Some(shown(txn, &tasks)), failures: Some(failures) })
}

/// Makes a task on a container instance that has room for it.
pub fn start(
    txn: &mut Txn,
    definition: &TaskDefinitionRow,
    origin: Origin,
    instance: InstanceId,
) -> Arc<TaskRow> {
    let mut needs = definition.needs(&origin.overrides);
    needs.resources.gpus = free_gpus(txn, &instance).iter().take(needs.gpus).cloned().collect();
    let mut row = TaskRow { instance: Some(instance), ..made(txn, definition, origin, needs.resources) };
    network::on_host(txn, &mut row);
    txn.put_task(row)
}

/// What a task that has no place yet asks for once there is one, and how it waits for that.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    pub constraints: &'a [PlacementConstraint],
    pub order: &'a [PlacementStrategy],
    pub wishes: Wishes,
}

/// Makes a task where there is a place for it, or one that waits.
pub fn begin(
    txn: &mut Txn,
    definition: &TaskDefinitionRow,
    origin: Origin,
    place: Place,
    wait: Wait,
) -> Arc<TaskRow> {
    let request = match place {
        Place::On(instance) => return start(txn, definition, origin, instance),
        Place::Waits(request) => Some(request),
        Place::Turn => None,
    };
    let needs = definition.needs(&origin.overrides).resources;
    let Wishes { queue_seconds, max_concurrent } = wait.wishes;
    let waits = WaitRow {
        until: txn.now().plus_millis(provisioning::longest_ms(queue_seconds)),
        placement_constraints: wait.constraints.to_vec(),
        placement_strategy: wait.order.to_vec(),
        queue_seconds,
        turn: max_concurrent.filter(|_| request.is_none()),
    };
    let made = made(txn, definition, origin, needs);
    let row = TaskRow { last: TaskStatus::Provisioning, waits: Some(Box::new(waits)), ..made };
    let row = txn.put_task(row);
    if let Some(request) = request {
        txn.state.provisions(&row, &request);
    }
    row
}

/// A task without a place.
fn made(txn: &mut Txn, definition: &TaskDefinitionRow, origin: Origin, needs: Resources) -> TaskRow {
    let containers = definition.containers().iter();
    let containers = containers.map(|c| container(c, &origin.overrides, txn.ids.uuid())).collect();
    let attachment = network::attachment(txn, definition, &origin);
    let fargate = fargate::of_new(origin.platform.as_deref(), definition, &origin.overrides);
    TaskRow {
        id: TaskId(txn.ids.id_at(txn.now())),
        task_definition: definition.id(),
        group: origin.group,
        service: origin.service,
        daemon: origin.daemon,
        started_by: origin.started_by,
        instance: None,
        waits: None,
        attachment,
        launch_type: fargate::launch_type_on(origin.platform.as_deref()),
        capacity_provider: origin.capacity_provider,
        fargate,
        desired: Desired::Running,
        last: TaskStatus::Pending,
        overrides: origin.overrides,
        containers,
        needs,
        tags: origin.tags,
        enable_execute_command: origin.enable_execute_command,
        created_at: txn.now(),
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        stop: None,
        protected_until: None,
        failed_health: false,
        forget_at: None,
        version: 0,
    }
}

/// Whether the health of a container is checked.
fn checks_health(definition: &ContainerDefinition) -> bool {
    definition.health_check.as_ref().is_some_and(|check| health_check_runs(&check.command))
}

/// Whether the health of a task depends on a check of this container.
pub fn is_checked(definition: &ContainerDefinition) -> bool {
    definition.essential.unwrap_or(true) && checks_health(definition)
}

/// Those of a container instance that no task has.
pub fn free_gpus(txn: &Txn, instance: &InstanceId) -> Gpus {
    let registered = txn.state.instance(instance).map(|row| row.registered.gpus.clone()).unwrap_or_default();
    match txn.state.usage(instance) {
        Some(usage) if !registered.is_empty() => registered.without(&usage.used.gpus),
        _ => registered,
    }
}

fn container(definition: &ContainerDefinition, overrides: &TaskOverride, id: String) -> ContainerRow {
    let over = overrides.container_overrides.iter().flatten().find(|o| o.name == definition.name);
    let number = |over: Option<i32>, given: Option<i32>| over.or(given).filter(|n| *n > 0).map(i64::from);
    ContainerRow {
        name: definition.name.clone(),
        id,
        image: definition.image.clone(),
        essential: definition.essential.unwrap_or(true),
        health_checked: checks_health(definition),
        cpu: number(over.and_then(|o| o.cpu), Some(definition.cpu)).unwrap_or(0),
        memory: number(over.and_then(|o| o.memory), definition.memory),
        memory_reservation: number(over.and_then(|o| o.memory_reservation), definition.memory_reservation),
        gpus: definition.gpus(),
        status: TaskStatus::Pending,
        runtime_id: None,
        image_digest: None,
        exit_code: None,
        reason: None,
        network_bindings: Vec::new(),
        health: HealthStatus::Unknown,
    }
}

/// The members that RunTask and StartTask share.
struct Given<'a> {
    group: Option<&'a str>,
    started_by: Option<&'a str>,
    /// The longest `startedBy`, in characters.
    started_by_length: usize,
    overrides: Option<&'a ecs::TaskOverride>,
    tags: Option<&'a [ecs::Tag]>,
    /// Whether these are a RunTask's.
    on: On,
    propagate: Option<ecs::PropagateTags>,
    managed: bool,
    enable_execute_command: bool,
}

impl<'a> Given<'a> {
    fn of_run(request: &'a ecs::RunTaskRequest) -> Given<'a> {
        Given {
            group: request.group.as_deref(),
            started_by: request.started_by.as_deref(),
            started_by_length: limits::STARTED_BY_RUN,
            on: On::RunTask,
            overrides: request.overrides.as_ref(),
            tags: request.tags.as_deref(),
            propagate: request.propagate_tags,
            managed: request.enable_ecs_managed_tags.unwrap_or(false),
            enable_execute_command: request.enable_execute_command.unwrap_or(false),
        }
    }

    fn of_start(request: &'a ecs::StartTaskRequest) -> Given<'a> {
        Given {
            group: request.group.as_deref(),
            started_by: request.started_by.as_deref(),
            started_by_length: limits::STARTED_BY_START,
            on: On::Other,
            overrides: request.overrides.as_ref(),
            tags: request.tags.as_deref(),
            propagate: request.propagate_tags,
            managed: request.enable_ecs_managed_tags.unwrap_or(false),
            enable_execute_command: request.enable_execute_command.unwrap_or(false),
        }
    }
}

fn origin(txn: &Txn, definition: &TaskDefinitionRow, given: Given) -> Result<Origin, Error> {
    let started_by = given.started_by.filter(|by| !by.is_empty());
    let most = given.started_by_length;
    if started_by.is_some_and(|by| by.chars().count() > most) {
        return Err(errors::invalid_parameter(format!("startedBy longer than {most}.")));
    }
    // The reference names letters, digits, `-`, `_` and `/`; what AWS's own services write has spaces too.
    if started_by.unwrap_or_default().chars().any(char::is_control) {
        return Err(errors::invalid_parameter("startedBy contains invalid characters."));
    }
    let is_taken = |group: &str| group.starts_with("service:") || group.starts_with("daemon:");
    if given.group.is_some_and(|group| is_taken(group) || group.chars().count() > 255) {
        return Err(errors::invalid_parameter("Invalid namespace for group."));
    }
    let overrides = given.overrides.cloned().unwrap_or_default();
    definition.check_overrides(&overrides)?;
    let given_tags = given.tags.unwrap_or_default();
    tags::check_on(given.on, given_tags)?;
    let mut all = given_tags.to_vec().stored();
    match given.propagate {
        Some(ecs::PropagateTags::TaskDefinition) => tags::add_missing(&mut all, &definition.tags),
        Some(ecs::PropagateTags::Service) => {
            return Err(errors::invalid_parameter(
                "propagateTags SERVICE is not valid for a task without a service.",
            ));
        }
        _ => {}
    }
    if given.managed {
        tags::add_missing(&mut all, &[tags::tag("aws:ecs:clusterName", &txn.state.row.name)]);
    }
    let family = || format!("family:{}", definition.id().family);
    Ok(Origin {
        group: given.group.filter(|group| !group.is_empty()).map_or_else(family, str::to_owned),
        started_by: started_by.map(str::to_owned),
        overrides: overrides.stored(),
        tags: all,
        enable_execute_command: given.enable_execute_command,
        ..Origin::default()
    })
}

/// The ACTIVE task definition that a request names; `inactive` makes the error for one that is not, which
/// tasks and services name differently.
pub fn active_definition(
    txn: &Txn,
    named: &str,
    inactive: fn(&'static str) -> Error,
) -> Result<Arc<TaskDefinitionRow>, Error> {
    let row = txn.ports.account.resolve(txn.ctx, named)?;
    if row.status() != TaskDefinitionStatus::Active {
        return Err(inactive("TaskDefinition is inactive"));
    }
    Ok(row.clone())
}

/// The tasks of the request that carried the same token before, if any.
fn repeated(txn: &Txn, token: Option<&str>, digest: &str) -> Result<Option<ecs::RunTaskResponse>, Error> {
    let Some(row) = token.and_then(|token| txn.state.token(token)) else { return Ok(None) };
    if row.request != digest {
        let name = |id: &TaskId| arn::task(txn.ctx, &txn.state.row.name, id).into();
        let made = row.tasks.iter().map(name).collect();
        let conflict = errors::conflict(
            "The request was not processed because the clientToken was already used with other parameters.",
        );
        return Err(conflict.with("resourceIds", serde_json::Value::Array(made)));
    }
    let tasks: Vec<Arc<TaskRow>> = row.tasks.iter().filter_map(|id| txn.state.task(id)).cloned().collect();
    Ok(Some(ecs::RunTaskResponse { tasks: Some(shown(txn, &tasks)), failures: Some(Vec::new()) }))
}

/// At most so many visible ASCII characters.
pub fn check_token(token: Option<&str>, most: usize) -> Result<(), Error> {
    let fits = |token: &str| token.len() <= most && token.chars().all(|c| c.is_ascii_graphic());
    match token {
        Some(token) if !fits(token) => Err(errors::invalid_parameter(format!(
            "clientToken must have at most {most} characters, ASCII 33 to 126."
        ))),
        _ => Ok(()),
    }
}

/// A digest by which a request that comes again is known to be the same.
pub fn fingerprint(request: &impl serde::Serialize) -> String {
    let json = serde_json::to_vec(request).expect("requests have string keys and finite numbers only");
    hex::encode(Sha256::digest(json))
}

fn shown(txn: &Txn, tasks: &[Arc<TaskRow>]) -> Vec<ecs::Task> {
    let one = |row: &Arc<TaskRow>| ecs::Task {
        tags: Some(row.tags.shown()),
        ..describe::task(txn.state, txn.ctx, row)
    };
    tasks.iter().map(one).collect()
}
