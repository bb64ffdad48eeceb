//! The fake keeps to what every engine must do, and to its script.

use std::time::Duration;

use super::*;
use crate::{ContainerSpec, Engine, ExecSpec, Kind, Phase, PullBehavior, PullRequest, TaskSpec, conformance};

#[tokio::test]
async fn conforms() {
    conformance::run(&Fake::new(), &conformance::Given { image: "busybox".into() }).await;
}

#[tokio::test]
async fn follows_its_script() {
    let fake = Fake::new();
    fake.fail_pull("gone", Error::fatal(Kind::Pull, "not found"));
    let pull = PullRequest { image: "gone".into(), behavior: PullBehavior::Default, auth: None };
    assert_eq!(fake.pull(&pull).await.unwrap_err().to_string(), "CannotPullContainerError: not found");
    let healthy = ExecOutcome { code: Some(0), output: Vec::new() };
    let sick = ExecOutcome { code: Some(1), output: Vec::new() };
    let script = Script {
        exec: vec![Ok(healthy), Ok(sick)],
        stop_takes: Some(Duration::from_millis(1)),
        output: vec!["hello".into()],
        ..Script::default()
    };
    fake.script("web", script);
    fake.script("bad", Script { start_error: Some(Error::fatal(Kind::Start, "no")), ..Script::default() });
    let task = TaskSpec { id: "t".into(), ..TaskSpec::default() };
    fake.prepare_task(&task).await.unwrap();
    let id = |name: &str| ContainerId { task: "t".into(), name: name.into() };
    for name in ["web", "bad"] {
        fake.create(&id(name), &ContainerSpec { image: "i".into(), ..ContainerSpec::default() })
            .await
            .unwrap();
    }
    assert!(fake.start(&id("bad")).await.is_err());
    fake.start(&id("web")).await.unwrap();
    let exec = ExecSpec { command: vec!["x".into()], timeout: Duration::from_secs(1), max_output_bytes: 1 };
    for want in [0, 1, 1] {
        assert_eq!(fake.exec(&id("web"), &exec).await.unwrap().code, Some(want));
    }
    assert_eq!(fake.output(&id("web"), 0, 100).await.unwrap().records[0].data, b"hello");
    let mut events = fake.events();
    fake.stop(&id("web"), Duration::from_secs(10)).await.unwrap();
    assert!(matches!(events.recv().await.unwrap(), Event::Exited { exit, .. } if exit.code == Some(0)));
    fake.start(&id("web")).await.unwrap();
    fake.exit(&id("web"), Some(137), true);
    let state = fake.inspect(&id("web")).await.unwrap().unwrap();
    assert!(matches!(state.phase, Phase::Exited(exit) if exit.oom_killed));
    assert_eq!(fake.calls().iter().filter(|c| *c == "start t/web").count(), 2);
}
