//! What leads from a VPC's namespace to other hosts: a link, made with the first interface elsewhere and gone with the last, and a route
//! to each of those. The way is VXLAN; another kind of [`Transport`] has its place here.
//!
//! Nothing is asked or learnt on the link: where each interface is, is told, and so is the hardware address of each host's end,
//! which follows from the host's address. Its packets go by the host's own namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use crate::error::{Error, Result};
use crate::netlink::{Route, Socket, Vxlan};
use crate::netns;
use crate::sysctl;
use crate::types::Mac;
use crate::vpc::script::{Chain, Elements, Model, Set};

/// The link to other hosts, in a VPC's namespace.
pub(crate) const FAR: &str = "far0";
/// The UDP port at which hosts hear each other: VXLAN's own.
pub(crate) const PORT: u16 = 4789;
/// What VXLAN puts around a packet: headers of Ethernet, VXLAN, UDP and IPv4.
pub(crate) const OVERHEAD: u32 = 50;

/// How packets of a VPC go from host to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// By VXLAN with this number, of 24 bits.
    Vxlan(u32),
}

/// The other hosts of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Far {
    pub transport: Transport,
    /// Where they reach this host.
    pub own: Ipv4Addr,
    /// Of the link.
    pub mtu: u32,
    /// Where each interface is; at least one.
    pub places: BTreeMap<Ipv4Addr, Ipv4Addr>,
}

impl Far {
    fn hosts(&self) -> BTreeSet<Ipv4Addr> {
        self.places.values().copied().collect()
    }

    fn is_same_link(&self, other: &Far) -> bool {
        (self.transport, self.own, self.mtu) == (other.transport, other.own, other.mtu)
    }

    fn number(&self) -> u32 {
        let Transport::Vxlan(number) = self.transport;
        number
    }
}

/// The hardware address of a host's end.
fn mac_of_host(host: Ipv4Addr) -> Mac {
    let [a, b, c, d] = host.octets();
    Mac([0x02, 0x76, a, b, c, d])
}

/// What there is in a VPC's namespace.
pub(crate) fn read(inside: &mut Socket) -> Result<Option<Far>> {
    let Some((number, own, mtu)) = inside.vxlan(FAR)? else { return Ok(None) };
    let up = inside.link(FAR)?.filter(|link| link.up);
    let Some(link) = up else { return Ok(None) };
    let places = inside.routes_by(link.index)?.into_iter().collect();
    Ok(Some(Far { transport: Transport::Vxlan(number), own, mtu, places }))
}

/// Leads a VPC's namespace from one to the other. What is there otherwise than `from` says is not looked at.
pub(crate) fn lead(netns: &File, inside: &mut Socket, from: Option<&Far>, to: Option<&Far>) -> Result<()> {
    let Some(to) = to else { return inside.delete_link(FAR) };
    let kept = from.filter(|from| from.is_same_link(to));
    if kept.is_none() {
        make(netns, inside, to)?;
    }
    let link = inside.index(FAR)?.ok_or_else(|| Error::Invalid(format!("{FAR} is gone")))?;
    let none = BTreeMap::new();
    let before = kept.map_or(&none, |far| &far.places);
    let route = |address: Ipv4Addr, host: Ipv4Addr| Route {
        to: IpAddr::V4(address),
        prefix_len: 32,
        via: Some(IpAddr::V4(host)),
        link,
    };
    for (address, host) in before.iter().filter(|(address, _)| !to.places.contains_key(address)) {
        inside.delete_route(&route(*address, *host))?;
    }
    let (had, has) = (kept.map(Far::hosts).unwrap_or_default(), to.hosts());
    for host in has.difference(&had) {
        inside.set_forward(link, mac_of_host(*host), *host)?;
        inside.set_neighbour(link, IpAddr::V4(*host), mac_of_host(*host))?;
    }
    for (address, host) in to.places.iter().filter(|(address, host)| before.get(address) != Some(host)) {
        inside.set_route(&route(*address, *host))?;
    }
    for host in had.difference(&has) {
        inside.delete_neighbour(link, IpAddr::V4(*host))?;
        inside.delete_forward(link, mac_of_host(*host), *host)?;
    }
    Ok(())
}

fn make(netns: &File, inside: &mut Socket, to: &Far) -> Result<()> {
    inside.delete_link(FAR)?;
    Socket::open()?.add_vxlan(&Vxlan {
        name: FAR,
        mac: mac_of_host(to.own),
        mtu: to.mtu,
        number: to.number(),
        local: to.own,
        port: PORT,
        netns: netns.as_fd(),
    })?;
    // It answers for nobody: those at the other end ask nothing.
    netns::within(netns, || sysctl::write(&format!("net.ipv4.conf.{FAR}.proxy_arp"), "0"))?;
    inside.set_up(FAR)
}

/// What watches over it in the host's namespace. A packet of a VPC's number is taken in only if what is in it is IPv4, and from an
/// interface of the host that has sent it. And nothing but the kernel's own links sends to where other hosts hear: neither
/// containers, whom they would take for this host, nor programs in the host's network. None where there are no other hosts.
pub(crate) fn guard(all: &[&Far]) -> Option<Model> {
    // Offsets in bits, from the header of UDP: this is 8 bytes long, that of VXLAN too, that of Ethernet 14.
    const NUMBER: &str = "@th,96,24";
    const KIND: &str = "@th,224,16";
    const SOURCE: &str = "@th,336,32";
    let mut model = Model::default();
    let (mut input, mut hosts) = (Vec::new(), BTreeMap::new());
    for far in all {
        let number = far.number();
        let known = format!("known_{number}");
        let its = format!("udp dport {PORT} {NUMBER} {number:#x}");
        input.push(format!("{its} {KIND} 0x800 ip saddr . {SOURCE} @{known} accept"));
        input.push(format!("{its} drop"));
        let element = |(address, host): (&Ipv4Addr, &Ipv4Addr)| {
            (format!("{host} . {:#x}", address.to_bits()), String::new())
        };
        let elements = Elements::Pairs(far.places.iter().map(element).collect());
        let kind = "typeof ip saddr . @th,336,32;";
        model.sets.insert(known, Set { word: "set", kind, elements });
        hosts.extend(far.hosts().into_iter().chain([far.own]).map(|host| (host.to_string(), String::new())));
    }
    if all.is_empty() {
        return None;
    }
    let elements = Elements::Pairs(hosts);
    model.sets.insert("hosts".to_owned(), Set { word: "set", kind: "type ipv4_addr;", elements });
    let theirs = format!("udp dport {PORT} ip daddr @hosts");
    let mut chain = |name: &str, hook, rules| model.chains.insert(name.to_owned(), Chain { hook, rules });
    chain("input", "type filter hook input priority -10; policy accept;", input);
    let through = vec![format!("{theirs} ip saddr != @hosts drop")];
    chain("forward", "type filter hook forward priority -10; policy accept;", through);
    // What a link sends belongs to no user.
    let out = vec![format!("{theirs} meta skuid 0-4294967294 drop")];
    chain("output", "type filter hook output priority -10; policy accept;", out);
    Some(model)
}
