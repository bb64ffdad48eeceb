//! About how many bytes a row takes in the store, from the lengths of its texts.

use state::{Row, Unreadable};

use super::{earlier, rows::*};

/// A row without its lists and long texts.
const ROW: usize = 1024;
/// A row that has no lists, without its texts.
const SMALL: usize = 384;
/// An element of a list (a container, a constraint, a tag) without its texts.
const ELEMENT: usize = 128;
/// A container of a task.
const CONTAINER: usize = 640;

impl Row for ClusterRow {
    fn weight(&self) -> usize {
        let names: usize = self.capacity_providers.iter().map(String::len).sum();
        ROW + tags(&self.tags)
            + ELEMENT * self.settings.len()
            + names
            + strategy(&self.default_capacity_provider_strategy)
    }
}

impl Row for TokenRow {
    fn weight(&self) -> usize {
        ROW + ELEMENT * self.tasks.len()
    }
}

impl Row for TaskRow {
    fn weight(&self) -> usize {
        task(self)
    }
}

impl Row for KeptTaskRow {
    fn weight(&self) -> usize {
        task(&self.task)
    }
}

impl Row for ServiceRow {
    const VERSION: u32 = 3;

    fn weight(&self) -> usize {
        service(self)
    }

    fn upgrade(version: u32, json: &str) -> Result<ServiceRow, Unreadable> {
        earlier::service(version, json)
    }
}

impl Row for ServiceRevisionRow {
    fn weight(&self) -> usize {
        let image = |image: &ContainerImage| ELEMENT + image.container_name.len() + image.image.len();
        let names = 2 * self.service.0.len() + self.task_definition.family.len();
        SMALL
            + names
            + strategy(&self.capacity_provider_strategy)
            + network(self.network.as_deref())
            + self.images.iter().map(image).sum::<usize>()
    }
}

impl Row for ServiceImagesRow {
    fn weight(&self) -> usize {
        SMALL + 2 * self.service.0.len() + digests(&self.digests)
    }
}

fn digests(all: &[ImageDigest]) -> usize {
    all.iter().map(|of| ELEMENT + of.container_name.len() + of.digest.len()).sum()
}

impl Row for ServiceDeploymentRow {
    fn weight(&self) -> usize {
        let reasons = [self.status_reason.as_ref(), self.rollback.as_ref().map(|rollback| &rollback.reason)];
        let tasks = self.end.as_ref().map_or(0, |end| CONTAINER + end.tasks.len() * ELEMENT);
        let hooks =
            self.stage.as_ref().map_or(0, |stage| SMALL + stage.hooks.iter().map(hook).sum::<usize>());
        let courses = self.course.iter().chain(self.end.as_ref().map(|end| &end.configuration));
        ROW + 2 * self.service.0.len()
            + reasons.into_iter().flatten().map(String::len).sum::<usize>()
            + ELEMENT / 4 * self.sources.len()
            + tasks
            + hooks
            + self.alarms.iter().flat_map(|alarms| &alarms.triggered).map(String::len).sum::<usize>()
            + courses.map(course).sum::<usize>()
    }
}

impl Row for TaskSetRow {
    fn weight(&self) -> usize {
        let names = 2 * self.service.0.len() + self.task_definition.family.len();
        let texts = self.external_id.as_ref().map_or(0, String::len);
        let token = self.token.as_ref().map_or(0, |(token, digest)| token.len() + digest.len());
        let strategy = strategy(&self.capacity_provider_strategy);
        SMALL + names + texts + token + strategy + network(self.network.as_deref()) + tags(&self.tags)
    }
}

impl Row for DaemonRow {
    fn weight(&self) -> usize {
        let unplaced = self.unplaced.as_ref().map_or(0, |unplaced| unplaced.reason.len());
        let names = self.providers.iter().map(|name| ELEMENT / 4 + name.len());
        ROW + 2 * self.name.0.len() + unplaced + names.sum::<usize>() + tags(&self.tags)
    }
}

impl Row for DaemonRevisionRow {
    fn weight(&self) -> usize {
        let image = |image: &ContainerImage| ELEMENT + image.container_name.len() + image.image.len();
        let names = 2 * self.daemon.0.len() + self.task_definition.family.len();
        SMALL + names + self.images.iter().map(image).sum::<usize>() + digests(&self.digests)
    }
}

impl Row for DaemonDeploymentRow {
    fn weight(&self) -> usize {
        let reasons = [self.status_reason.as_ref(), self.rollback.as_ref().map(|rollback| &rollback.reason)];
        let names = self.providers.iter().map(|name| ELEMENT / 4 + name.len()).sum::<usize>();
        let end = self.end.iter().flat_map(|of| &of.providers).map(|of| ELEMENT + of.provider.len());
        ROW + 2 * self.daemon.0.len()
            + reasons.into_iter().flatten().map(String::len).sum::<usize>()
            + ELEMENT / 2 * (self.sources.len() + self.end.len())
            + names
            + end.sum::<usize>()
    }
}

impl Row for ServiceEventRow {
    fn weight(&self) -> usize {
        SMALL + 2 * self.service.0.len() + self.message.len()
    }
}

impl Row for ServiceTokenRow {
    fn weight(&self) -> usize {
        SMALL + 2 * self.service.0.len() + self.request.len()
    }
}

