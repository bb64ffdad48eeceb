//! The parts at work: wires store, runtime, services, front door, agent link, engine and agent together,
//! runs them until a signal, and takes them down in order. Tasks go on without it.

mod host;
mod secure;

pub use host::purge as purge_host;

use crate::output::say;
use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use engine::PullBehavior;
use server::{
    agent_link::AgentLink,
    front_door::{self, FrontDoor},
    gate::{Gate, Service},
    keys::{self, KeyPair, KeyRing, OperatorKeys},
    peer::LocalUsers,
    rights::Agents,
    runtime::{self, Identity},
    services::{
        ecs::{Ecs, Homes},
        hosted::Hosts,
        lambda::Lambda,
        logs::{Logs, Stores},
        sts::Sts,
    },
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    advice::Advise,
    commands::up::Parts,
    config::{self, Config},
    data_dir::{Credentials, DataDir},
    output, services, takeover,
};

/// Between rounds of housekeeping in the log store.
const LOGS_MAINTENANCE: Duration = Duration::from_secs(60);

/// How long the store may take to close.
const CLOSING: Duration = Duration::from_secs(2);

/// When memory is short, the kernel is to end tasks before the program, unless that takes half of the host's.
const OOM_SCORE_ADJ: i32 = -500;

/// Runs until SIGTERM or SIGINT.
pub fn run(config: Config, dir: DataDir, parts: Parts) -> anyhow::Result<()> {
    log_to_stderr();
    raise_open_files();
    protect_from_oom();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(config, &dir, parts));
    // What still waits for a disk or a peer must not keep the program: all that matters is on disk.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

/// Connections, log segments and port reservations each hold a file open: takes as many as the host allows.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Makes the kernel end tasks first when memory is short. Whoever starts the program may have done more.
pub fn protect_from_oom() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let now = std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if now.is_some_and(|now| now <= OOM_SCORE_ADJ) {
        return;
    }
    if let Err(error) = std::fs::write(FILE, OOM_SCORE_ADJ.to_string()) {
        tracing::warn!(%error, "when memory is short, the kernel may end Roadstead before a task");
    }
}

/// Sends the program's own log to standard error; `RUST_LOG` chooses what.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colour = output::stderr_takes_colour();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}

async fn serve(config: Config, dir: &DataDir, parts: Parts) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let (failed, mut failure) = mpsc::channel::<anyhow::Error>(4);
    let credentials = dir.credentials()?;
    let (control, front) = start_server(&config, dir, &credentials, &stop).await?;
    let endpoint = format!("http://{}", config.server.listen);
    let secure = config.tls.listen.map(|listen| format!(" tls={listen}")).unwrap_or_default();
    let front = {
        let (stop, failed) = (stop.clone(), failed.clone());
        tokio::spawn(async move {
            let ended = front.await;
            if !stop.is_cancelled() {
                let error = ended.map_or_else(anyhow::Error::from, |()| anyhow!("it ended by itself"));
                // As below.
                let _ = failed.send(error.context("the front door ended")).await;
            }
        })
    };
    if parts == Parts::All {
        let own = Arc::new(agent::trust::Trust::of_host());
        let agent = start_agent(&config, dir, (&endpoint, own), credentials.agent.clone()).await?;
        let (stop, failed) = (stop.clone(), failed.clone());
        tokio::spawn(async move {
            // One that panics must not be missed for as long as the control plane runs.
            let ended = tokio::spawn(agent::run(agent, stop)).await;
            let ended =
                ended.map_err(anyhow::Error::from).and_then(|ended| ended.map_err(anyhow::Error::from));
            if let Err(error) = ended {
                // The receiver waits for as long as the program runs.
                let _ = failed.send(error.context("the agent ended")).await;
            }
        });
    }
    let announce = async {
        ready(&config, &control, parts).await;
        say!("ready endpoint={endpoint} cluster={}{secure}", config.server.cluster);
        std::future::pending::<()>().await;
    };
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let outcome = tokio::select! {
        error = failure.recv() => Err(error.unwrap_or_else(|| anyhow!("the agent ended"))),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        () = announce => Ok(()),
    };
    tracing::info!("stopping; tasks go on");
    stop.cancel();
    // It ends by itself within seconds. Whoever asks twice does not want to wait.
    tokio::select! {
        _ = front => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    // Many still hold the store, and some until the very end: it is closed by name, so that its file is whole.
    let store = control.runtime().store().clone();
    if tokio::time::timeout(CLOSING, tokio::task::spawn_blocking(move || store.close())).await.is_err() {
        tracing::warn!("the disk is slow: what is stored stays in state.db-wal until the next start");
    }
    outcome
}

