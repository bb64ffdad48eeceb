//! VPCs of which interfaces are on other hosts too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{Name, State, Vpcs};
use crate::error::Result;
use crate::netlink::Socket;
use crate::nfnetlink;
use crate::nft;
use crate::vpc::far::{self, Far, OVERHEAD};
use crate::vpc::script::{self, Model};

/// What watches over packets of other hosts, as it was written.
#[derive(Default)]
pub(super) struct Guard {
    /// None where there is none.
    model: Option<Model>,
    fingerprint: Option<u64>,
    known: bool,
}

impl State {
    /// The other hosts of a VPC, as far as they are known; none where there are none, or they do not reach this one.
    fn far(&self, vpc: &Name) -> Option<Far> {
        let (own, transport) = (self.rules.address?, *self.rules.transports.get(vpc)?);
        let places = self.rules.places.get(vpc)?;
        let of_vpc = self.records.values().filter(|record| record.spec.vpc == *vpc);
        let here: BTreeSet<Ipv4Addr> = of_vpc.map(|record| record.spec.ipv4).collect();
        let elsewhere = places.iter().filter(|(address, host)| **host != own && !here.contains(address));
        let places: BTreeMap<Ipv4Addr, Ipv4Addr> =
            elsewhere.map(|(address, host)| (*address, *host)).collect();
        (!places.is_empty()).then_some(Far { transport, own, mtu: self.inner_mtu, places })
    }
}

impl Vpcs {
    /// What tasks' interfaces can carry, whether or not there are other hosts: where there come some, nothing changes.
    pub(super) fn inner_mtu(&self, own: Option<Ipv4Addr>) -> u32 {
        let of_address = || -> Result<Option<u32>> {
            let (Some(own), mut netlink) = (own, Socket::open()?) else { return Ok(None) };
            let Some(index) = netlink.link_with(own)? else { return Ok(None) };
            Ok(netlink.links()?.into_iter().find(|link| link.index == index).map(|link| link.mtu))
        };
        let of_address = of_address().unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "how much this host's link carries is not known"
            );
            None
        });
        self.mtu.min(of_address.unwrap_or(self.mtu)).saturating_sub(OVERHEAD)
    }

    /// Has packets of a VPC go to other hosts, and come from them, as they are to. What cannot be done now is tried again.
    pub(super) fn reach(&self, state: &mut State, vpc: &Name) -> Result<()> {
        let wanted = state.far(vpc);
        let Some(network) = state.networks.get_mut(vpc) else { return Ok(()) };
        if network.far == wanted && !network.far_differs {
            return Ok(());
        }
        // Only what was done is to be known as done.
        let known = !std::mem::replace(&mut network.far_differs, true);
        let before = std::mem::replace(&mut network.far, wanted.clone());
        if wanted.is_none() {
            // There is no link without what watches over it, so it goes first.
            network.router.lead(Some(None), None)?;
            network.far_differs = false;
            return self.guard(state);
        }
        if let Err(error) = self.guard(state) {
            if let Some(network) = state.networks.get_mut(vpc) {
                network.far = before;
            }
            return Err(error);
        }
        let Some(network) = state.networks.get_mut(vpc) else { return Ok(()) };
        network.router.lead(known.then_some(before), wanted.as_ref())?;
        network.far_differs = false;
        Ok(())
    }

    /// Looks whether it is as it should be.
    pub(super) fn look_far(&self, state: &mut State, vpc: &Name) -> Result<bool> {
        let wanted = state.far(vpc);
        let Some(network) = state.networks.get_mut(vpc) else { return Ok(false) };
        let differs = network.far_differs || network.router.far()? != wanted;
        network.far_differs = differs;
        self.reach(state, vpc)?;
        Ok(differs)
    }

    /// Has the host's namespace hold what watches over packets of other hosts.
    pub(super) fn guard(&self, state: &mut State) -> Result<()> {
        let all: Vec<&Far> = state.networks.values().filter_map(|network| network.far.as_ref()).collect();
        let (wanted, table) = (far::guard(&all), self.names.guard_table());
        if state.guard.known && state.guard.model == wanted {
            return Ok(());
        }
        let text = match (&wanted, &state.guard.model) {
            (None, _) if self.fingerprint_of_guard()?.is_none() => String::new(),
            (None, _) => format!("delete table inet {table}\n"),
            (Some(to), Some(from)) => script::difference(&table, from, to),
            (Some(to), None) => script::whole(&table, to),
        };
        let written = nft::run(&text).or_else(|error| match &wanted {
            Some(to) => {
                tracing::warn!(error, "writing what watches over other hosts' packets whole again");
                nft::run(&script::whole(&table, to))
            }
            None => Err(error),
        });
        state.guard = Guard::default();
        written.map_err(crate::error::Error::Nft)?;
        let fingerprint = self.fingerprint_of_guard()?;
        state.guard = Guard { model: wanted, fingerprint, known: true };
        Ok(())
    }

    /// Looks whether it is still there, and writes it again where it is not; true then.
    pub(super) fn look_at_guard(&self, state: &mut State) -> Result<bool> {
        let found = self.fingerprint_of_guard()?;
        let is_new = !std::mem::replace(&mut state.guard.known, true) && found.is_none();
        if found == state.guard.fingerprint && found.is_some() == state.guard.model.is_some() {
            return Ok(false);
        }
        state.guard = Guard::default();
        self.guard(state)?;
        Ok(!is_new)
    }

    /// Whether something of it is to be looked at.
    pub(super) fn is_far_suspect(&self, state: &State) -> bool {
        !state.guard.known
            || state.networks.values().any(|network| network.far_differs)
            || (state.guard.model.is_some()
                && self.fingerprint_of_guard().ok() != Some(state.guard.fingerprint))
    }

    fn fingerprint_of_guard(&self) -> Result<Option<u64>> {
        let mut socket = Socket::open_netfilter()?;
        let read = nfnetlink::fingerprint(&mut socket, &self.names.guard_table());
        read.map_err(|source| crate::error::Error::Netlink { what: "read a table".to_owned(), source })
    }
}
