//! A full disk under the ledger.

use std::{sync::Arc, time::Duration};

use agent::{
    api::Api,
    host::{Host, Parts},
    ledger::Ledger,
};
use serde_json::json;

use crate::{app, engine_double::FakeEngine, server_double::eventually, stopped, task};

/// A host of 1024 CPU units and 100 MiB, without a control plane.
pub fn host(engine: &Arc<FakeEngine>, ledger: Ledger) -> Arc<Host> {
    let credentials =
        wire::sigv4::Credentials { access_key: "test".into(), secret: "test".into(), token: None };
    Host::new(Parts {
        engine: engine.clone(),
        ledger,
        // Nobody is there.
        api: Arc::new(Api::new("http://127.0.0.1:1", "us-east-1", credentials).unwrap()),
        timers: agent::Timers::default(),
        region: "us-east-1".into(),
        isolation: engine::Isolation::default(),
        resources: agent::Resources {
            cpu: 1024,
            memory_mib: 100,
            reserved_ports_tcp: vec![],
            reserved_ports_udp: vec![],
            gpus: Default::default(),
        },
        address: None,
        image_pull: engine::PullBehavior::PreferCached,
        disk: None,
        begins_anew: false,
    })
}

pub fn assignment(json: serde_json::Value) -> agent_protocol::acs::Task {
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn nothing_is_acknowledged_or_started_that_is_not_on_disk() {
    let store = Arc::new(store::memory::Memory::new());
    let ledger = Ledger::over(store.clone(), "boot");
    let engine = FakeEngine::new();
    let host = host(&engine, ledger.clone());
    tokio::spawn(host.clone().listen(engine::Engine::events(engine.as_ref())));
    store.set_fault(Some(store::Error::DiskFull { path: "x".into(), detail: "full".into() }));
    let run = || assignment(task("t1", json!([app()])));
    let short = Duration::from_millis(300);
    for _ in 0..2 {
        // Sent again it is no more on disk than before.
        assert!(tokio::time::timeout(short, host.assign(run())).await.is_err());
    }
    assert!(!engine.log().contains(&"start app".to_string()));

    store.set_fault(None);
    host.assign(run()).await.unwrap();
    eventually("the container starts", || engine.running("t1", "app").then_some(())).await;
    assert_eq!(ledger.tasks().unwrap().written.len(), 1);

    host.assign(assignment(stopped("t1"))).await.unwrap();
    assert_eq!(ledger.tasks().unwrap().written[0].1.assignment.desired_status.as_deref(), Some("STOPPED"));
    eventually("the task is removed", || engine.tasks().is_empty().then_some(())).await;
}
