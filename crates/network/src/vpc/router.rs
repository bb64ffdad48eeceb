//! The namespace of a VPC on this host, as a router: its link to the host's namespace, and one to each interface.
//!
//! The host needs no address for it, and no question is asked on the link: each side knows the other's hardware address,
//! and the host has a route to the one address of the pool that stands for the VPC, and to each public address. On a
//! link to an interface the router answers for every address (proxy ARP), the gateway's too.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::compile::OUTSIDE;
use super::doors;
use super::far::{self, Far};
use super::script::{self, Model};
use super::{InterfaceSpec, Name};
use crate::error::{Error, Result};
use crate::netlink::{Owner, Route, Socket, Veth};
use crate::netns;
use crate::nfnetlink;
use crate::nft;
use crate::slots::{Names, Slot, mac_of};
use crate::stock::PEER;
use crate::sysctl;
use crate::types::{Counters, Mac};

/// What stands for the host on the links to VPCs' namespaces: it is nobody's address.
const HOST: Ipv4Addr = Ipv4Addr::new(169, 254, 172, 1);
/// The router's hardware address on every link to an interface.
const ROUTER: Mac = Mac([0x02, 0x72, 0x6f, 0x75, 0x74, 0x65]);
/// Where the default route of IPv6 leads, as EC2's does.
const ROUTER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Addresses of the pool, after [`HOST`]: one a VPC.
pub(crate) const POOL: std::ops::Range<u16> = 1..1022;

/// Of the namespace: it routes, and answers for what lies behind it. Links made later begin with the defaults.
const PARAMETERS: [(&str, &str); 6] = [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "1"),
    ("net.ipv4.conf.default.proxy_arp", "1"),
];
/// The same of IPv6, which a kernel may be without.
const PARAMETERS_IPV6: [(&str, &str); 4] = [
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.forwarding", "1"),
];

/// What a router is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub slot: Slot,
    /// What of the pool stands for the VPC.
    pub address: Ipv4Addr,
    pub mtu: u32,
}

/// A VPC's namespace, and sockets that work in it from any thread.
pub(crate) struct Router {
    file: File,
    inside: Socket,
    rules: Socket,
}

/// The address of the pool with that number.
pub(crate) fn pool_address(number: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(HOST.to_bits() + u32::from(number))
}

impl Router {
    /// Makes the namespace; it has no link yet.
    pub(crate) fn make(path: &Path) -> Result<Router> {
        let made = netns::create(path)?;
        netns::within(&made.file, || {
            PARAMETERS.iter().try_for_each(|(name, value)| sysctl::write(name, value))?;
            if has_ipv6() {
                PARAMETERS_IPV6.iter().try_for_each(|(name, value)| sysctl::write(name, value))?;
            }
            Ok(())
        })?;
        Router::of(made.file)
    }

    /// Takes up a namespace that is there.
    pub(crate) fn adopt(path: &Path) -> Result<Router> {
        Router::of(File::open(path).map_err(Error::io("open namespace", path))?)
    }

    fn of(file: File) -> Result<Router> {
        let (inside, rules) = netns::within(&file, || Ok((Socket::open()?, Socket::open_netfilter()?)))?;
        Ok(Router { file, inside, rules })
    }

    /// Sees to the link to the host, and to the route there; true where it had to be made.
    pub(crate) fn link_to_host(&mut self, names: &Names, plan: &Plan) -> Result<bool> {
        let (name, mut host) = (names.vpc_link(plan.slot), Socket::open()?);
        let is_there = host.link(&name)?.is_some_and(|link| link.up) && self.inside.index(OUTSIDE)?.is_some();
        let (mine, theirs) = (
            mac_of(plan.address),
            Mac([0x02, 0x68, 0, 0, plan.address.octets()[2], plan.address.octets()[3]]),
        );
        if !is_there {
            host.delete_link(&name)?;
            host.add_veth(&Veth {
                name: &name,
                mac: Some(theirs),
                bridge_index: None,
                mtu: plan.mtu,
                peer_name: OUTSIDE,
                peer_mac: mine,
                peer_netns: self.file.as_fd(),
            })?;
        }
        let link = self.link(OUTSIDE)?;
        if !is_there {
            self.inside.set_up(OUTSIDE)?;
            self.inside.add_ip(link, IpAddr::V4(plan.address), 32)?;
            self.inside.set_neighbour(link, IpAddr::V4(HOST), theirs)?;
            netns::within(&self.file, || sysctl::write(&format!("net.ipv4.conf.{OUTSIDE}.proxy_arp"), "0"))?;
        }
        let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.inside.set_route(&Route { to: all, prefix_len: 0, via: Some(IpAddr::V4(HOST)), link })?;
        let own = host.index(&name)?.ok_or_else(|| Error::Invalid(format!("{name} is gone")))?;
        host.set_route(&Route { to: IpAddr::V4(plan.address), prefix_len: 32, via: None, link: own })?;
        host.set_neighbour(own, IpAddr::V4(plan.address), mine)?;
        Ok(!is_there)
    }

