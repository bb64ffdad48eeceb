//! Who answers tasks that ask for names, and where.

use std::sync::Arc;

use super::{Name, Network, State, Vpcs};
use crate::error::Result;
use crate::vpc::Block;
use crate::vpc::doors::{Dns, Doors, Resolver};

/// What the resolver was told of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    dns: Dns,
    blocks: Vec<Block>,
}

impl State {
    fn wants(&self, vpc: &Name) -> Option<Told> {
        let dns = self.rules.dns.get(vpc)?.clone();
        let blocks = self.rules.vpcs.get(vpc).cloned().unwrap_or_default();
        Some(Told { dns, blocks })
    }

    /// The VPC's namespace is no more, or will be anew.
    pub(super) fn forget(&mut self, vpc: &Name) -> Option<Network> {
        let network = self.networks.remove(vpc)?;
        if let Some(resolver) = self.resolver.as_ref().filter(|_| network.told.is_some()) {
            resolver.close(vpc);
        }
        Some(network)
    }
}

impl Vpcs {
    /// Has names be answered by this one from now on.
    pub(crate) fn answer_names(&self, resolver: Arc<dyn Resolver>) {
        let mut state = self.state.lock();
        state.resolver = Some(resolver);
        state.networks.values_mut().for_each(|network| network.told = None);
        let all: Vec<Name> = state.networks.keys().cloned().collect();
        all.iter().for_each(|vpc| self.open_doors(&mut state, vpc));
    }

    /// Has tasks of the VPC find a resolver, or none, as it is to be. What cannot be done now is tried again.
    pub(super) fn open_doors(&self, state: &mut State, vpc: &Name) {
        let (wanted, Some(resolver)) = (state.wants(vpc), state.resolver.clone()) else { return };
        let Some(network) = state.networks.get_mut(vpc) else { return };
        if network.told == wanted {
            return;
        }
        let Some(Told { dns, blocks }) = wanted.clone() else {
            resolver.close(vpc);
            network.told = None;
            return;
        };
        let opened: Result<Vec<_>> = network.router.listen(&dns.addresses());
        match opened {
            Ok(opened) => {
                let (udp, tcp) = opened.into_iter().unzip();
                resolver.open(Doors { vpc: vpc.clone(), blocks, domain: dns.domain, udp, tcp });
                network.told = wanted;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, %vpc, "tasks find no resolver of names; trying again");
            }
        }
    }

    /// Whether a VPC's tasks do not find what they should.
    pub(super) fn are_doors_suspect(&self, state: &State) -> bool {
        let differs = |(vpc, network): (&Name, &Network)| network.told != state.wants(vpc);
        state.resolver.is_some() && state.networks.iter().any(differs)
    }
}
