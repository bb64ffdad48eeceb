//! The resolver of this host's tasks in VPCs: who opens its doors are the engine's networks, what it knows of a VPC comes with them.
//! It needs nothing of the control plane, and so answers without it.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::vpc::{Block, Doors, Name, Resolver};

/// Where the host's own name servers are named.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Answers names in VPCs.
pub(crate) struct Names(dns::Service);

impl Names {
    /// One that asks these servers for what is not known here, or without any those of the host. To be called in a runtime.
    pub(crate) fn new(upstream: &[SocketAddr]) -> Names {
        let upstream = match upstream {
            [] => dns::Upstream::File(PathBuf::from(RESOLV_CONF)),
            servers => dns::Upstream::Servers(servers.to_vec()),
        };
        Names(dns::Service::new(dns::Config::new(upstream)))
    }
}

impl Resolver for Names {
    fn open(&self, doors: Doors) {
        let Doors { vpc, blocks, domain, udp, tcp } = doors;
        // Of IPv6 nothing is named.
        let blocks = blocks.iter().filter(|block| block.is_ipv4()).map(Block::to_string);
        let blocks: Vec<dns::Block> = blocks.filter_map(|block| block.parse().ok()).collect();
        let view = dns::Vpc::new(&domain, blocks).map(|vpc| dns::View { vpc, zones: Vec::new() });
        let served = match view {
            Ok(view) => self.0.serve(vpc.as_str(), view, udp, tcp).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = served {
            tracing::error!(%vpc, error, "names in the VPC are not answered");
        }
    }

    fn close(&self, vpc: &Name) {
        self.0.close(vpc.as_str());
    }
}
