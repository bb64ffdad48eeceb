//! The life of a task: by example, and forward only whatever happens.

use proptest::prelude::*;

use super::*;
use crate::cluster::{HealthStatus, InstanceId, LaunchType, Resources, TaskDefinitionId, TaskId};

const NOW: Timestamp = Timestamp(1_000_000);

fn container(name: &str, essential: bool) -> ContainerRow {
    ContainerRow {
        name: name.to_owned(),
        id: name.to_owned(),
        image: "busybox".to_owned(),
        essential,
        health_checked: false,
        cpu: 0,
        memory: None,
        memory_reservation: None,
        gpus: 0,
        status: TaskStatus::Pending,
        runtime_id: None,
        image_digest: None,
        exit_code: None,
        reason: None,
        network_bindings: Vec::new(),
        health: HealthStatus::Unknown,
    }
}

fn pending() -> TaskRow {
    TaskRow {
        id: TaskId(crate::testing::id("t")),
        task_definition: TaskDefinitionId { family: "f".to_owned(), revision: 1 },
        group: "family:f".to_owned(),
        service: None,
        started_by: None,
        instance: Some(InstanceId(crate::testing::id("i"))),
        waits: None,
        attachment: None,
        launch_type: LaunchType::Ec2,
        daemon: None,
        capacity_provider: None,
        fargate: None,
        desired: Desired::Running,
        last: TaskStatus::Pending,
        overrides: Default::default(),
        containers: vec![container("app", true), container("side", false)],
        needs: Resources::default(),
        tags: Vec::new(),
        enable_execute_command: false,
        created_at: Timestamp(0),
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
        version: 1,
    }
}

fn report(status: Option<TaskStatus>, containers: &[(&str, TaskStatus, Option<i32>, &str)]) -> Happening {
    let one = |(name, status, exit_code, reason): &(&str, TaskStatus, Option<i32>, &str)| ContainerReport {
        name: (*name).to_owned(),
        status: Some(*status),
        exit_code: *exit_code,
        reason: Some((*reason).to_owned()),
        ..ContainerReport::default()
    };
    Happening::Reported(Report {
        status,
        containers: containers.iter().map(one).collect(),
        ..Report::default()
    })
}

fn running() -> TaskRow {
    let seen = [("app", TaskStatus::Running, None, ""), ("side", TaskStatus::Running, None, "")];
    step(&pending(), &report(Some(TaskStatus::Running), &seen), NOW)
}

fn why(task: &TaskRow) -> (TaskStopCode, &str) {
    let stop = task.stop.as_ref().unwrap();
    (stop.code, stop.reason.as_str())
}

#[test]
fn it_runs_and_ends_by_itself() {
    let task = running();
    assert_eq!((task.last, task.started_at, task.counts()), (TaskStatus::Running, Some(NOW), (1, 0)));
    let ended = report(Some(TaskStatus::Stopped), &[("app", TaskStatus::Stopped, Some(3), "")]);
    let task = step(&task, &ended, NOW);
    assert_eq!(task.last, TaskStatus::Stopped);
    assert_eq!(why(&task), (TaskStopCode::EssentialContainerExited, "Essential container in task exited"));
    assert_eq!(task.containers[0].exit_code, Some(3));
    assert_eq!(
        (task.stopped_at, task.stopping_at, task.execution_stopped_at),
        (Some(NOW), Some(NOW), Some(NOW))
    );
}

#[test]
fn an_essential_container_that_ends_begins_the_stop_and_another_does_not() {
    let side = step(&running(), &report(None, &[("side", TaskStatus::Stopped, Some(0), "")]), NOW);
    assert_eq!((side.desired, side.last), (Desired::Running, TaskStatus::Running));
    let app = step(&running(), &report(None, &[("app", TaskStatus::Stopped, Some(0), "")]), NOW);
    assert_eq!((app.desired, app.last), (Desired::Stopped, TaskStatus::Stopping));
}

