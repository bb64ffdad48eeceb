//! Rows as each version wrote them, and rows that are not what their key says.

use std::path::Path;

use store::memory::Memory;

use super::*;
use crate::task::ContainerState;

const ARN: &str = "arn:aws:ecs:us-east-1:000000000000:task/default/";

fn assignment(id: &str) -> acs::Task {
    let task = serde_json::json!({
        "arn": format!("{ARN}{id}"), "taskClusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default",
        "desiredStatus": "RUNNING", "family": "web", "version": "3", "overrides": "{}",
        "containers": [{"name": "app", "image": "busybox", "cpu": 10, "memory": 64, "essential": true}],
    });
    serde_json::from_value(task).unwrap()
}

fn record(id: &str) -> Record {
    let exit = engine::Exit { code: Some(137), oom_killed: true, exited_at_ms: 9, reason: None };
    let container = ContainerState {
        phase: crate::task::Phase::Running,
        image_digest: Some("sha256:0".into()),
        started: Some(engine::Started { pid: 7, started_at_ms: 8 }),
        last_exit: Some(exit),
        ..ContainerState::default()
    };
    let report = serde_json::json!({"cluster": "default", "task": format!("{ARN}{id}"), "status": "RUNNING"});
    Record {
        boot_id: "boot".into(),
        state: TaskState { admitted: true, containers: vec![container], ..TaskState::default() },
        reports: vec![serde_json::from_value(report).unwrap()],
        ..Record::default()
    }
}

fn ledger() -> (Arc<Memory>, Ledger) {
    let store = Arc::new(Memory::new());
    (store.clone(), Ledger::over(store, "boot"))
}

fn container() -> engine::ContainerId {
    engine::ContainerId { task: "t1".into(), name: "app".into() }
}

/// A ledger with a row of every kind, as text: one a line, key, a tab, the row.
async fn written() -> String {
    let (store, ledger) = ledger();
    let instance = Instance { cluster: "default".into(), arn: "arn:i".into() };
    ledger.set_instance(&instance).await.unwrap();
    let key = AgentKey { access_key_id: "RSAG1".into(), secret_access_key: "s".into() };
    ledger.set_key(&key).await.unwrap();
    ledger.set_acs(AcsCursor { seq_num: 7, timeline: Some(3) }).await.unwrap();
    ledger.assign("t1", &assignment("t1")).await.unwrap();
    ledger.record("t1", &record("t1")).await.unwrap();
    let shipped = Shipped { cursor: 4096, lines: 12, dropped_lines: 1, dropped_bytes: 80 };
    ledger.set_shipped(&container(), shipped).await.unwrap();
    let mut text = String::new();
    let mut add = |entry: Entry| {
        text += &format!("{}\t{}\n", entry.key, String::from_utf8_lossy(&entry.value));
    };
    store.scan(&Span::all(), &mut add).unwrap();
    text
}

/// A version that changes what it writes adds a file (`UPDATE=1` writes the newest); none is ever changed.
#[tokio::test]
async fn rows_of_every_version_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ledger");
    let newest = folder.join("2026-11-28.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&newest, written().await).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&newest).unwrap(), written().await, "what is written has changed");
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let (store, ledger) = ledger();
        for (key, row) in text.lines().map(|line| line.split_once('\t').unwrap()) {
            store.commit(Commit::new().put(key, row.to_owned())).unwrap();
        }
        assert_eq!(ledger.instance().unwrap().unwrap().arn, "arn:i");
        assert_eq!(ledger.acs().unwrap(), AcsCursor { seq_num: 7, timeline: Some(3) });
        assert_eq!(ledger.shipped(&container()).unwrap().cursor, 4096);
        assert_eq!(ledger.key().unwrap().is_some(), text.contains("agent-key"));
        let tasks = ledger.tasks().unwrap();
        let (id, task) = &tasks.written[0];
        assert_eq!((id.as_str(), task.assignment.arn.clone()), ("t1", Some(format!("{ARN}t1"))));
        assert!(task.record.state.containers[0].has_run() && !task.record.is_lost);
        assert_eq!(aside::list(store.as_ref()), Ok(Vec::new()));
        files += 1;
    }
    assert!(files >= 2);
}

#[tokio::test]
async fn a_row_of_another_task_is_set_aside() {
    for (assigned, recorded, lost) in [("t2", "t1", "assignment"), ("t1", "t2", "record")] {
        let (store, ledger) = ledger();
        ledger.assign("t1", &assignment(assigned)).await.unwrap();
        ledger.record("t1", &record(recorded)).await.unwrap();
        let tasks = ledger.tasks().unwrap();
        assert_eq!(tasks.unreadable.len(), usize::from(lost == "assignment"));
        assert!(tasks.written.iter().all(|(_, task)| task.record.is_lost));
        // After what was submitted before it.
        store.commit(Commit::new().put("after", "")).unwrap();
        let keys: Vec<String> = aside::list(store.as_ref()).unwrap().into_iter().map(|row| row.key).collect();
        assert_eq!(keys, [format!("task/t1/{lost}")]);
    }
}
