//! The agent's end of the agent link: registration, then the two web sockets, each kept up for ever.

mod acs;
mod health;
mod registration;
mod socket;
mod tcs;
mod underlay;

pub use registration::{Error, credentials, register};

use std::sync::Arc;

use tokio::sync::watch;

use crate::{host::Host, ledger::Instance};

/// The agent's version, as the control plane shows it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What both sockets need.
#[derive(Clone)]
pub struct Link {
    pub host: Arc<Host>,
    pub instance: Instance,
    /// Name and version of the engine.
    pub engine_version: String,
    /// Counts ACS connections that the control plane refused because the instance was deregistered.
    pub deregistered: watch::Sender<u64>,
}

impl Link {
    /// Keeps both sockets up. Never returns.
    pub async fn run(self) {
        let telemetry = tcs::run(self.clone());
        tokio::join!(acs::run(self), telemetry);
    }

    fn hello(&self) -> agent_protocol::acs::Connect {
        agent_protocol::acs::Connect {
            cluster: self.instance.cluster.clone(),
            container_instance: self.instance.arn.clone(),
            agent_version: VERSION.to_owned(),
            agent_hash: "roadstead".to_owned(),
            docker_version: self.engine_version.clone(),
            protocol_version: 2,
            send_credentials: false,
            seq_num: 0,
            knows_vpc: self.host.engine.capabilities().task_interfaces,
            address: None,
        }
    }
}