#[test]
fn a_task_that_cannot_start_says_why() {
    let pull = "CannotPullContainerError: not found";
    let failed = report(Some(TaskStatus::Stopped), &[("app", TaskStatus::Stopped, None, pull)]);
    let task = step(&pending(), &failed, NOW);
    assert_eq!(why(&task), (TaskStopCode::TaskFailedToStart, pull));
    assert_eq!(task.started_at, None);
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Container.html>
#[test]
fn reasons_have_an_end() {
    let long = "x".repeat(2000);
    let failed = report(Some(TaskStatus::Stopped), &[("app", TaskStatus::Stopped, None, &long)]);
    let task = step(&pending(), &failed, NOW);
    let most = "x".repeat(1024);
    assert_eq!((task.containers[0].reason.as_deref(), why(&task).1), (Some(most.as_str()), most.as_str()));
}

#[test]
fn what_its_agent_ended_it_for_is_said() {
    let full = "DiskFullError: the task has written 9 MiB";
    for status in [TaskStatus::Running, TaskStatus::Stopped] {
        let ended = report(Some(status), &[("app", TaskStatus::Stopped, Some(137), full)]);
        let Happening::Reported(ended) = ended else { panic!("a report") };
        let task = step(&running(), &Happening::Reported(Report { reason: full.to_owned(), ..ended }), NOW);
        assert_eq!(why(&task), (TaskStopCode::EssentialContainerExited, full));
    }
}

#[test]
fn the_first_reason_stands() {
    let stop = Happening::StopWanted { code: TaskStopCode::UserInitiated, reason: "because".to_owned() };
    let task = step(&running(), &stop, NOW);
    assert_eq!((task.last, task.desired), (TaskStatus::Stopping, Desired::Stopped));
    let ended = report(Some(TaskStatus::Stopped), &[("app", TaskStatus::Stopped, Some(137), "")]);
    assert_eq!(why(&step(&task, &ended, NOW)), (TaskStopCode::UserInitiated, "because"));
}

#[test]
fn a_task_without_a_host_stops_at_once_and_a_lost_host_stops_its_tasks() {
    let stop = Happening::StopWanted { code: TaskStopCode::UserInitiated, reason: String::new() };
    let nowhere = TaskRow { instance: None, ..pending() };
    assert_eq!(step(&nowhere, &stop, NOW).last, TaskStatus::Stopped);
    let lost = step(&running(), &Happening::HostLost { reason: "gone".to_owned() }, NOW);
    assert_eq!((lost.last, why(&lost)), (TaskStatus::Stopped, (TaskStopCode::TerminationNotice, "gone")));
}

/// Every report at every point of a task's life: it goes forward or stays, and what is told twice changes nothing more.
#[test]
fn reports_that_come_late_or_twice_change_nothing_that_is_past() {
    use TaskStatus::{Pending, Running, Stopped, Stopping};
    let stop = Happening::StopWanted { code: TaskStopCode::UserInitiated, reason: "because".to_owned() };
    let told = |status: Option<TaskStatus>| {
        let seen = status.unwrap_or(Running);
        report(status, &[("app", seen, (seen == Stopped).then_some(3), ""), ("side", seen, None, "")])
    };
    let ended = step(&running(), &told(Some(Stopped)), NOW);
    for (name, task, none, pending, running) in [
        ("pending", pending(), Pending, Pending, Running),
        ("running", running(), Running, Running, Running),
        ("to be stopped before it ran", step(&pending(), &stop, NOW), Stopping, Stopping, Stopping),
        ("to be stopped", step(&running(), &stop, NOW), Stopping, Stopping, Stopping),
        ("stopped", ended, Stopped, Stopped, Stopped),
    ] {
        let all =
            [(None, none), (Some(Pending), pending), (Some(Running), running), (Some(Stopped), Stopped)];
        for (status, expected) in all {
            let next = step(&task, &told(status), NOW);
            assert_eq!(next.last, expected, "{name}, told {status:?}");
            let later = NOW.plus_millis(60_000);
            assert_eq!(step(&next, &told(status), later), next, "{name}, told {status:?} twice");
            for (late, _) in all {
                let after = step(&next, &told(late), later);
                let past = |row: &TaskRow| (row.started_at, row.stopped_at, row.stop.clone());
                assert!(after.last >= next.last, "{name}, told {status:?}, then {late:?}");
                for (before, now) in next.containers.iter().zip(&after.containers) {
                    assert!(
                        now.status >= before.status && now.exit_code.or(before.exit_code) == now.exit_code
                    );
                }
                if next.last == Stopped {
                    assert_eq!(after, next, "{name}, told {status:?}, then {late:?}");
                } else if after.last == next.last {
                    assert_eq!(past(&after), past(&next), "{name}, told {status:?}, then {late:?}");
                }
            }
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    use TaskStatus::{Pending, Running, Stopped};
    let status = prop::option::of(prop::sample::select(vec![Pending, Running, Stopped]));
    let container = prop::sample::select(vec![Pending, Running, Stopped]);
    prop_oneof![
        (status, container, any::<bool>()).prop_map(|(status, seen, app)| {
            report(status, &[(if app { "app" } else { "side" }, seen, None, "")])
        }),
        Just(Happening::StopWanted { code: TaskStopCode::UserInitiated, reason: "r".to_owned() }),
        Just(Happening::HostLost { reason: "h".to_owned() }),
    ]
}

proptest! {
    #[test]
    fn life_only_goes_forward(happenings in prop::collection::vec(happening(), 0..20)) {
        let mut task = pending();
        for (n, happening) in happenings.iter().enumerate() {
            let next = step(&task, happening, NOW.plus_millis(n as i64));
            prop_assert!(next.last >= task.last && next.desired >= task.desired);
            prop_assert!(next.containers.iter().zip(&task.containers).all(|(a, b)| a.status >= b.status));
            prop_assert!(next.last != TaskStatus::Running || next.started_at.is_some());
            prop_assert_eq!(next.last == TaskStatus::Stopped, next.stopped_at.is_some());
            prop_assert!(task.stop.is_none() || task.stop == next.stop);
            prop_assert!(task.last != TaskStatus::Stopped || next == task);
            task = next;
        }
    }
}
