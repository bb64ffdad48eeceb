//! One task, or what is left of one, that cannot be taken up: it keeps no other from it nor the engine from opening,
//! and is taken up once it can be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Engine, NetworkMode, Phase};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::host::{self, Host, shell};

/// A file or folder that can be read and neither be changed nor removed, on any file system.
struct Fixed(PathBuf);

impl Fixed {
    fn new(path: PathBuf) -> Fixed {
        let none = None::<&str>;
        mount(Some(&path), &path, none, MsFlags::MS_BIND, none).unwrap();
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, &path, none, read_only, none).unwrap();
        Fixed(path)
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

fn kill(pid: i32) {
    // SAFETY: the pid is our own supervisor's.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn is_gone(path: &Path) -> Option<()> {
    (!path.exists()).then_some(())
}

#[tokio::test]
async fn a_task_that_cannot_be_cleared_up_keeps_no_other_from_being_taken_up() {
    let host = Host::new();
    let engine = host.open().await;
    let sound = host::run(&*engine, &shell("sleep 1000")).await;
    let stuck = host::run(&*engine, &shell("sleep 1000")).await;
    let beside = host::id(&stuck.task, "beside");
    engine.create(&beside, &shell("sleep 1000")).await.unwrap();
    engine.start(&beside).await.unwrap();
    drop(engine);
    kill(host.supervisor(&stuck.task));
    let fixed = Fixed::new(host.task_dir(&stuck.task).join("c/state.json"));
    let foreign = host.task_dir("lost+found");
    std::fs::create_dir(&foreign).unwrap();
    let engine = host.open().await;
    assert!(matches!(engine.inspect(&sound).await.unwrap().unwrap().phase, Phase::Running(_)));
    assert_eq!(engine.list().await.unwrap().len(), 2);
    // Neither does one container the others of its task.
    host::exit(&*engine, &beside).await;
    let next = host::run(&*engine, &shell("exit 3")).await;
    assert_eq!(host::exit(&*engine, &next).await.code, Some(3));
    assert!(
        matches!(engine.inspect(&stuck).await.unwrap().unwrap().phase, Phase::Running(_)),
        "not known yet"
    );
    let refused = engine.start(&beside).await.unwrap_err();
    assert!(refused.temporary, "{refused}");
    let mut events = engine.events();
    drop(fixed);
    host::event(&mut events, |event| matches!(event, engine::Event::Missed).then_some(())).await;
    assert_eq!(host::exit(&*engine, &stuck).await.code, None);
    engine.start(&beside).await.unwrap();
    assert!(foreign.exists());
}

#[tokio::test]
async fn a_supervisor_whose_remains_cannot_be_cleared_up_is_tried_again() {
    let host = Host::new();
    let engine = host.open().await;
    let id = host::run(&*engine, &shell("sleep 1000")).await;
    let fixed = Fixed::new(host.task_dir(&id.task).join("c/state.json"));
    kill(host.supervisor(&id.task));
    let task = engine::TaskSpec { id: id.task.clone(), ..engine::TaskSpec::default() };
    host::until("it is noticed", async || engine.prepare_task(&task).await.err()).await;
    drop(fixed);
    host::exit(&*engine, &id).await;
}

#[tokio::test]
async fn what_cannot_be_removed_or_read_at_opening_is_passed_over() {
    let host = Host::new();
    let engine = host.open().await;
    let runs = host::run(&*engine, &shell("sleep 1000")).await;
    drop(engine);
    let stray = host.dir.path().join("run/tasks").join(host::task_id());
    std::fs::create_dir_all(&stray).unwrap();
    let fixed = Fixed::new(stray.clone());
    let hold = host.dir.path().join("images/holds").join("0".repeat(64));
    std::fs::write(&hold, "").unwrap();
    let engine = host.open().await;
    assert!(matches!(engine.inspect(&runs).await.unwrap().unwrap().phase, Phase::Running(_)));
    assert!(stray.exists());
    drop(fixed);
    host::until("it is removed in the end", async || is_gone(&stray)).await;
    std::fs::remove_file(&hold).unwrap();
}

/// Its plan says how a container is run, whose image it holds, and that it is on the network.
#[tokio::test]
async fn a_container_whose_plan_is_damaged_runs_on_and_can_be_stopped() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    spec.network = NetworkMode::Bridge;
    let id = host::run(&*engine, &spec).await;
    host::until("its trap", async || {
        (!engine.output(&id, 0, 100).await.unwrap().records.is_empty()).then_some(())
    })
    .await;
    let holds = host.config.images.holds().unwrap();
    drop(engine);
    std::fs::write(host.dir.path().join("run/tasks").join(&id.task).join("c/plan.json"), "{").unwrap();
    let engine = host.open().await;
    assert_eq!(host.config.images.holds().unwrap(), holds);
    let run = host.config.network.as_ref().unwrap().run_root.join(&host.config.instance_id8);
    assert_eq!(std::fs::read_dir(run.join("attachments")).unwrap().count(), 1, "it is on the network");
    engine.stop(&id, Duration::from_secs(10)).await.unwrap();
    assert_eq!(host::exit(&*engine, &id).await.code, Some(5));
    engine.remove_task(&id.task).await.unwrap();
}

/// Others take away the files of namespaces and the records of the network, while tasks run and while no engine is
/// there.
#[tokio::test]
async fn a_container_keeps_its_network_whatever_is_taken_away_in_run() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mut spec = shell("while :; do nc -l -p 80 -e echo here; done");
    spec.network = NetworkMode::Bridge;
    spec.port_mappings = vec![engine::PortMapping {
        container_port: 80,
        host_port: None,
        protocol: engine::Protocol::Tcp,
        more: 0,
    }];
    let id = host::run(&*engine, &spec).await;
    let created = engine.inspect(&id).await.unwrap().unwrap().created;
    let port = created.bindings[0].host_port;
    let answers = async || {
        host::until("its answer", async || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            let mut text = String::new();
            std::io::Read::read_to_string(&mut stream, &mut text).ok()?;
            (text == "here\n").then_some(())
        })
        .await;
    };
    answers().await;
    let run = host.config.network.as_ref().unwrap().run_root.join(&host.config.instance_id8);
    let take_away = || {
        for file in std::fs::read_dir(run.join("netns")).unwrap() {
            let file = file.unwrap().path();
            let _ = umount2(&file, MntFlags::MNT_DETACH);
            std::fs::remove_file(&file).unwrap();
        }
    };
    take_away();
    engine.stop(&id, Duration::ZERO).await.unwrap();
    host::exit(&*engine, &id).await;
    engine.start(&id).await.unwrap();
    answers().await;
    drop(engine);
    take_away();
    for record in std::fs::read_dir(run.join("attachments")).unwrap() {
        std::fs::write(record.unwrap().path(), "{").unwrap();
    }
    let engine = host.open().await;
    answers().await;
    assert_eq!(engine.inspect(&id).await.unwrap().unwrap().created, created);
    engine.stop(&id, Duration::ZERO).await.unwrap();
    host::exit(&*engine, &id).await;
    engine.start(&id).await.unwrap();
    answers().await;
}
