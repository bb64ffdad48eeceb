//! The agent: one per host; drives tasks through their life on an engine.
//!
//! It receives assignments over the ECS agent protocol, writes them down before it acknowledges them,
//! decides for each task what comes next ([`plan`], pure), has the engine do it, and reports what became
//! of it. It never decides what shall run, and it knows no other agent.

pub mod admission;
pub mod api;
pub mod config;
mod dial;
pub mod host;
pub mod join;
pub mod ledger;
pub mod link;
mod logs;
pub mod lower;
mod metrics;
mod names;
mod panics;
pub mod plan;
pub mod report;
pub mod task;
pub mod trust;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Resources, Timers};

/// Why the agent ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    Registration(#[from] link::Error),
    #[error(transparent)]
    Api(#[from] api::Error),
}

/// Runs the agent until `shutdown`. Tasks go on without it, and are found again by the next one on the
/// same data directory.
///
/// What ran before is looked after from the start, whether or not the control plane is there.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let working = work(config);
    tokio::select! {
        outcome = working => outcome,
        () = shutdown.cancelled() => Ok(()),
    }
}

async fn work(config: Config) -> Result<(), Error> {
    let ledger = ledger::Ledger::open(&config.data_dir)?;
    let credentials = link::credentials(&config, &ledger)?;
    let api = api::Api::trusting(&config.endpoint, &config.region, credentials, config.trust.clone())?;
    let api = Arc::new(api);
    // Before the first look at what is there, so that nothing that happens in between is missed.
    let events = config.engine.events();
    let host = host::Host::new(host::Parts {
        engine: config.engine.clone(),
        ledger: ledger.clone(),
        api: api.clone(),
        timers: config.timers.clone(),
        region: config.region.clone(),
        resources: config.resources.clone(),
        isolation: config.isolation,
        image_pull: config.image_pull,
        address: config.address,
        disk: Some(config.data_dir.clone()),
        begins_anew: config.begins_anew,
    });
    // Before anything else: tasks that run ask for names all the time.
    if let Err(error) = config.engine.answer_names(Arc::new(names::Names::new(&config.dns_upstream))).await {
        tracing::error!(%error, "tasks in VPCs find no resolver of names");
    }
    host.adopt().await?;
    let registered = async {
        let instance = link::register(&config, &api, &ledger, &host).await?;
        tracing::info!(instance.arn, cluster = instance.cluster, "registered");
        if let Some(tell) = &config.on_registered {
            tell(&instance.arn);
        }
        let engine_version = config.engine.capabilities().version;
        let link =
            link::Link { host: host.clone(), instance, engine_version, deregistered: watch::Sender::new(0) };
        link.run().await;
        Ok(())
    };
    tokio::select! {
        outcome = registered => outcome,
        () = host.clone().listen(events) => Ok(()),
        () = host.clone().watch_disk() => Ok(()),
        () = host.clone().clean_images(config.timers.image_cleanup_interval) => Ok(()),
    }
}