impl Row for InstanceRow {
    fn weight(&self) -> usize {
        instance(self)
    }
}

fn task(row: &TaskRow) -> usize {
    let reasons = row.containers.iter().filter_map(|container| container.reason.as_ref()).map(String::len);
    let images = row.containers.iter().map(|container| container.image.len() + container.name.len());
    let bindings: usize = row.containers.iter().map(|container| container.network_bindings.len()).sum();
    let overrides = row.overrides.container_overrides.as_ref().map_or(0, |all| all.iter().map(over).sum());
    ROW + CONTAINER * row.containers.len()
        + reasons.chain(images).sum::<usize>()
        + ELEMENT * bindings
        + ELEMENT / 8 * (row.needs.ports_tcp.len() + row.needs.ports_udp.len())
        + ELEMENT * row.needs.gpus.len()
        + row.stop.as_ref().map_or(0, |stop| stop.reason.len())
        + overrides
        + row.waits.as_ref().map_or(0, |waits| {
            placement(&waits.placement_constraints) + ELEMENT * waits.placement_strategy.len()
        })
        + row.daemon.as_ref().map_or(0, |of| ELEMENT + of.name.0.len())
        + row.capacity_provider.as_ref().map_or(0, |name| name.len())
        + row.fargate.as_ref().map_or(0, |of| ELEMENT + of.platform.version.len() + of.platform.family.len())
        + row.attachment.as_deref().map_or(0, attachment)
        + tags(&row.tags)
}

fn attachment(row: &AttachmentRow) -> usize {
    let interface = row.interface.as_ref().map_or(0, |of| SMALL + ELEMENT * of.groups.len());
    2 * ELEMENT + row.id.len() + network(row.network.as_ref()) + interface
}

fn network(row: Option<&NetworkRow>) -> usize {
    row.map_or(0, |row| ELEMENT * (1 + row.subnets.len() + row.security_groups.len()))
}

fn over(over: &ContainerOverride) -> usize {
    let command = over.command.iter().flatten().map(|word| word.len() + 8);
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let environment = over.environment.iter().flatten();
    let environment = environment.map(|pair| ELEMENT / 2 + pair.name.len() + text(&pair.value));
    ELEMENT * 2 + command.chain(environment).sum::<usize>()
}

/// A hook that a deployment came to. Texts within JSON texts are written longer.
fn hook(row: &HookRow) -> usize {
    let texts = row.function.as_ref().map_or(0, |function| {
        let HookFunctionRow { arn, role, event, details, why, .. } = function.as_ref();
        let optional = [details, why].into_iter().flatten().map(String::len).sum::<usize>();
        ELEMENT + arn.len() + role.len() + 2 * (event.len() + optional)
    });
    2 * ELEMENT + texts
}

/// How deployments go: hooks and alarms.
fn course(configuration: &DeploymentConfiguration) -> usize {
    let texts = |hook: &DeploymentLifecycleHook| {
        let arns = [&hook.hook_target_arn, &hook.role_arn];
        let details = hook.hook_details.as_ref().map_or(0, |details| 2 * details.0.len());
        2 * ELEMENT + arns.into_iter().flatten().map(String::len).sum::<usize>() + details
    };
    let hooks: usize = configuration.lifecycle_hooks.iter().flatten().map(texts).sum();
    let alarms = configuration.alarms.iter().flat_map(|alarms| &alarms.alarm_names);
    hooks + alarms.map(|name| ELEMENT / 8 + name.len()).sum::<usize>()
}

fn placement(constraints: &[PlacementConstraint]) -> usize {
    let expressions = constraints.iter().filter_map(|constraint| constraint.expression.as_ref());
    expressions.map(|expression| ELEMENT + expression.len()).sum()
}

fn service(row: &ServiceRow) -> usize {
    let strategies =
        row.deployments.iter().map(|deployment| strategy(&deployment.capacity_provider_strategy));
    ROW + row.deployment_configuration.as_ref().map_or(0, course)
        + strategies.sum::<usize>()
        + row.deployments.iter().map(|deployment| network(deployment.network.as_deref())).sum::<usize>()
        + network(row.network.as_deref())
        + strategy(&row.capacity_provider_strategy)
        + placement(&row.placement_constraints)
        + ELEMENT * row.placement_strategy.len()
        + CONTAINER * row.deployments.len()
        + row.unplaced.as_ref().map_or(0, |(why, _)| why.len())
        + tags(&row.tags)
}

fn instance(row: &InstanceRow) -> usize {
    let attributes = row.attributes.iter();
    let attributes = attributes.map(|a| ELEMENT + a.name.len() + a.value.as_ref().map_or(0, String::len));
    let ports = row.registered.ports_tcp.len() + row.registered.ports_udp.len();
    ROW + attributes.sum::<usize>()
        + ELEMENT / 8 * ports
        + ELEMENT * row.registered.gpus.len()
        + row
            .health
            .iter()
            .map(|of| ELEMENT + of.status_reason.as_ref().map_or(0, String::len))
            .sum::<usize>()
        + tags(&row.tags)
}

fn strategy(strategy: &[CapacityProviderStrategyItem]) -> usize {
    strategy.iter().map(|item| ELEMENT + item.capacity_provider.len()).sum()
}

fn tags(tags: &[Tag]) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    tags.iter().map(|tag| ELEMENT / 2 + tag.key.len() + text(&tag.value)).sum()
}
