//! A native engine of its own for each test: a fresh folder and instance id, and nothing left behind,
//! also when the test fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::native::{Config, Native};
use engine::{
    ContainerId, ContainerSpec, Engine, Event, ExecSpec, Exit, NetworkMode, OutputRecord, TaskSpec,
};

/// The longest that anything in a test may take.
pub const WAIT: Duration = Duration::from_secs(30);

pub const IMAGE: &str = "busybox:latest";

/// A folder, an id, and an image in its store.
pub struct Host {
    pub dir: tempfile::TempDir,
    pub config: Config,
}

impl Host {
    /// With the host's network only.
    pub fn new() -> Host {
        Host::make(false)
    }

    /// With a bridge of its own.
    pub fn with_network() -> Host {
        Host::make(true)
    }

    fn make(network: bool) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let id8 = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        let images = image::Store::open(&dir.path().join("images")).unwrap();
        let made = image::testing::busybox_image(dir.path());
        images.load(&made.docker_archive, &image::LoadOptions::default()).unwrap();
        let network = network.then(|| {
            let mut config = network::Config::new(id8.parse().unwrap(), dir.path().join("network"));
            config.pool_size = 1;
            config
        });
        let config = Config {
            data_dir: dir.path().to_owned(),
            run_dir: dir.path().join("run"),
            instance_id8: id8,
            supervisor: PathBuf::from(env!("CARGO_BIN_EXE_engine-supervisor")),
            supervisor_args: Vec::new(),
            images,
            pull: image::PullOptions::default(),
            image_policy: image::gc::Policy::default(),
            network,
            ids: engine::native::IdPool::default(),
            runsc: crate::gvisor::program().unwrap_or_else(|| "runsc".into()),
        };
        Host { dir, config }
    }

    pub async fn open(&self) -> Arc<Native> {
        Arc::new(Native::open(self.config.clone()).await.unwrap())
    }

    pub fn task_dir(&self, task: &str) -> PathBuf {
        self.dir.path().join("engine/tasks").join(task)
    }

    /// The pid in a task's `supervisor.json`.
    pub fn supervisor(&self, task: &str) -> i32 {
        let text =
            std::fs::read_to_string(self.dir.path().join("run/tasks").join(task).join("supervisor.json"))
                .unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["pid"].as_i64().unwrap() as i32
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let config = self.config.clone();
        // A test may have its runtime still; purging needs one of its own.
        let purged = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let native = Native::open(config).await.map_err(|e| e.to_string())?;
                native.purge().await.map_err(|e| e.to_string())?;
                Ok::<_, String>(native.audit())
            })
        });
        let purged = purged.join().unwrap();
        if !std::thread::panicking() {
            assert_eq!(purged, Ok(Vec::new()), "left behind");
        }
    }
}

pub fn task_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

pub fn id(task: &str, name: &str) -> ContainerId {
    ContainerId { task: task.to_owned(), name: name.to_owned() }
}

/// `sh -c script` on the host's network.
pub fn shell(script: &str) -> ContainerSpec {
    ContainerSpec {
        image: IMAGE.to_owned(),
        command: Some(vec!["sh".into(), "-c".into(), script.into()]),
        network: NetworkMode::Host,
        ..ContainerSpec::default()
    }
}

/// Prepares a task of one container, `c`, and starts it.
pub async fn run(engine: &dyn Engine, spec: &ContainerSpec) -> ContainerId {
    let task = TaskSpec { id: task_id(), ..TaskSpec::default() };
    engine.prepare_task(&task).await.unwrap();
    let id = id(&task.id, "c");
    engine.create(&id, spec).await.unwrap();
    engine.start(&id).await.unwrap();
    id
}

/// Prepares a task and starts its containers, named a, b, …
pub async fn start(engine: &dyn Engine, task: &TaskSpec, specs: &[ContainerSpec]) -> Vec<ContainerId> {
    let named: Vec<_> = ["a", "b"].into_iter().zip(specs.iter().cloned()).collect();
    start_named(engine, task, &named).await
}

/// Prepares a task and starts its containers.
pub async fn start_named(
    engine: &dyn Engine,
    task: &TaskSpec,
    specs: &[(&str, ContainerSpec)],
) -> Vec<ContainerId> {
    engine.prepare_task(task).await.unwrap();
    let mut ids = Vec::new();
    for (name, spec) in specs {
        let id = id(&task.id, name);
        engine.create(&id, spec).await.unwrap();
        engine.start(&id).await.unwrap();
        ids.push(id);
    }
    ids
}

/// What a command in a container says.
pub async fn say(engine: &dyn Engine, id: &ContainerId, script: &str) -> String {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let exec = ExecSpec { command, timeout: Duration::from_secs(20), max_output_bytes: 4000 };
    let said = engine.exec(id, &exec).await.unwrap();
    String::from_utf8_lossy(&said.output).trim().to_owned()
}

/// Waits until `check` answers something.
pub async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn exit(engine: &dyn Engine, id: &ContainerId) -> Exit {
    until("the container's end", async || match engine.inspect(id).await.unwrap().unwrap().phase {
        engine::Phase::Exited(exit) => Some(exit),
        _ => None,
    })
    .await
}

/// Everything the container wrote, to its end.
pub async fn all_output(engine: &dyn Engine, id: &ContainerId) -> Vec<OutputRecord> {
    let (mut records, mut cursor) = (Vec::new(), 0);
    until("the end of output", async || {
        let chunk = engine.output(id, cursor, 64 << 10).await.unwrap();
        cursor = chunk.cursor;
        records.extend(chunk.records);
        chunk.ended.then_some(())
    })
    .await;
    records
}

pub async fn text(engine: &dyn Engine, id: &ContainerId) -> String {
    let records = all_output(engine, id).await;
    let lines = records
        .iter()
        .map(|r| String::from_utf8_lossy(&r.data).into_owned() + if r.partial { "" } else { "\n" });
    lines.collect()
}

/// Runs a container to its end: its exit code and what it wrote.
pub async fn finish(engine: &dyn Engine, spec: &ContainerSpec) -> (Option<i32>, String) {
    let id = run(engine, spec).await;
    let exit = exit(engine, &id).await;
    (exit.code, text(engine, &id).await)
}

/// The next event that `pick` takes.
pub async fn event<T>(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    tokio::time::timeout(WAIT, async {
        loop {
            if let Some(value) = pick(events.recv().await.unwrap()) {
                return value;
            }
        }
    })
    .await
    .expect("the event comes in time")
}

/// Whether this host's mount table shows anything under `dir`.
pub fn mounts_under(dir: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|l| l.contains(dir.to_str().unwrap())).map(str::to_owned).collect()
}
