//! What runs containers on this host: the engine that is chosen, and taking away all that it made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use engine::Engine;

use crate::{
    advice::{Advise, fail},
    commands::image,
    config::{self, Config},
    data_dir::DataDir,
};

/// Opens the engine that the configuration names.
pub async fn open(config: &Config, dir: &DataDir) -> anyhow::Result<Arc<dyn Engine>> {
    let other = match (engine::docker::has_tasks(dir.path()), engine::native::has_tasks(dir.path())) {
        (true, _) if config.agent.engine != config::DOCKER => Some(config::DOCKER),
        (_, true) if config.agent.engine != config::NATIVE => Some(config::NATIVE),
        _ => None,
    };
    if let Some(other) = other {
        fail!(
            format!("`--engine {other}`; or `roadstead down --engine {other}` first, which ends every task"),
            "{} has tasks of the engine {other}, which the engine {} does not know",
            dir.path().display(),
            config.agent.engine
        );
    }
    match config.agent.engine.as_str() {
        config::DOCKER => docker(config, dir).await,
        _ => native(config, dir).await,
    }
}

fn network(config: &Config, dir: &DataDir) -> anyhow::Result<network::Config> {
    let mut network = network::Config::new(dir.id().parse()?, dir.path().join("network"));
    network.subnet = config.network.subnet.as_deref().map(str::parse).transpose()?;
    network.dynamic_ports = config.network.dynamic_ports.map(|(first, last)| first..=last);
    Ok(network)
}

/// This program, which supervises and holds.
fn program() -> std::io::Result<PathBuf> {
    PathBuf::from("/proc/self/exe").read_link()
}

async fn native(config: &Config, dir: &DataDir) -> anyhow::Result<Arc<dyn Engine>> {
    let images = image::open(config)?;
    let network = network(config, dir)?;
    let config = engine::native::Config {
        data_dir: dir.path().to_owned(),
        run_dir: network.run_root.join(dir.id()),
        instance_id8: dir.id().to_owned(),
        supervisor: program()?,
        supervisor_args: vec!["supervise".into()],
        images,
        pull: ::image::PullOptions {
            insecure_registries: config.images.insecure_registries.clone(),
            ..Default::default()
        },
        image_policy: ::image::gc::Policy {
            min_age: Duration::from_secs(config.images.minimum_age_minutes * 60),
            high_percent: config.images.high_water_percent,
            ..Default::default()
        },
        network: Some(network),
        ids: config.fargate.ids(),
        runsc: config.fargate.runsc.clone(),
    };
    Ok(Arc::new(engine::native::Native::open(config).await?))
}

async fn docker(config: &Config, dir: &DataDir) -> anyhow::Result<Arc<dyn Engine>> {
    let network = network(config, dir)?;
    let opened = engine::docker::Docker::open(engine::docker::Config {
        socket: config.agent.docker_socket.clone(),
        data_dir: dir.path().to_owned(),
        run_dir: network.run_root.join(dir.id()),
        instance_id8: dir.id().to_owned(),
        holder: program()?,
        holder_args: vec!["supervise".into()],
        network: Some(network),
    });
    let opened = opened.await.map_err(|error| anyhow!(error.message));
    let opened =
        opened.advise("`roadstead doctor --engine docker`, which says what the Docker daemon lacks")?;
    Ok(Arc::new(opened))
}

/// Stops every task of a data directory and removes all that was made on this host for it.
pub fn purge(config: &Config, dir: &DataDir) -> anyhow::Result<()> {
    let run_root = network::Config::new(dir.id().parse()?, dir.path().join("network")).run_root;
    // Where no agent ever was there is nothing; an engine would have to be made to be removed, for which a full
    // disk has no room.
    if !dir.path().join("engine").exists() && !run_root.join(dir.id()).exists() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Whose the tasks are is in the directory, whatever is asked for now.
        let docker = engine::docker::was_here(dir.path());
        if !docker || engine::native::has_tasks(dir.path()) {
            purge_of(native(config, dir).await?, dir).await?;
        }
        match docker {
            true => purge_of(self::docker(config, dir).await?, dir).await,
            false => Ok(()),
        }
    })
}

async fn purge_of(engine: Arc<dyn Engine>, dir: &DataDir) -> anyhow::Result<()> {
    let Err(error) = engine.purge().await else { return Ok(()) };
    let runs = engine.audit().await.iter().filter(|line| line.starts_with("process ")).count();
    let what = match runs {
        0 => "every task is stopped, but not all that was made for them can be removed".to_owned(),
        runs => format!("{runs} processes of its tasks do not end"),
    };
    Err(anyhow!("{}: {what}: {}", dir.path().display(), error.message))
        .advise("`roadstead down` again, once what is said there is mended")
}
