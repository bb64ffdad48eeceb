//! Actors that panic by themselves: at something they hear, and at whatever they do.

use std::{sync::Arc, time::Duration};

use engine::{Engine, fake::Fake};

use super::*;
use crate::{
    api::Api,
    host::Parts,
    ledger::Ledger,
    task::{Condition, Container, Dependency},
};

/// A host without a control plane: what it is told waits in the ledger.
fn host(engine: &Fake) -> Arc<Host> {
    let credentials =
        wire::sigv4::Credentials { access_key: "test".into(), secret: "test".into(), token: None };
    Host::new(Parts {
        engine: Arc::new(engine.clone()),
        ledger: Ledger::over(Arc::new(store::memory::Memory::new()), "boot"),
        api: Arc::new(Api::new("http://127.0.0.1:1", "us-east-1", credentials).unwrap()),
        timers: crate::Timers { task_cleanup_wait: Duration::ZERO, ..crate::Timers::default() },
        region: "us-east-1".into(),
        isolation: engine::Isolation::default(),
        resources: crate::Resources {
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

fn task(id: &str) -> Task {
    Task {
        arn: format!("arn:aws:ecs:us-east-1:000000000000:task/default/{id}"),
        id: id.into(),
        cluster_arn: String::new(),
        family: "web".into(),
        version: "1".into(),
        spec: engine::TaskSpec { id: id.into(), ..Default::default() },
        attachment: None,
        containers: vec![Container { name: "app".into(), essential: true, ..Container::default() }],
        needs: Default::default(),
        refusal: None,
    }
}

fn begin(host: &Arc<Host>, task: Task) {
    spawn(host, task, Record { boot_id: "boot".into(), ..Record::default() }, watch::channel(true).1);
}

async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn known(host: &Host, id: &str) -> Option<Known> {
    let snapshots = host.snapshots();
    snapshots.iter().find(|task| task.arn.ends_with(id)).map(|task| task.known)
}

#[tokio::test]
async fn a_message_at_which_an_actor_panics_costs_its_container_nothing() {
    let engine = Fake::new();
    let host = host(&engine);
    tokio::spawn(host.clone().listen(engine.events()));
    begin(&host, task("t1"));
    eventually("it runs", || (known(&host, "t1") == Some(Known::Running)).then_some(())).await;
    // There is no such container.
    let nonsense = || Message::Fact(Fact::Vanished(99, String::new()));
    host.tell(&"t1".to_owned(), nonsense());
    host.tell(&"t1".to_owned(), nonsense());
    // Told to whoever looks after it then.
    host.stop("t1");
    eventually("it ends", || (known(&host, "t1") == Some(Known::Stopped)).then_some(())).await;
    let made = |what: &str| engine.calls().iter().filter(|call| call.starts_with(what)).count();
    assert_eq!((made("start"), made("stop")), (1, 1), "{:?}", engine.calls());
    let record = host.ledger.task("t1").unwrap();
    assert_eq!(record.state.reason, None);
}

#[tokio::test]
async fn a_task_at_which_the_planner_panics_ends_and_no_other() {
    let engine = Fake::new();
    let host = host(&engine);
    begin(&host, task("t1"));
    let mut broken = task("t2");
    broken.containers[0].depends_on = vec![Dependency { on: 99, condition: Condition::Start }];
    // Something of it is there.
    engine.prepare_task(&broken.spec).await.unwrap();
    begin(&host, broken);
    let report = eventually("its end is to be told", || {
        host.ledger.task("t2").unwrap().reports.into_iter().find(|r| r.status.as_deref() == Some("STOPPED"))
    });
    let reason = report.await.reason.unwrap();
    assert!(reason.starts_with("InternalError") && reason.contains("out of bounds"), "{reason}");
    assert_eq!(known(&host, "t2"), Some(Known::Stopped));
    let left = engine.list().await.unwrap();
    assert!(left.iter().all(|task| task.task == "t1"), "{left:?}");
    eventually("the other runs", || (known(&host, "t1") == Some(Known::Running)).then_some(())).await;
    assert_eq!(host.waiting(), 0);
}
