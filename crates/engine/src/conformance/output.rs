//! What a container writes.

use super::{Setting, ended, remove, started, told};
use crate::{Engine, OutputRecord};

/// Reads to the end of what an ended container wrote.
async fn read_all(engine: &dyn Engine, id: &crate::ContainerId, mut cursor: u64) -> Vec<OutputRecord> {
    let mut all = Vec::new();
    loop {
        let chunk = engine.output(id, cursor, 1).await.expect("output is read");
        assert!(chunk.cursor >= cursor, "a cursor never goes back");
        cursor = chunk.cursor;
        all.extend(chunk.records);
        if chunk.ended {
            return all;
        }
    }
}

fn lines(records: &[OutputRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8_lossy(&r.data).into_owned()).collect()
}

pub(super) async fn is_read_from_any_cursor(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["echo", "one line"]).await;
    ended(engine, &id).await;
    let all = read_all(engine, &id, 0).await;
    assert_eq!(lines(&all), ["one line"]);
    assert!(!all[0].partial && all[0].at_ms > 0);
    assert_eq!(read_all(engine, &id, all[0].cursor).await, []);
    engine.release_output(&id, all[0].cursor).await.expect("released");
    remove(engine, &id).await;
}

pub(super) async fn goes_on_after_a_restart(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["echo", "again"]).await;
    ended(engine, &id).await;
    let first = read_all(engine, &id, 0).await;
    let mut events = engine.events();
    engine.start(&id).await.expect("started again");
    told(&mut events, &id).await;
    let second = read_all(engine, &id, first[0].cursor).await;
    assert_eq!(lines(&second), ["again"]);
    assert!(second[0].cursor > first[0].cursor);
    remove(engine, &id).await;
}

pub(super) async fn stays_when_the_task_is_released(engine: &dyn Engine, given: &Setting) {
    let id = started(engine, given, &["echo", "kept"]).await;
    let exit = ended(engine, &id).await;
    for _ in 0..2 {
        engine.release_task(&id.task).await.expect("released, also twice");
    }
    assert_eq!(lines(&read_all(engine, &id, 0).await), ["kept"]);
    let state = engine.inspect(&id).await.expect("looked at").expect("there");
    assert_eq!(state.phase, crate::Phase::Exited(exit));
    remove(engine, &id).await;
    engine.release_task(&id.task).await.expect("releasing what is not there is no error");
}
