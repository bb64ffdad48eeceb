//! The tags of RunTask: what is refused, and tasks that wait for room and for their turn.

use ecs_model as ecs;
use serde_json::{Value, json};

use crate::{
    cluster::{Desired, TaskId},
    explain::{Kind, explain},
    limits,
    service::tests::create,
    tags::{tag_resource, untag_resource},
    task::{
        run::{run_task, start_task},
        stop::stop_task,
    },
    testing::{World, from, refusal},
};

fn tags(all: &[(&str, &str)]) -> Value {
    all.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// Runs a task of 100 MiB with tags; `more` stands beside.
fn run(world: &mut World, all: &[(&str, &str)], more: Value) -> ecs::RunTaskResponse {
    let mut request = json!({"taskDefinition": "web:1", "tags": tags(all)});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(run_task, request).unwrap()
}

fn ids(reply: &ecs::RunTaskResponse) -> Vec<String> {
    let arns = reply.tasks.iter().flatten().map(|task| task.task_arn.as_deref().unwrap());
    arns.map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect()
}

fn status(world: &World, id: &str) -> String {
    world.task(id).last_status.unwrap()
}

/// A task ends by itself.
fn end(world: &mut World, id: &str) {
    world.report(id, "RUNNING", None);
    world.report(id, "STOPPED", Some(0));
}

const HOUR: &[(&str, &str)] = &[("roadstead:queue", "3600")];

#[test]
fn a_tag_that_does_not_fit_is_refused_by_name() {
    let mut world = World::new();
    world.host(1000);
    let queue = "The tag roadstead:queue is a number from 1 to 86400.";
    let most = "The tag roadstead:max-concurrent is a number from 1 to 1000.";
    for (key, value, said) in [
        ("roadstead:queue", "0", queue),
        ("roadstead:queue", "+1", queue),
        ("roadstead:queue", "86401", queue),
        ("roadstead:queue", "", queue),
        ("roadstead:max-concurrent", "1001", most),
        ("roadstead:max-concurrent", "one", most),
        ("roadstead:max-concurrent", "1", "The tag roadstead:max-concurrent needs a startedBy."),
        ("roadstead:other", "1", "The tag roadstead:other means nothing to Roadstead."),
    ] {
        let request = json!({"taskDefinition": "web:1", "tags": tags(&[(key, value)])});
        let (code, text) = refusal(world.call(run_task, request));
        assert_eq!((&*code, &*text), ("InvalidParameterException", said), "{key} = {value}");
    }
    let id = ids(&run(&mut world, HOUR, json!({}))).remove(0);
    assert_eq!(
        world.task(&id).tags.unwrap()[0].key.as_deref(),
        Some("roadstead:queue"),
        "it is a tag as any"
    );
    // Elsewhere it means nothing.
    let run_alone = "The tag roadstead:queue is for RunTask alone.";
    let host = world.state.instances().next().unwrap().id.to_string();
    let start = json!({"taskDefinition": "web:1", "containerInstances": [host], "tags": tags(HOUR)});
    assert_eq!(refusal(world.call(start_task, start)).1, run_alone);
    let task = world.task(&id).task_arn.unwrap();
    let again = json!({"resourceArn": task, "tags": tags(HOUR)});
    assert_eq!(refusal(world.call(tag_resource, again)).1, run_alone);
    let service = create(&mut world, 0, json!({}));
    let there = json!({"resourceArn": service.service_arn, "tags": tags(HOUR)});
    assert_eq!(refusal(world.call(tag_resource, there)).1, run_alone);
    let keys = json!({"resourceArn": task, "tagKeys": ["roadstead:queue"]});
    world.call(untag_resource, keys).unwrap();
}

#[test]
fn without_the_tag_a_task_that_finds_no_room_fails_at_once() {
    let mut world = World::new();
    world.host(50);
    let reply = run(&mut world, &[], json!({}));
    assert!(reply.tasks.unwrap().is_empty());
    assert_eq!(reply.failures.unwrap()[0].reason.as_deref(), Some("RESOURCE:MEMORY"));
}

#[test]
fn tasks_that_find_no_room_wait_for_it() {
    let mut world = World::new();
    // Not even a container instance is there.
    let reply = run(&mut world, HOUR, json!({"count": 3}));
    assert_eq!(reply.failures, Some(Vec::new()));
    let all = ids(&reply);
    assert!(all.iter().all(|id| status(&world, id) == "PROVISIONING"), "{all:?}");
    let small = world.host(50);
    assert_eq!(world.task_count(&small), 0);
    let host = world.host(250);
    assert_eq!(world.task_count(&host), 2);
    let waits = all.iter().find(|id| status(&world, id) == "PROVISIONING").unwrap().clone();
    let said = explain(&world.state, &world.account, &world.ctx, Kind::Task, &waits).unwrap();
    assert!(said.waits_for[0].starts_with("room on a container instance until "), "{said:?}");
    assert_eq!(said.refused.iter().map(|one| one.container_instances).sum::<usize>(), 2, "{said:?}");
    let runs = all.iter().find(|id| **id != waits).unwrap().clone();
    end(&mut world, &runs);
    assert_eq!(status(&world, &waits), "PENDING");
    assert_eq!(world.task_count(&host), 2);
}

#[test]
fn a_task_that_has_waited_for_too_long_ends_with_the_reason() {
    let mut world = World::new();
    world.host(50);
    let id = ids(&run(&mut world, &[("roadstead:queue", "90")], json!({}))).remove(0);
    world.pass(89_999);
    assert_eq!(status(&world, &id), "PROVISIONING");
    world.pass(1);
    let task = world.task(&id);
    assert_eq!(task.last_status.as_deref(), Some("STOPPED"));
    assert_eq!(task.stop_code.map(|code| code.to_string()).as_deref(), Some("TaskFailedToStart"));
    assert_eq!(task.stopped_reason.as_deref(), Some("RESOURCE:MEMORY"));
    // The clock is set back: it waits no longer than one does.
    let id = ids(&run(&mut world, &[("roadstead:queue", "90")], json!({}))).remove(0);
    world.ctx.now = world.ctx.now.plus_millis(-3_600_000);
    let key = crate::cluster::Key::Task(TaskId::parse(&id).unwrap());
    let done = world.run(|txn| {
        crate::tick::set_back(txn, key);
        Ok(())
    });
    done.unwrap();
    world.pass(90_000);
    assert_eq!(status(&world, &id), "STOPPED");
}

#[test]
fn no_more_than_250_wait() {
    let mut world = World::new();
    world.host(50);
    for _ in 0..limits::QUEUED_TASKS / 10 {
        run(&mut world, HOUR, json!({"count": 10}));
    }
    assert_eq!(world.state.provisioning(), limits::QUEUED_TASKS);
    let reply = run(&mut world, HOUR, json!({}));
    assert_eq!(reply.failures.unwrap()[0].reason.as_deref(), Some("RESOURCE:MEMORY"));
    assert_eq!(reply.tasks, Some(Vec::new()));
}

const ONE: &[(&str, &str)] = &[("roadstead:max-concurrent", "1")];
const ONE_QUEUED: &[(&str, &str)] = &[("roadstead:max-concurrent", "1"), ("roadstead:queue", "3600")];

#[test]
fn a_task_beyond_the_limit_of_its_started_by_is_refused() {
    let mut world = World::new();
    world.host(1000);
    let job = json!({"startedBy": "job", "count": 2});
    let reply = run(&mut world, ONE, job.clone());
    let first = ids(&reply);
    assert_eq!(first.len(), 1);
    let failure = reply.failures.unwrap().remove(0);
    assert_eq!(failure.reason.as_deref(), Some("roadstead:max-concurrent"));
    assert_eq!(failure.detail.as_deref(), Some("roadstead:max-concurrent: 1 task goes on that job started."));
    assert_eq!(ids(&run(&mut world, ONE, json!({"startedBy": "other"}))).len(), 1);
    assert_eq!(ids(&run(&mut world, &[], job.clone())).len(), 2, "without the tag, there is no limit");
    // One that is being stopped goes on.
    let all: Vec<String> = world.live();
    for id in &all {
        world.call(stop_task, json!({"task": id})).unwrap();
    }
    assert!(ids(&run(&mut world, ONE, job.clone())).is_empty());
    world.obey();
    assert_eq!(ids(&run(&mut world, ONE, job)).len(), 1);
}

#[test]
fn with_a_queue_they_have_their_turn_one_after_the_other() {
    let mut world = World::new();
    let host = world.host(1000);
    let job = json!({"startedBy": "job", "count": 3});
    let all = ids(&run(&mut world, ONE_QUEUED, job.clone()));
    assert_eq!((all.len(), world.task_count(&host)), (3, 1));
    let said = explain(&world.state, &world.account, &world.ctx, Kind::Task, &all[1]).unwrap();
    assert_eq!(said.because[1], "roadstead:max-concurrent: 1 task goes on that job started.", "{said:?}");
    assert!(said.waits_for[0].starts_with("its turn among the tasks that job started, until "), "{said:?}");
    assert!(ids(&run(&mut world, ONE, job)).is_empty(), "those that wait come first");
    let mut done = Vec::new();
    let running = |world: &World| {
        let placed = |task: &&std::sync::Arc<crate::cluster::TaskRow>| {
            task.instance.is_some() && task.desired == Desired::Running
        };
        world.state.tasks().find(placed).map(|task| task.id.to_string())
    };
    while let Some(id) = running(&world) {
        assert_eq!(world.task_count(&host), 1);
        end(&mut world, &id);
        done.push(id);
    }
    done.sort();
    let mut all = all;
    all.sort();
    assert_eq!(done, all);
}

/// Who has the turn and finds no room keeps it: the next one waits for its end.
#[test]
fn the_turn_is_kept_while_there_is_no_room() {
    let mut world = World::new();
    let host = world.host(100);
    let all = ids(&run(&mut world, ONE_QUEUED, json!({"startedBy": "job", "count": 3})));
    let first = world.live().into_iter().find(|id| status(&world, id) == "PENDING").unwrap();
    world.call(run_task, json!({"taskDefinition": "web:1", "tags": tags(HOUR)})).unwrap();
    end(&mut world, &first);
    assert_eq!(world.task_count(&host), 1);
    assert_eq!((world.state.awaiting_turn(), world.state.going("job")), (1, 1));
    // Stopped while it waits, it gives its turn away.
    let waits: Vec<String> = all.into_iter().filter(|id| status(&world, id) == "PROVISIONING").collect();
    let turn = waits.iter().find(|id| {
        let row = world.state.task(&TaskId::parse(id).unwrap()).unwrap();
        !row.awaits_turn()
    });
    let turn = turn.unwrap().clone();
    if world.task_count(&host) == 1 {
        world.call(stop_task, json!({"task": turn})).unwrap();
        assert_eq!((world.state.awaiting_turn(), world.state.going("job")), (0, 1));
    }
}

#[test]
fn a_task_that_never_has_its_turn_ends_with_the_reason() {
    let mut world = World::new();
    world.host(1000);
    let all = ids(&run(&mut world, ONE_QUEUED, json!({"startedBy": "job", "count": 2})));
    world.pass(3_600_000);
    let ended = all.iter().map(|id| world.task(id)).find(|task| task.stopped_reason.is_some()).unwrap();
    assert_eq!(
        ended.stopped_reason.as_deref(),
        Some("roadstead:max-concurrent: 1 task goes on that job started.")
    );
    assert_eq!(world.state.awaiting_turn(), 0);
}

/// A start reads the rows, and whoever may have the turn has it then.
#[test]
fn a_turn_that_came_while_nobody_looked_is_not_lost() {
    use state::Domain;
    let mut world = World::new();
    world.host(1000);
    let all = ids(&run(&mut world, ONE_QUEUED, json!({"startedBy": "job", "count": 2})));
    let rows: Vec<_> = world.state.rows().collect();
    let mut read = crate::Cluster::of(world.state.row.as_ref().clone());
    for row in rows {
        // The first has been stopped, and nothing was settled since.
        if !matches!(&row, crate::cluster::Row::Task(task) if task.instance.is_some()) {
            read.apply(&crate::cluster::Change::Put(row));
        }
    }
    assert!(read.agenda().marks().any(|mark| matches!(mark, crate::cluster::Mark::Turn(by) if by == "job")));
    world.state = read;
    world.tick();
    assert_eq!(world.state.awaiting_turn(), 0);
    assert_eq!(all.len(), 2);
}

/// The end of a task costs a look at those of its own `startedBy` that wait, however many others do.
#[test]
fn an_end_costs_no_look_at_what_others_wait_for() {
    let looked = [1, 20].map(|others| {
        let mut world = World::new();
        world.host(100_000);
        for other in 0..others {
            let by = format!("other-{other}");
            run(&mut world, ONE_QUEUED, json!({"startedBy": by, "count": 10}));
        }
        let job = ids(&run(&mut world, ONE_QUEUED, json!({"startedBy": "job", "count": 3})));
        let first = job.iter().find(|id| status(&world, id) == "PENDING").unwrap().clone();
        world.report(&first, "RUNNING", None);
        let request = json!({"task": first, "status": "STOPPED", "containers": [
            {"containerName": "app", "status": "STOPPED", "exitCode": 0}]});
        let submit = crate::task::report::submit_task_state_change;
        world.run(|txn| submit(txn, from(request))).unwrap();
        assert_eq!((world.state.going("job"), world.state.awaiting_turn()), (1, others * 9 + 1));
        world.looked
    });
    assert_eq!(looked[0], looked[1]);
}
