//! A Docker daemon of its own for a test, with its own root, socket and no network, and an engine on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use engine::Engine;
use engine::docker::{Config, Docker, Images};

/// The daemon that is installed, or that `tools/setup.sh` has unpacked; none of which CI must be without.
pub fn program() -> Option<(PathBuf, Option<PathBuf>)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed =
        std::env::split_paths(&path).map(|folder| folder.join("dockerd")).find(|file| file.exists());
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/roadstead/bench"));
    let unpacked = std::env::var_os("ROADSTEAD_BENCH_DIR").map(PathBuf::from).or(home);
    let unpacked = unpacked.map(|folder| folder.join("debian"));
    let found = installed.map(|file| (file, None)).or_else(|| {
        let folder = unpacked?;
        let file = folder.join("usr/sbin/dockerd");
        file.exists().then_some((file, Some(folder)))
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has Docker: tools/setup.sh VENV test");
        eprintln!("SKIPPED: there is no dockerd here; `tools/setup.sh VENV test` fetches Debian's");
    }
    found
}

pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub config: Config,
    program: (PathBuf, Option<PathBuf>),
    process: Child,
    flags: Vec<&'static str>,
    /// Docker makes this folder whatever it is told.
    made_run: bool,
}

impl Daemon {
    /// Starts one; none where there is none to start.
    pub async fn start(flags: &[&'static str]) -> Option<Daemon> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap();
        let id8 = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        let mut network = network::Config::new(id8.parse().unwrap(), dir.path().join("network"));
        network.pool_size = 1;
        let config = Config {
            socket: dir.path().join("docker.sock"),
            data_dir: dir.path().join("data"),
            run_dir: network.run_root.join(&id8),
            instance_id8: id8,
            holder: PathBuf::from(env!("CARGO_BIN_EXE_engine-supervisor")),
            holder_args: Vec::new(),
            network: Some(network),
        };
        std::fs::write(dir.path().join("daemon.json"), "{}").unwrap();
        let made_run = !Path::new("/run/docker").exists();
        let process = spawn(&program, dir.path(), flags);
        let daemon = Daemon { dir, config, program, process, flags: flags.to_vec(), made_run };
        daemon.answers().await;
        let made = image::testing::busybox_image(daemon.dir.path());
        let images = Images::connect(&daemon.config.socket).await.unwrap();
        images.load(&made.docker_archive, None).await.unwrap();
        Some(daemon)
    }

    async fn answers(&self) {
        crate::host::until("the Docker daemon's answer", async || {
            Images::connect(&self.config.socket).await.ok().map(drop)
        })
        .await;
    }

    pub async fn open(&self) -> Arc<Docker> {
        Arc::new(Docker::open(self.config.clone()).await.unwrap())
    }

    /// Ends it as a crash does, and starts it again.
    pub async fn crash(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // What is left of it is no sign of another that runs.
        for file in ["docker.pid", "exec/containerd/containerd.pid"] {
            let _ = std::fs::remove_file(self.dir.path().join(file));
        }
        self.process = spawn(&self.program, self.dir.path(), &self.flags);
        self.answers().await;
    }
}

fn spawn(program: &(PathBuf, Option<PathBuf>), dir: &Path, flags: &[&str]) -> Child {
    let mut command = Command::new(&program.0);
    if let Some(folder) = &program.1 {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [folder.join("usr/bin"), folder.join("usr/sbin")].into_iter();
        let path: OsString = std::env::join_paths(own.chain(std::env::split_paths(&path))).unwrap();
        let libraries = format!("{0}/usr/lib/x86_64-linux-gnu:{0}/lib/x86_64-linux-gnu", folder.display());
        command.env("PATH", path).env("LD_LIBRARY_PATH", libraries);
    }
    let at = |name: &str| dir.join(name).into_os_string();
    let mut socket = OsString::from("unix://");
    socket.push(at("docker.sock"));
    for (flag, value) in [
        ("--data-root", at("docker")),
        ("--exec-root", at("exec")),
        ("--pidfile", at("docker.pid")),
        ("--config-file", at("daemon.json")),
        ("--host", socket),
    ] {
        command.arg(flag).arg(value);
    }
    let log = std::fs::File::options().create(true).append(true).open(dir.join("dockerd.log")).unwrap();
    command.args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]).args(flags);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let config = self.config.clone();
        // A test may have its runtime still; purging needs one of its own.
        let purged = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let docker = Docker::open(config).await.map_err(|e| e.to_string())?;
                docker.purge().await.map_err(|e| e.to_string())?;
                Ok::<_, String>(docker.audit().await)
            })
        });
        let purged = purged.join().unwrap();
        let pid = nix::unistd::Pid::from_raw(self.process.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
        for mount in crate::host::mounts_under(self.dir.path()) {
            if let Some(path) = mount.split(' ').nth(4) {
                let _ = nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH);
            }
        }
        if self.made_run {
            let _ = std::fs::remove_dir("/run/docker/plugins");
            let _ = std::fs::remove_dir("/run/docker");
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("dockerd.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("level=info")).collect();
            eprintln!("{}", lines.join("\n"));
        } else {
            assert_eq!(purged, Ok(Vec::new()), "left behind");
        }
    }
}

/// A container that is the user's own.
pub struct Bystander {
    api: bollard::Docker,
}

/// Makes one beside those of the engine.
pub async fn bystander(daemon: &Daemon) -> Bystander {
    let path = daemon.config.socket.to_string_lossy().into_owned();
    let api = bollard::Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION).unwrap();
    let api = api.negotiate_version().await.unwrap();
    let options =
        bollard::query_parameters::CreateContainerOptions { name: Some("mine".into()), ..Default::default() };
    let body = bollard::models::ContainerCreateBody {
        image: Some(crate::host::IMAGE.into()),
        cmd: Some(vec!["sleep".into(), "1000".into()]),
        host_config: Some(bollard::models::HostConfig {
            network_mode: Some("none".into()),
            cgroup_parent: Some(format!("/roadstead-bystander-{}", daemon.config.instance_id8)),
            ..Default::default()
        }),
        ..Default::default()
    };
    api.create_container(Some(options), body).await.unwrap();
    api.start_container("mine", None).await.unwrap();
    Bystander { api }
}

impl Bystander {
    /// It runs still; and goes.
    pub async fn stands(self) {
        let seen = self.api.inspect_container("mine", None).await.unwrap();
        assert_eq!(seen.state.unwrap().running, Some(true), "what is not ours is not touched");
        let parent = seen.host_config.unwrap().cgroup_parent.unwrap();
        let options = bollard::query_parameters::RemoveContainerOptions { force: true, ..Default::default() };
        self.api.remove_container("mine", Some(options)).await.unwrap();
        for tree in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(tree.path().join(&parent[1..]));
        }
        let _ = std::fs::remove_dir(format!("/sys/fs/cgroup{parent}"));
    }
}
