//! Which verdicts of health checks a TCS session has still to tell. Amazon's agent tells all of them each period; this one
//! tells all at the beginning of a session, and from then on those that differ from what it told.

use std::collections::BTreeMap;

use agent_protocol::tcs;

use crate::{
    host::{ContainerSnapshot, Snapshot},
    task::{HealthStatus, Known},
};

/// What one session has told.
#[derive(Default)]
pub(super) struct Told(BTreeMap<engine::ContainerId, HealthStatus>);

impl Told {
    /// The verdicts that differ from those told, by task. They count as told from here on; what is not among `tasks`
    /// any more is forgotten.
    pub(super) fn news(&mut self, tasks: Vec<Snapshot>) -> Vec<tcs::TaskHealth> {
        let before = std::mem::take(&mut self.0);
        let live = tasks.into_iter().filter(|task| task.known < Known::Stopped);
        live.filter_map(|mut task| {
            let seen = std::mem::take(&mut task.containers).into_iter();
            let fresh: Vec<_> = seen.filter_map(|container| self.take(container, &before)).collect();
            (!fresh.is_empty()).then(|| of_task(task, fresh))
        })
        .collect()
    }

    fn take(
        &mut self,
        container: ContainerSnapshot,
        before: &BTreeMap<engine::ContainerId, HealthStatus>,
    ) -> Option<tcs::ContainerHealth> {
        let (status, since_ms, output) = container.health?;
        let known = before.get(&container.id) == Some(&status);
        let name = container.id.name.clone();
        self.0.insert(container.id, status);
        (!known).then(|| tcs::ContainerHealth {
            container_name: Some(name),
            health_status: Some(status.as_str().to_owned()),
            status_since: Some(wire::Timestamp(since_ms)),
            status_message: Some(output).filter(|output| !output.is_empty()),
        })
    }
}

fn of_task(task: Snapshot, containers: Vec<tcs::ContainerHealth>) -> tcs::TaskHealth {
    tcs::TaskHealth {
        task_arn: Some(task.arn),
        cluster_arn: Some(task.cluster_arn),
        task_definition_family: Some(task.family),
        task_definition_version: Some(task.version),
        containers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task with a container of each verdict; `None`: one without a health check.
    fn task(id: &str, known: Known, verdicts: &[Option<HealthStatus>]) -> Snapshot {
        let container = |(index, verdict): (usize, &Option<HealthStatus>)| ContainerSnapshot {
            id: engine::ContainerId { task: id.into(), name: format!("c{index}") },
            running: true,
            created_at_ms: None,
            restarts: 0,
            health: verdict.map(|status| (status, 1, String::new())),
        };
        let containers = verdicts.iter().enumerate().map(container).collect();
        Snapshot { arn: id.into(), known, containers, ..Snapshot::default() }
    }

    fn told(told: &mut Told, tasks: Vec<Snapshot>) -> Vec<String> {
        let text = |text: Option<String>| text.unwrap();
        let of = |task: tcs::TaskHealth| {
            let arn = text(task.task_arn);
            let one = move |c: tcs::ContainerHealth| {
                format!("{arn} {} {}", text(c.container_name), text(c.health_status))
            };
            task.containers.into_iter().map(one).collect::<Vec<_>>()
        };
        told.news(tasks).into_iter().flat_map(of).collect()
    }

    #[test]
    fn a_verdict_is_told_once_and_again_when_it_differs() {
        use HealthStatus::{Healthy, Unhealthy, Unknown};
        let mut session = Told::default();
        let a = |verdicts: &[Option<HealthStatus>]| task("a", Known::Running, verdicts);
        let b = || task("b", Known::Pending, &[Some(Unknown)]);
        let none: [&str; 0] = [];
        assert_eq!(
            told(&mut session, vec![a(&[Some(Healthy), None, Some(Unknown)]), b()]),
            ["a c0 HEALTHY", "a c2 UNKNOWN", "b c0 UNKNOWN"]
        );
        assert_eq!(told(&mut session, vec![a(&[Some(Healthy), None, Some(Unknown)]), b()]), none);
        assert_eq!(
            told(&mut session, vec![a(&[Some(Healthy), None, Some(Unhealthy)]), b()]),
            ["a c2 UNHEALTHY"]
        );
        // What is over, or gone, has nothing to tell, and begins anew should it come back.
        let over = task("a", Known::Stopped, &[Some(Unhealthy)]);
        assert_eq!(told(&mut session, vec![over]), none);
        assert_eq!(told(&mut session, vec![b()]), ["b c0 UNKNOWN"]);
    }
}
