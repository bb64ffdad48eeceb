//! Repetition, absence, failure, listing.

use std::time::Duration;

use super::{Setting, remove, spec, started, task};
use crate::{ContainerId, Engine, ExecSpec, Kind, Phase, TaskSpec};

pub(super) async fn every_call_may_be_repeated(engine: &dyn Engine, given: &Setting) {
    let id = task(engine, given).await;
    let again = TaskSpec { id: id.task.clone(), ..super::task_spec(given) };
    engine.prepare_task(&again).await.expect("prepared twice");
    let container = spec(given, &["sleep", "1000"]);
    let first = engine.create(&id, &container).await.expect("created");
    assert_eq!(first.runtime_id.len(), 64);
    assert_eq!(engine.create(&id, &container).await.expect("created twice"), first);
    let started = engine.start(&id).await.expect("started");
    assert_eq!(engine.start(&id).await.expect("started twice"), started);
    let state = engine.inspect(&id).await.expect("looked at").expect("there");
    assert_eq!((state.phase, state.starts), (Phase::Running(started), 1));
    remove(engine, &id).await;
    remove(engine, &id).await;
}

pub(super) async fn what_is_not_there_is_said(engine: &dyn Engine, given: &Setting) {
    let id = ContainerId { task: "0".repeat(32), name: "c".to_owned() };
    assert_eq!(engine.inspect(&id).await.expect("looked at"), None);
    engine.stop(&id, Duration::ZERO).await.expect("stopping what is not there is no error");
    engine.remove_task(&id.task).await.expect("removing what is not there is no error");
    assert!(engine.create(&id, &spec(given, &["true"])).await.is_err(), "a task must be prepared first");
    let id = task(engine, given).await;
    assert_eq!(engine.start(&id).await.expect_err("not created").kind, Kind::NoSuchContainer);
    assert_eq!(engine.output(&id, 0, 1).await.expect_err("not created").kind, Kind::NoSuchContainer);
    let exec =
        ExecSpec { command: vec!["true".to_owned()], timeout: Duration::from_secs(1), max_output_bytes: 1 };
    assert!(engine.exec(&id, &exec).await.is_err());
    assert!(engine.stats(&id).await.is_err());
    remove(engine, &id).await;
}

pub(super) async fn failures_have_their_names(engine: &dyn Engine, given: &Setting) {
    let id = task(engine, given).await;
    let mut absent = spec(given, &["true"]);
    absent.image = "localhost:1/nonexistent:latest".to_owned();
    assert_eq!(engine.create(&id, &absent).await.expect_err("no such image").kind, Kind::Create);
    engine.create(&id, &spec(given, &["/nonexistent"])).await.expect("created");
    let error = engine.start(&id).await.expect_err("no such program");
    assert_eq!(error.kind, Kind::Start);
    assert!(error.message.contains("no such file or directory"), "{error}");
    let state = engine.inspect(&id).await.expect("looked at").expect("there");
    assert_eq!((state.phase, state.starts), (Phase::Created, 0));
    remove(engine, &id).await;
}

pub(super) async fn a_list_shows_everything(engine: &dyn Engine, given: &Setting) {
    let before = engine.list().await.expect("listed").len();
    let runs = started(engine, given, &["sleep", "1000"]).await;
    let bare = task(engine, given).await;
    let list = engine.list().await.expect("listed");
    assert_eq!(list.len(), before + 2);
    let of =
        |id: &ContainerId| list.iter().find(|t| t.task == id.task).expect("it is listed").containers.clone();
    assert_eq!(of(&bare), []);
    let [container] = &of(&runs)[..] else { panic!("one container") };
    assert!(container.id == runs && matches!(container.phase, Phase::Running(_)));
    remove(engine, &runs).await;
    remove(engine, &bare).await;
    assert_eq!(engine.list().await.expect("listed").len(), before);
}

pub(super) async fn a_purge_leaves_nothing(engine: &dyn Engine, given: &Setting) {
    let runs = started(engine, given, &["sleep", "1000"]).await;
    let audit = engine.audit().await;
    assert!(audit.iter().any(|line| line.contains(&runs.task)), "what is there is shown: {audit:?}");
    engine.purge().await.expect("everything is removed");
    assert_eq!(engine.audit().await, Vec::<String>::new());
}