    /// Gives the host a route to a public address, or takes it away.
    pub(crate) fn route_public(
        &self,
        names: &Names,
        plan: &Plan,
        public: Ipv4Addr,
        wanted: bool,
    ) -> Result<()> {
        let mut host = Socket::open()?;
        let Some(link) = host.index(&names.vpc_link(plan.slot))? else { return Ok(()) };
        let route =
            Route { to: IpAddr::V4(public), prefix_len: 32, via: Some(IpAddr::V4(plan.address)), link };
        if wanted { host.set_route(&route) } else { host.delete_route(&route) }
    }

    /// Puts an interface into a task's namespace: `eth0` there, `name` here. What may come from it is settled before
    /// anything can.
    pub(crate) fn connect(&mut self, name: &str, spec: &InterfaceSpec, mtu: u32, netns: &File) -> Result<()> {
        if spec.ipv6.is_some() && !has_ipv6() {
            return Err(Error::Invalid("this host has no IPv6".to_owned()));
        }
        self.inside.add_veth(&Veth {
            name,
            mac: Some(ROUTER),
            bridge_index: None,
            mtu,
            peer_name: PEER,
            peer_mac: spec.mac,
            peer_netns: netns.as_fd(),
        })?;
        self.inside.admit_only(name, &Owner { mac: spec.mac, ipv4: spec.ipv4, ipv6: spec.ipv6 })?;
        let link = self.link(name)?;
        // Else the kernel takes its time to answer for others.
        netns::within(&self.file, || sysctl::write(&format!("net.ipv4.neigh.{name}.proxy_delay"), "0"))?;
        let addresses = [Some((IpAddr::V4(spec.ipv4), 32)), spec.ipv6.map(|a| (IpAddr::V6(a), 128))];
        for (to, prefix_len) in addresses.into_iter().flatten() {
            self.inside.set_neighbour(link, to, spec.mac)?;
            self.inside.set_route(&Route { to, prefix_len, via: None, link })?;
        }
        if spec.ipv6.is_some() {
            self.inside.add_ip(link, IpAddr::V6(ROUTER_IPV6), 64)?;
        }
        furnish(spec, netns)
    }

    /// Takes an interface's link away; not an error when it is not there.
    pub(crate) fn disconnect(&mut self, name: &str) -> Result<()> {
        self.inside.delete_link(name)
    }

    /// Whether there is a link of that name that is up.
    pub(crate) fn has(&mut self, name: &str) -> Result<bool> {
        Ok(self.inside.link(name)?.is_some_and(|link| link.up))
    }

    /// Traffic of an interface, as its task sees it.
    pub(crate) fn counters(&mut self, name: &str) -> Result<Option<Counters>> {
        Ok(self.inside.counters(name)?.map(Counters::from_other_end))
    }

    /// Leads the namespace's table from one content to another, and answers what then stands for it.
    pub(crate) fn apply(&mut self, table: &str, from: Option<&Model>, to: &Model) -> Result<Option<u64>> {
        let text = match from {
            Some(from) => script::difference(table, from, to),
            None => script::whole(table, to),
        };
        if !text.is_empty() {
            netns::within(&self.file, || nft::run(&text).map_err(Error::Nft))?;
        }
        self.fingerprint(table)
    }

