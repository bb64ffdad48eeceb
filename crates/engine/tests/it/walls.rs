//! Tasks behind a wall: what a user namespace of a task's own keeps it from, and what it does not keep it from.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use engine::conformance::{self, Given};
use engine::{
    ContainerId, ContainerSpec, Engine, Isolation, Kind, Mount, NetworkMode, Phase, PidMode, TaskSpec, Tmpfs,
    Ulimit, Volume,
};

use crate::host::{self, Host, IMAGE, say, start};

fn shell(script: &str) -> ContainerSpec {
    ContainerSpec { network: NetworkMode::None, ..host::shell(script) }
}

fn walled() -> TaskSpec {
    TaskSpec { id: host::task_id(), isolation: Isolation::Namespaces, ..TaskSpec::default() }
}

async fn pid(engine: &dyn Engine, id: &ContainerId) -> i32 {
    match engine.inspect(id).await.unwrap().unwrap().phase {
        Phase::Running(started) => started.pid,
        other => panic!("{other:?}"),
    }
}

/// The first id of the host that a task has.
fn base(host: &Host, task: &str) -> u32 {
    let links = fs::read_dir(host.dir.path().join("engine/ids")).unwrap().flatten();
    let of_task = links.filter(|link| fs::read_link(link.path()).unwrap().to_str() == Some(task));
    let names: Vec<_> = of_task.map(|link| link.file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 1, "one range");
    names[0].parse().unwrap()
}

#[tokio::test]
async fn the_whole_suite_is_passed_in_user_namespaces() {
    let host = Host::with_network();
    let engine = host.open().await;
    let given = Given { image: IMAGE.to_owned() };
    conformance::run_within(&*engine, &given, Isolation::Namespaces).await;
}

#[tokio::test]
async fn root_inside_is_nobody_outside() {
    let host = Host::with_network();
    let engine = host.open().await;
    let task = walled();
    let user = ContainerSpec { user: Some("1000:50".into()), ..shell("sleep 1000") };
    let ids = start(&*engine, &task, &[shell("sleep 1000"), user]).await;
    let base = base(&host, &task.id);
    for (id, uid, gid) in [(&ids[0], 0, 0), (&ids[1], 1000, 50)] {
        let status = fs::read_to_string(format!("/proc/{}/status", pid(&*engine, id).await)).unwrap();
        let line = |name: &str, id: u32| format!("{name}:\t{id}\t{id}\t{id}\t{id}\n");
        assert!(
            status.contains(&line("Uid", base + uid)) && status.contains(&line("Gid", base + gid)),
            "{status}"
        );
        assert!(status.contains("Groups:\t \n") && status.contains("Seccomp:\t2"), "{status}");
        assert_eq!(say(&*engine, id, "id -u; id -g").await, format!("{uid}\n{gid}"), "also of a command");
    }
    let look = "stat -c %u /bin/busybox /etc /proc/1 /dev /dev/pts/ptmx /tmp; cat /proc/self/uid_map; \
                echo 127.9.9.9 more >> /etc/hosts; touch /new; mkdir -p /deep/er; stat -c %u:%g /new /deep/er";
    let said = say(&*engine, &ids[0], look).await;
    assert!(said.ends_with("0:0\n0:0"), "{said}");
    assert_eq!(said.lines().take(4).collect::<Vec<_>>(), ["0"; 4], "{said}");
    assert!(said.contains(&format!("{base}      65536")), "{said}");
    let upper = host.task_dir(&task.id).join("a/upper");
    for path in
        [upper.clone(), upper.join("new"), upper.join("deep/er"), host.task_dir(&task.id).join("a/hosts")]
    {
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (base, base), "{}", path.display());
    }
    assert!(fs::read_to_string(host.task_dir(&task.id).join("a/hosts")).unwrap().contains("127.9.9.9"));
    assert_eq!(
        say(&*engine, &ids[1], "echo x > /x 2>&1; touch /tmp/x && stat -c %u /tmp/x").await.lines().last(),
        Some("1000")
    );
}

