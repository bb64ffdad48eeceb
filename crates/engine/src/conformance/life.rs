//! Starts, ends, stops, restarts, commands.

use std::time::Duration;

use super::{Setting, ended, remove, spec, started, task, told};
use crate::{Engine, ExecSpec, Phase};

pub(super) async fn ends_with_its_code(engine: &dyn Engine, given: &Setting) {
    for (command, want) in [(&["true"][..], 0), (&["false"], 1), (&["sh", "-c", "exit 42"], 42)] {
        let mut events = engine.events();
        let id = started(engine, given, command).await;
        let exit = told(&mut events, &id).await;
        assert_eq!((exit.code, exit.oom_killed), (Some(want), false), "{command:?}");
        assert!(exit.exited_at_ms > 0);
        // What was told can be looked at from then on.
        let state = engine.inspect(&id).await.expect("looked at").expect("there");
        assert_eq!((state.phase, state.starts), (Phase::Exited(exit), 1));
        remove(engine, &id).await;
    }
}

pub(super) async fn starts_again(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["sh", "-c", "exit 3"]).await;
    ended(engine, &id).await;
    let mut events = engine.events();
    engine.start(&id).await.expect("what ended starts again");
    assert_eq!(told(&mut events, &id).await.code, Some(3));
    assert_eq!(engine.inspect(&id).await.expect("looked at").expect("there").starts, 2);
    remove(engine, &id).await;
}

pub(super) async fn stops_or_is_killed(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["sleep", "1000"]).await;
    engine.stop(&id, Duration::from_millis(50)).await.expect("asked to stop");
    // A plain program as PID 1 does not hear SIGTERM.
    assert_eq!(ended(engine, &id).await.code, Some(given.code_of_a_plain_stop()));
    engine.stop(&id, Duration::ZERO).await.expect("stopping what ended is no error");
    remove(engine, &id).await;
}

pub(super) async fn removes_what_runs(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["sleep", "1000"]).await;
    remove(engine, &id).await;
    assert_eq!(engine.inspect(&id).await.expect("looked at"), None);
    // Its name is free again.
    let again = task(engine, given).await;
    engine.create(&again, &spec(given, &["true"])).await.expect("created");
    remove(engine, &again).await;
}

pub(super) async fn runs_commands(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["sleep", "1000"]).await;
    let exec = |command: &[&str], ms| ExecSpec {
        command: command.iter().map(|w| (*w).to_owned()).collect(),
        timeout: Duration::from_millis(ms),
        max_output_bytes: 8,
    };
    let outcome = engine.exec(&id, &exec(&["echo", "hello"], 20_000)).await.expect("run");
    assert_eq!((outcome.code, outcome.output.as_slice()), (Some(0), &b"hello\n"[..]));
    let outcome = engine.exec(&id, &exec(&["sh", "-c", "exit 9"], 20_000)).await.expect("run");
    assert_eq!(outcome.code, Some(9));
    let outcome = engine.exec(&id, &exec(&["echo", "more than eight"], 20_000)).await.expect("run");
    assert_eq!(outcome.output, b"more tha");
    let outcome = engine.exec(&id, &exec(&["sleep", "1000"], 50)).await.expect("run");
    assert_eq!(outcome.code, None, "the time-out ends it");
    assert!(engine.exec(&id, &exec(&["/nonexistent"], 20_000)).await.is_err());
    assert!(engine.stats(&id).await.expect("stats").pids >= 1);
    remove(engine, &id).await;
}