    /// Leads to other hosts from now on, or to none. `from` is where it led before, where that is known.
    pub(crate) fn lead(&mut self, from: Option<Option<Far>>, to: Option<&Far>) -> Result<()> {
        let from = match from {
            Some(known) => known,
            None => far::read(&mut self.inside)?,
        };
        far::lead(&self.file, &mut self.inside, from.as_ref(), to)
    }

    /// Opens where names are asked for, at addresses that the namespace has from then on.
    pub(crate) fn listen(&mut self, at: &[Ipv4Addr]) -> Result<Vec<(UdpSocket, TcpListener)>> {
        let link = self.link("lo")?;
        at.iter().try_for_each(|address| self.inside.add_ip(link, IpAddr::V4(*address), 32))?;
        netns::within(&self.file, || at.iter().map(|address| doors::open(*address)).collect())
    }

    /// To which other hosts it leads.
    pub(crate) fn far(&mut self) -> Result<Option<Far>> {
        far::read(&mut self.inside)
    }

    /// What stands for the table as it is.
    pub(crate) fn fingerprint(&mut self, table: &str) -> Result<Option<u64>> {
        let read = nfnetlink::fingerprint(&mut self.rules, table);
        read.map_err(|source| Error::Netlink { what: "read the rules of a VPC".to_owned(), source })
    }

    fn link(&self, name: &str) -> Result<u32> {
        self.inside.index(name)?.ok_or_else(|| Error::Invalid(format!("{name} is gone")))
    }
}

/// The task's side. Doing it again mends what is missing.
pub(crate) fn furnish(spec: &InterfaceSpec, netns: &File) -> Result<()> {
    netns::within(netns, || {
        let mut inside = Socket::open()?;
        let link = inside.index(PEER)?.ok_or_else(|| Error::Invalid(format!("{PEER} is gone")))?;
        if spec.ipv6.is_some() {
            for (name, value) in [("disable_ipv6", "0"), ("accept_ra", "0"), ("accept_dad", "0")] {
                sysctl::write(&format!("net.ipv6.conf.{PEER}.{name}"), value)?;
            }
        }
        inside.set_up(PEER)?;
        inside.add_address(link, spec.ipv4, spec.subnet.prefix_len())?;
        inside.set_neighbour(link, IpAddr::V4(spec.gateway), ROUTER)?;
        inside.add_default_route(spec.gateway)?;
        if let Some(ipv6) = spec.ipv6 {
            let (router, all) = (IpAddr::V6(ROUTER_IPV6), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
            inside.add_ip(link, IpAddr::V6(ipv6), 128)?;
            inside.set_neighbour(link, router, ROUTER)?;
            inside.set_route(&Route { to: all, prefix_len: 0, via: Some(router), link })?;
        }
        Ok(())
    })
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// Tries in a namespace of its own all that interfaces need of the kernel. Blocks for some ten milliseconds.
pub(crate) fn probe() -> Result<()> {
    let owner = Owner { mac: ROUTER, ipv4: HOST, ipv6: None };
    netns::scratch(|| {
        let mut netlink = Socket::open()?;
        let own =
            File::open("/proc/thread-self/ns/net").map_err(Error::io("open", "/proc/thread-self/ns/net"))?;
        netlink.add_veth(&Veth {
            name: OUTSIDE,
            mac: Some(ROUTER),
            bridge_index: None,
            mtu: 1500,
            peer_name: PEER,
            peer_mac: mac_of(HOST),
            peer_netns: own.as_fd(),
        })?;
        netlink.admit_only(OUTSIDE, &owner)?;
        PARAMETERS.iter().try_for_each(|(name, value)| sysctl::write(name, value))?;
        sysctl::write(&format!("net.ipv4.neigh.{OUTSIDE}.proxy_delay"), "0")?;
        let model = super::compile::compile(&[], &[], &super::rules::Rules::default(), &[HOST]);
        nft::run(&script::whole("roadstead_probe", &model)).map_err(Error::Nft)
    })
}

/// Where the namespace of a VPC is noted.
pub(crate) fn note_path(dir: &Path, slot: Slot) -> PathBuf {
    dir.join(format!("{slot:04x}.json"))
}

/// A VPC's namespace, as it is noted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Note {
    pub vpc: Name,
    pub slot: Slot,
    pub address: Ipv4Addr,
}