#[tokio::test]
async fn what_would_lead_through_the_wall_fails() {
    let host = Host::with_network();
    let engine = host.open().await;
    let (one, other) = (walled(), walled());
    let ids = start(&*engine, &one, &[shell("sleep 1000")]).await;
    let others = start(&*engine, &other, &[shell("sleep 1000")]).await;
    assert_ne!(base(&host, &one.id), base(&host, &other.id));
    // A program of the container that has come upon all of the host's files.
    let secret = host.dir.path().join("secret");
    fs::write(&secret, "the host's").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(host.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let users = fs::File::open(format!("/proc/{}/ns/user", pid(&*engine, &ids[0]).await)).unwrap();
    let neighbour = pid(&*engine, &others[0]).await;
    let script = format!(
        "id -u; cat {secret}; echo x >> {secret}; echo x > {dir}/made; chown 0 {secret}; kill -9 {neighbour}; \
         ls /proc/{neighbour}/root/; mount -t tmpfs t {dir}; true",
        secret = secret.display(),
        dir = host.dir.path().display(),
    );
    let mut leaked = std::process::Command::new("sh");
    leaked.args(["-c", &script]);
    // SAFETY: system calls only.
    unsafe {
        leaked.pre_exec(move || {
            nix::unistd::setgroups(&[])?;
            nix::sched::setns(&users, nix::sched::CloneFlags::CLONE_NEWUSER)?;
            nix::unistd::setresgid(0.into(), 0.into(), 0.into())?;
            Ok(nix::unistd::setresuid(0.into(), 0.into(), 0.into())?)
        });
    }
    let output = leaked.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "root there: {errors}");
    let refused = errors.matches("ermission denied").count() + errors.matches("not permitted").count();
    assert_eq!(refused, 7, "{errors}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "the host's");
    assert!(!host.dir.path().join("made").exists());
    assert_eq!(say(&*engine, &others[0], "echo lives").await, "lives");
    // And what it can try from where it is.
    let script = "mount -t tmpfs t /mnt && echo mounted; mknod /sda b 8 0 && echo made; \
                  insmod /nowhere.ko && echo loaded; hostname other && echo named; \
                  echo 1 > /proc/sys/net/ipv4/ip_forward && echo forwards; ip link set lo down && echo down; \
                  ip addr add 10.9.9.9/24 dev lo && echo spoofed; chroot /proc/1/root/../.. cat /etc/shadow; \
                  unshare -Ur true && echo nested; cat /proc/kcore | wc -c; ls /proc/sys/net/ipv4/ip_forward";
    let said = say(&*engine, &ids[0], &format!("exec 2>/dev/null; {script}")).await;
    assert_eq!(said, "0\n/proc/sys/net/ipv4/ip_forward", "nothing of it");
}

#[tokio::test]
async fn files_volumes_limits_and_terminals_are_as_without_it() {
    let host = Host::with_network();
    let engine = host.open().await;
    let mount =
        |path: &str| Mount { source_volume: "shared".into(), container_path: path.into(), read_only: false };
    let task = TaskSpec { volumes: [("shared".to_owned(), Volume::Empty)].into(), ..walled() };
    let first = ContainerSpec {
        readonly_root: true,
        mounts: vec![mount("/data/deep"), mount("/bin2")],
        working_directory: Some("/data/deep".into()),
        pseudo_terminal: true,
        tmpfs: vec![Tmpfs {
            container_path: "/scratch".into(),
            size_bytes: 1 << 20,
            options: vec!["mode=700".into(), "uid=7".into()],
        }],
        sysctls: [("kernel.shmmax".to_owned(), "65536".to_owned())].into(),
        ulimits: vec![
            Ulimit { name: "nofile".into(), soft: 100, hard: 10_000 },
            Ulimit { name: "core".into(), soft: 0, hard: 0 },
        ],
        ..shell(
            "echo x > file; stat -c %u file /scratch; touch /x 2>/dev/null || echo read-only; tty; \
             cat /proc/sys/kernel/shmmax; ulimit -Sn; ulimit -Hn; stat -c %u:%g $(tty); sleep 1000",
        )
    };
    let second = ContainerSpec { mounts: vec![mount("/other")], init_process: true, ..shell("sleep 1000") };
    let ids = start(&*engine, &task, &[first, second]).await;
    let want = ["0", "7", "read-only", "/dev/pts/0", "65536", "100", "10000", "0:5"];
    let one = &ids[0];
    host::until("the first to say it all", async || {
        let chunk = engine.output(one, 0, 4000).await.unwrap();
        let said: Vec<String> =
            chunk.records.iter().map(|r| String::from_utf8_lossy(&r.data).trim().to_owned()).collect();
        (said.len() == want.len()).then(|| assert_eq!(said, want))
    })
    .await;
    assert_eq!(say(&*engine, one, "ulimit -Sn; ulimit -Hn; pwd").await, "100\n10000\n/data/deep");
    assert_eq!(say(&*engine, &ids[1], "cat /other/file; stat -c %u /other; id -u").await, "x\n0\n0");
    // Ids that are not the task's cannot be anybody's.
    let stranger = ContainerSpec { user: Some("70000".into()), ..shell("true") };
    let id = host::id(&task.id, "c");
    engine.create(&id, &stranger).await.unwrap();
    let error = engine.start(&id).await.unwrap_err();
    assert!(error.message.contains("the id 70000 is not one of the 65536"), "{error}");
}

#[tokio::test]
async fn processes_are_shared_within_it() {
    let host = Host::with_network();
    let engine = host.open().await;
    let task = TaskSpec { pid_mode: PidMode::Task, ..walled() };
    let trap = shell("trap 'exit 7' TERM; while :; do sleep 1; done");
    let ids = start(&*engine, &task, &[trap, shell("sleep 1000")]).await;
    let (one, two) = (&ids[0], &ids[1]);
    host::until("the other's process", async || {
        say(&*engine, two, "ps -o args").await.contains("sleep 1\n").then_some(())
    })
    .await;
    assert!(
        say(&*engine, two, "cat /proc/1/comm; grep CapPrm /proc/1/status")
            .await
            .ends_with("0000000000000000")
    );
    engine.stop(one, Duration::from_secs(20)).await.unwrap();
    assert_eq!(host::exit(&*engine, one).await.code, Some(7));
    engine.start(one).await.unwrap();
    assert_eq!(say(&*engine, one, "id -u").await, "0");
}

#[tokio::test]
async fn it_outlives_the_engine_and_is_made_anew_after_its_supervisor() {
    let host = Host::with_network();
    let engine = host.open().await;
    let task = walled();
    let ids = start(&*engine, &task, &[shell("trap 'exit 7' TERM; while :; do sleep 1; done")]).await;
    let (range, process) = (base(&host, &task.id), pid(&*engine, &ids[0]).await);
    say(&*engine, &ids[0], "touch /kept").await;
    drop(engine);
    let engine = host.open().await;
    engine.prepare_task(&task).await.unwrap();
    assert_eq!((base(&host, &task.id), pid(&*engine, &ids[0]).await), (range, process));
    assert_eq!(say(&*engine, &ids[0], "id -u; ls /kept").await, "0\n/kept");
    let supervisor = nix::unistd::Pid::from_raw(host.supervisor(&task.id));
    nix::sys::signal::kill(supervisor, nix::sys::signal::SIGKILL).unwrap();
    host::exit(&*engine, &ids[0]).await;
    engine.start(&ids[0]).await.unwrap();
    assert_eq!(base(&host, &task.id), range);
    assert_eq!(say(&*engine, &ids[0], "id -u; ls /kept; stat -c %u /kept").await, "0\n/kept\n0");
    assert!(engine.audit().contains(&format!("ids {range} of task {}", task.id)));
    engine.remove_task(&task.id).await.unwrap();
    assert_eq!(engine.audit().iter().find(|line| line.starts_with("ids ")), None);
    // As a crash leaves it that comes between a task's first step and its second.
    std::os::unix::fs::symlink("gone", host.dir.path().join("engine/ids").join(range.to_string())).unwrap();
    drop(engine);
    let engine = host.open().await;
    assert_eq!(engine.audit().iter().find(|line| line.starts_with("ids ")), None);
}

#[tokio::test]
async fn what_is_privileged_or_the_host_s_is_refused() {
    let host = Host::with_network();
    let engine = host.open().await;
    let volumes = [("data".to_owned(), Volume::Host("/data".into()))].into();
    let task = TaskSpec { volumes, ..walled() };
    let error = engine.prepare_task(&task).await.unwrap_err();
    assert_eq!((error.kind, error.temporary), (Kind::Resource, false), "{error}");
    assert!(error.message.contains("volume data, which is a folder of the host"), "{error}");
    let task = walled();
    engine.prepare_task(&task).await.unwrap();
    let privileged = ContainerSpec { privileged: true, ..shell("true") };
    let error = engine.create(&host::id(&task.id, "c"), &privileged).await.unwrap_err();
    assert_eq!((error.kind, error.temporary), (Kind::Create, false), "{error}");
    assert!(error.message.contains("privileged is not possible with isolation namespaces"), "{error}");
}

#[tokio::test]
async fn forks_without_end_stay_within_the_task() {
    let host = Host::with_network();
    let engine = host.open().await;
    let task = TaskSpec { pids_limit: Some(30), ..walled() };
    let bomb =
        "f() { f | f & }; i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done 2>/dev/null; wait";
    let ids = start(&*engine, &task, &[shell("sleep 1000"), shell(bomb)]).await;
    let (quiet, wild) = (&ids[0], &ids[1]);
    host::until("the limit", async || {
        let seen = engine.stats(wild).await.ok().map(|stats| stats.pids);
        let ended = matches!(engine.inspect(wild).await.unwrap().unwrap().phase, Phase::Exited(_));
        (ended || seen.is_some_and(|pids| pids >= 28)).then_some(())
    })
    .await;
    assert!(matches!(engine.inspect(quiet).await.unwrap().unwrap().phase, Phase::Running(_)));
    let neighbour = start(&*engine, &walled(), &[shell("sleep 1000")]).await;
    assert_eq!(say(&*engine, &neighbour[0], "echo fine").await, "fine");
    engine.remove_task(&task.id).await.unwrap();
}

/// Of the storage that a task has.
const STORAGE: u64 = 64 << 20;

#[tokio::test]
async fn storage_is_full_inside_and_not_outside() {
    for isolation in [Isolation::Shared, Isolation::Namespaces] {
        let host = Host::with_network();
        let engine = host.open().await;
        let mount = Mount { source_volume: "v".into(), container_path: "/data".into(), read_only: false };
        let task = TaskSpec {
            isolation,
            storage_bytes: Some(STORAGE),
            volumes: [("v".to_owned(), Volume::Empty)].into(),
            ..walled()
        };
        let writer = ContainerSpec {
            mounts: vec![mount],
            ..shell(
                "while [ ! -e /go ]; do sleep 0.1; done; rm /go; dd if=/dev/zero of=/data/a bs=1M count=30 && echo half; \
                     dd if=/dev/zero of=/b bs=1M count=200; exit 3",
            )
        };
        let ids = start(&*engine, &task, &[shell("sleep 1000"), writer]).await;
        let disk = host.task_dir(&task.id).join(".disk");
        assert_eq!(host::mounts_under(&disk).len(), 1);
        let taken = || fs::metadata(host.task_dir(&task.id).join(".disk.img")).unwrap().blocks() * 512;
        assert!(taken() < STORAGE / 8, "holes take nothing: {}", taken());
        say(&*engine, &ids[1], "touch /go").await;
        let exit = host::exit(&*engine, &ids[1]).await;
        assert_eq!(exit.code, Some(3));
        assert!(exit.reason.as_deref().is_some_and(|why| why.starts_with("DiskFullError: ")), "{exit:?}");
        let text = host::text(&*engine, &ids[1]).await;
        assert!(text.contains("half") && text.contains("No space left on device"), "{text}");
        assert!(taken() > STORAGE / 2 && taken() <= STORAGE, "{}", taken());
        let written = engine.written().await.unwrap();
        let of_task: u64 = written.iter().filter(|one| one.task == task.id).map(|one| one.bytes).sum();
        assert!(of_task >= taken() && of_task < taken() + (1 << 20), "{of_task}");
        // What is taken away inside is free outside, and its neighbour noticed nothing but that.
        assert_eq!(
            say(&*engine, &ids[0], "dd if=/dev/zero of=/x bs=1M count=2 2>/dev/null || echo full").await,
            "full"
        );
        drop(engine);
        let engine = host.open().await;
        engine.prepare_task(&task).await.unwrap();
        assert_eq!(host::mounts_under(&disk).len(), 1, "it outlives the engine");
        engine.start(&ids[1]).await.unwrap();
        say(&*engine, &ids[1], "rm -f /b /data/a; sync").await;
        host::until("room", async || (taken() < STORAGE / 2).then_some(())).await;
        assert_eq!(say(&*engine, &ids[0], "echo x > /x && cat /x").await, "x");
        assert!(engine.audit().iter().any(|line| line.starts_with("disk ")));
        engine.remove_task(&task.id).await.unwrap();
        assert_eq!(host::mounts_under(host.dir.path()).len(), 1, "but for R");
        let backing = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("loop/backing_file")).ok();
        let devices =
            || fs::read_dir("/sys/block").unwrap().flatten().filter_map(backing).collect::<Vec<_>>();
        let dir = host.dir.path().to_str().unwrap().to_owned();
        host::until("the device to go", async || {
            (!devices().iter().any(|file| file.contains(&dir))).then_some(())
        })
        .await;
    }
}