async fn start_server(
    config: &Config,
    dir: &DataDir,
    credentials: &Credentials,
    stop: &CancellationToken,
) -> anyhow::Result<(Arc<Homes>, JoinHandle<()>)> {
    let server = &config.server;
    let users = known_pair_users(config)?;
    let listener = TcpListener::bind(server.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", server.listen))?;
    let state = dir.path().join("state.db");
    let is_lost = |store: Option<&dyn store::Store>| match store {
        None => std::fs::metadata(&state).map_or(true, |file| file.len() == 0),
        Some(store) => store.revision() == 0,
    };
    let remains = if config.begin_anew { Vec::new() } else { dir.remains() };
    // Before anything is made in its place.
    refuse_nothing(&state, is_lost(None), &remains)?;
    // The one process that writes the rows has them all in memory: nobody watches them.
    let history = store::sqlite::HistoryLimits::NONE;
    let options = store::sqlite::Options { history, keeps_room: true, ..Default::default() };
    let store = store::sqlite::Sqlite::open(&state, options)
        .with_context(|| format!("cannot open {}", state.display()))?;
    if let Some(damage) = store.damage() {
        tracing::error!("{damage}; docs/repair.md");
    }
    refuse_nothing(&state, is_lost(Some(&store)), &remains)?;
    let identity = Identity {
        account: server.account.clone(),
        region: server.region.clone(),
        partition: server.partition.clone(),
    };
    takeover::run(&store, &state, &identity)?;
    let mut hosted = services::hosted();
    let mut loads: Vec<_> = hosted.iter_mut().map(|host| host.loads()).collect();
    let read = Homes::read(Arc::new(store), identity, &mut loads).context("cannot read the state")?;
    let lost_after = Some(server.agent_lost_after_seconds).filter(|seconds| *seconds > 0);
    let read = read.giving_up_after(lost_after.map(Duration::from_secs));
    let read = read.keeping(server.stopped_tasks_kept.keeps());
    let read = read.in_vpcs(hosted.iter().find_map(|host| host.vpcs()));
    let bus = hosted.iter().find_map(|host| host.event_bus());
    let control = read.start(bus.unwrap_or_else(|| Arc::new(runtime::carrier::NoBus)));
    let mut surfaces: Vec<_> = hosted.iter().filter_map(|host| host.surface(stop)).collect();
    takeover::refuse_another_place(&control, dir.path())?;
    control.start().await?;
    control.sweep();
    let (root, own) = (keys::administrator(&server.partition, &server.account, ""), control.own());
    let ctx = own.ctx(&root, runtime::now());
    let request =
        ecs_model::CreateClusterRequest { cluster_name: Some(server.cluster.clone()), ..Default::default() };
    let row = ecs::clusters::create_cluster(&ctx, &own.account().state, request)?;
    own.create_cluster(&root, row).await?;
    let gate = behind_gate(config, open_logs(config, dir, stop)?, &control, hosted)?;
    let secure = secure::open(config, dir, stop).await?;
    let front = front_door::Config {
        regions: match &server.regions {
            config::Regions::Listed(listed) => front_door::Regions::new(&server.region, listed.clone()),
            config::Regions::Word(_) => front_door::Regions::any(&server.region),
        },
        clock: runtime::now,
        names: secure::names(config),
        limits: front_door_limits(),
    };
    let keys = Arc::new(key_ring(config, dir, credentials, &control));
    surfaces.push(Arc::new(AgentLink::new(control.clone(), Default::default()).telling(secure.tls())));
    surfaces.push(Arc::new(server::services::ecs::Explaining::new(control.clone())));
    surfaces.push(Arc::new(server::services::ecs::Interrupting::new(control.clone())));
    let front = FrontDoor::new(front, gate, keys, users, surfaces);
    Ok((control, tokio::spawn(secure.serve(front, listener, (config, dir), credentials, stop))))
}

/// Puts every service behind one gate, and starts those that call others through it.
fn behind_gate(
    config: &Config,
    logs: Stores,
    control: &Arc<Homes>,
    hosted: Vec<Box<dyn Hosts>>,
) -> anyhow::Result<Arc<Gate>> {
    let mut services: Vec<Arc<dyn Service>> = vec![
        Arc::new(Ecs::new(control.clone())?),
        Arc::new(Lambda::new(config.lambda.functions(&config.server)?)),
        Arc::new(Logs::new(logs, &control.runtime().identity().partition)),
        Arc::new(Sts),
    ];
    for host in &hosted {
        services.push(host.service()?);
    }
    let gate = Arc::new(Gate::new(services, Arc::new(Agents::new(control.clone())))?);
    hosted.into_iter().for_each(|host| host.start(control, &gate));
    control.call_through(&gate);
    Ok(gate)
}

/// Half of the files that this process may have open are for connections, at most; the other half is for the sockets of
/// agents, two each, and for all else.
fn front_door_limits() -> front_door::Limits {
    use rustix::process::{Resource, getrlimit};
    let limits = front_door::Limits::default();
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let connections = files.map_or(limits.connections, |files| limits.connections.min(files / 2));
    front_door::Limits { connections, ..limits }
}

/// Begun from nothing, the control plane would know of no task, and have every one ended that runs.
fn refuse_nothing(state: &std::path::Path, is_lost: bool, remains: &[&str]) -> anyhow::Result<()> {
    if !is_lost || remains.is_empty() || state.with_file_name("state.db.salvaged").exists() {
        return Ok(());
    }
    let refused = anyhow!(
        "{} is missing or empty, but {} beside it is not new: begun from nothing, every task would end",
        state.display(),
        remains.join(", ")
    );
    Err(refused).advise(
        "put a backup in its place (docs/repair.md), or `--begin-anew` to give up all clusters, services and tasks",
    )
}

fn open_logs(config: &Config, dir: &DataDir, stop: &CancellationToken) -> anyhow::Result<Stores> {
    let path = dir.path().join("logs");
    let limits = logs::Limits { streams_max: config.logs.max_streams, ..logs::Limits::default() };
    let limits = limits.with_total_bytes(config.logs.max_bytes(dir.path()));
    let own = (config.server.account.as_str().into(), config.server.region.as_str().into());
    let logs = Stores::open(&path, limits, own)
        .with_context(|| format!("cannot open the logs in {}", path.display()))?;
    let (kept, stop) = (logs.clone(), stop.clone());
    tokio::spawn(async move {
        while tokio::time::timeout(LOGS_MAINTENANCE, stop.cancelled()).await.is_err() {
            let logs = kept.clone();
            let round = tokio::task::spawn_blocking(move || logs.maintain(runtime::undoubted().as_millis()));
            if let Ok(Err(error)) = round.await {
                tracing::warn!(%error, "housekeeping of the logs failed");
            }
        }
    });
    Ok(logs)
}

/// Whom the key that everybody knows serves: root, the user who runs this or had sudo run it, and those listed.
fn known_pair_users(config: &Config) -> anyhow::Result<Arc<LocalUsers>> {
    let own = [0, rustix::process::geteuid().as_raw(), rustix::process::getuid().as_raw()];
    let caller = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    let listed = config.server.known_pair_users()?;
    Ok(Arc::new(LocalUsers::new(own.into_iter().chain(caller).chain(listed))))
}

/// On loopback `test`/`test` is the administrator; elsewhere only the key pair made at first start.
fn key_ring(config: &Config, dir: &DataDir, credentials: &Credentials, control: &Arc<Homes>) -> KeyRing {
    let server = &config.server;
    let administrator = |key: &str| keys::administrator(&server.partition, &server.account, key);
    let mut ring = KeyRing::new()
        .with(&credentials.root, administrator(&credentials.root.access_key))
        .with_new_agents(&credentials.agent, control.runtime().identity())
        .with_agents(control.clone(), OperatorKeys::new(&credentials.agent_key_master));
    if server.listen.ip().is_loopback() {
        let test = KeyPair { access_key: keys::KNOWN.to_owned(), secret: keys::KNOWN.to_owned() };
        ring = ring.with_known(&test, administrator("test")).with_accounts(&server.partition);
        if let Err(error) = server::peer::check_kernel() {
            tracing::warn!(error, "the key pair test/test serves nobody here: see `roadstead doctor`");
        }
    } else {
        tracing::info!("the administrator's key pair is in {}", dir.credentials_path().display());
    }
    for account in &config.accounts {
        let pair = KeyPair { access_key: account.access_key.clone(), secret: account.secret.clone() };
        ring = ring.with(&pair, keys::administrator(&server.partition, &account.id, &account.access_key));
    }
    if server.accept_any_credentials {
        tracing::warn!("any access key is taken as the account's administrator (--accept-any-credentials)");
        ring = ring.accepting_any(administrator("any"));
    }
    ring
}

/// The agent of this host, for the control plane at that URL, for which these may vouch.
pub async fn start_agent(
    config: &Config,
    dir: &DataDir,
    (endpoint, trust): (&str, Arc<agent::trust::Trust>),
    keys: KeyPair,
) -> anyhow::Result<agent::Config> {
    let engine = host::open(config, dir).await?;
    let mut resources = agent::Resources::detect(config.agent.reserved_memory);
    resources.reserved_ports_tcp = config.agent.reserved_ports.clone();
    resources.reserved_ports_udp = config.agent.reserved_ports_udp.clone();
    resources.gpus = config.agent.gpus.clone();
    Ok(agent::Config {
        endpoint: endpoint.to_owned(),
        trust,
        cluster: config.server.cluster.clone(),
        region: config.server.region.clone(),
        credentials: wire::sigv4::Credentials {
            access_key: keys.access_key,
            secret: keys.secret,
            token: None,
        },
        data_dir: dir.agent(),
        engine,
        availability_zone: config.agent.availability_zone.clone(),
        address: config.agent.address,
        dns_upstream: config.agent.dns_upstream.iter().map(|server| server.0).collect(),
        attributes: config.agent.attributes.clone(),
        capacity_provider: Some(config.agent.capacity_provider.clone()).filter(|name| !name.is_empty()),
        fargate: config.fargate.serve.unwrap_or(false),
        resources,
        isolation: config.fargate.isolation()?,
        timers: agent::Timers { task_cleanup_wait: config.agent.task_cleanup_wait(), ..Default::default() },
        image_pull: match config.agent.image_pull_behavior.as_str() {
            "always" => PullBehavior::Always,
            "prefer-cached" => PullBehavior::PreferCached,
            _ => PullBehavior::Default,
        },
        begins_anew: config.begin_anew,
        on_registered: None,
    })
}

/// Waits until the API answers and, where an agent runs here, its host is an ACTIVE container instance.
async fn ready(config: &Config, control: &Homes, parts: Parts) {
    if parts == Parts::Server {
        return;
    }
    let connected = || {
        let cluster = control.own().cluster_by_name(&config.server.cluster)?.read();
        cluster.state.instances().any(|row| row.agent_connected).then_some(())
    };
    while connected().is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
