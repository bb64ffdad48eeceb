//! STOPPED tasks that are kept for those who ask why, beyond the hour that the API shows: each is one that stopped and is
//! as it was, no more are there and for no longer than is set, none goes before its time but for newer ones, and nobody sees
//! them by the API.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ::ecs::{
    Cluster,
    cluster::{Keeps, KeptTaskRow, Key, TaskId, TaskRow, TaskStatus},
    limits,
};
use serde_json::{Value, json};
use state::Delta;
use tokio::time::sleep;

use crate::{
    network::{As, Failed, Node, call},
    server::CLUSTER,
    world::World,
};

/// How many DescribeTasks takes.
const AT_ONCE: usize = 100;
/// How long timers have after a clock was set.
const SETTLES: Duration = Duration::from_secs(120);

/// What a step broke of them, if anything.
pub fn after_step(world: &World, delta: &Delta<Cluster>) -> Option<String> {
    let mut is_touched = false;
    for key in delta.keys {
        let broken = match key {
            Key::Task(id) => forgotten(world, delta, id),
            Key::KeptTask(id) => {
                is_touched = true;
                changed(world, delta, id)
            }
            _ => None,
        };
        if broken.is_some() {
            return broken;
        }
    }
    let most = world.keeps.map_or(0, |keeps| keeps.count);
    let many = if is_touched { delta.after.kept_tasks().count() } else { 0 };
    (many > most).then(|| format!("{many} tasks are kept, {most} may be"))
}

/// Whether so many are kept that one more costs an older one its place.
fn is_full(after: &Cluster, keeps: Keeps) -> bool {
    after.kept_tasks().count() >= keeps.count
}

/// A task that the API shows no longer is kept, but where its time is over or newer ones have its place.
fn forgotten(world: &World, delta: &Delta<Cluster>, id: &TaskId) -> Option<String> {
    let task = delta.before.task(id).filter(|_| delta.after.task(id).is_none())?;
    if task.last != TaskStatus::Stopped {
        return Some(format!("task {id} is forgotten, and was {:?}", task.last));
    }
    let keeps = world.keeps.filter(|_| delta.after.kept_task(id).is_none())?;
    let until = task.stopped_at.unwrap_or_default().plus_millis(keeps.ms);
    let may_go = until <= world.latest() || is_full(delta.after, keeps);
    (!may_go).then(|| format!("task {id} is to be kept until {until:?}, and is not"))
}

fn changed(world: &World, delta: &Delta<Cluster>, id: &TaskId) -> Option<String> {
    let keeps = world.keeps?;
    match (delta.before.kept_task(id), delta.after.kept_task(id)) {
        (None, Some(row)) => begun(world, keeps, delta, row),
        (Some(old), Some(row)) if old.task != row.task => Some(format!("task {id} changed while it is kept")),
        (Some(old), Some(row)) if old.forget_at < row.forget_at => {
            Some(format!("task {id} is kept for longer than it was to be"))
        }
        (Some(old), None) => {
            let may_go = old.forget_at <= world.latest() || is_full(delta.after, keeps);
            (!may_go).then(|| format!("task {id} was to be kept until {:?}, and is gone", old.forget_at))
        }
        _ => None,
    }
}

fn begun(world: &World, keeps: Keeps, delta: &Delta<Cluster>, row: &Arc<KeptTaskRow>) -> Option<String> {
    world.outcome(|outcome| outcome.kept += 1);
    let id = row.task.id;
    let Some(before) = delta.before.task(&id) else {
        return Some(format!("task {id} is kept, and never was"));
    };
    let is_as_it_was = row.task == TaskRow { forget_at: None, ..before.as_ref().clone() };
    if row.task.last != TaskStatus::Stopped || !is_as_it_was || delta.after.task(&id).is_some() {
        return Some(format!("task {id} is kept as {:?}, and was {before:?}", row.task));
    }
    let most = world.latest().plus_millis(keeps.ms);
    (row.forget_at > most).then(|| format!("task {id} is kept until {:?}", row.forget_at))
}

/// Looks by the API for what is kept.
pub async fn unseen(world: &Arc<World>) {
    if world.keeps.is_none() {
        return;
    }
    let kept: BTreeSet<String> = match world.server().and_then(|server| server.state()) {
        Some(visible) => {
            visible.state.kept_tasks().map(|row| row.task.id.to_string()).take(AT_ONCE).collect()
        }
        None => return,
    };
    let Some(first) = kept.first() else { return };
    if let Ok(output) = ask(world, "DescribeTasks", json!({"tasks": kept})).await
        && let Some(task) = output["tasks"].as_array().into_iter().flatten().next()
    {
        world.fail(format!("DescribeTasks shows {}, which is only kept", task["taskArn"]));
    }
    if ask(world, "StopTask", json!({"task": first})).await.is_ok() {
        world.fail(format!("StopTask takes {first}, which is only kept"));
    }
    let mut next = Value::Null;
    loop {
        let mut input = json!({"desiredStatus": "STOPPED"});
        if !next.is_null() {
            input["nextToken"] = next;
        }
        let Ok(mut output) = ask(world, "ListTasks", input).await else { return };
        let mut arns = output["taskArns"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(arn) = arns.find(|arn| arn.rsplit('/').next().is_some_and(|id| kept.contains(id))) {
            return world.fail(format!("ListTasks shows {arn}, which is only kept"));
        }
        next = output["nextToken"].take();
        if next.is_null() {
            return;
        }
    }
}

async fn ask(world: &Arc<World>, operation: &'static str, mut input: Value) -> Result<Value, Failed> {
    input["cluster"] = CLUSTER.into();
    call(world, Node::User(9), &As::Administrator, ("ecs", operation), input).await
}

/// At the end the hour of all that has stopped is over: it is shown no longer, what is kept is no longer kept than it is to be,
/// and all that is checked after a step is.
pub async fn after_their_hour(world: &Arc<World>) {
    if world.keeps.is_none() {
        return;
    }
    let state = || world.server().and_then(|server| server.state());
    let Some(before) = state() else { return };
    world.set_clock_ahead(limits::STOPPED_TASK_KEPT_MS);
    // One that sees its clock set ahead doubts it for an hour before it forgets; one that begins so does not.
    world.ends.notify_one();
    sleep(SETTLES).await;
    let Some(visible) = state() else { return world.fail("there is no control plane") };
    let mut stopped = before.state.tasks().filter(|task| task.last == TaskStatus::Stopped);
    if let Some(task) = stopped.find(|task| visible.state.task(&task.id).is_some()) {
        world.fail(format!("task {} has stopped more than an hour ago, and is shown", task.id));
    }
    let now = world.now().plus_millis(-i64::try_from(SETTLES.as_millis()).unwrap_or_default());
    if let Some(row) = visible.state.kept_tasks().find(|row| row.forget_at < now) {
        world.fail(format!("task {} is kept, and was to be until {:?}", row.task.id, row.forget_at));
    }
    unseen(world).await;
}
