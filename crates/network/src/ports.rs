//! Host ports: which are published by us, which are free, and a hold on each so that no process
//! on the host takes it meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, sockopt};

use crate::error::{Error, Result};
use crate::types::{Binding, PORTS_ALL_MAX, PORTS_MAX, PortMapping, Protocol};

/// What ECS uses where the kernel does not tell its own range.
const FALLBACK_RANGE: RangeInclusive<u16> = 49153..=65535;
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// The host ports of one instance. Dynamic ports are handed out in turn (as Docker does), so that
/// a port that was just freed is not given to another container at once.
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    next: u16,
    taken: BTreeMap<(Protocol, u16), Option<OwnedFd>>,
}

impl Ports {
    pub(crate) fn new(range: Option<RangeInclusive<u16>>) -> Ports {
        let range = range.filter(|r| !r.is_empty() && *r.start() > 0).unwrap_or_else(kernel_range);
        Ports { next: *range.start(), range, taken: BTreeMap::new() }
    }

    /// Takes a host port for each port that is mapped, all or none.
    pub(crate) fn reserve(&mut self, mappings: &[PortMapping]) -> Result<Vec<Binding>> {
        if mappings.len() > PORTS_MAX {
            return Err(Error::Invalid(format!("at most {PORTS_MAX} port mappings a container")));
        }
        let all: usize = mappings.iter().map(|m| 1 + usize::from(m.more)).sum();
        if all > PORTS_ALL_MAX {
            return Err(Error::Invalid(format!(
                "at most {PORTS_ALL_MAX} ports a container, with those of ranges"
            )));
        }
        let mut bindings = Vec::with_capacity(mappings.len());
        // Fixed ports first: a dynamic one must not take what the same container asks for.
        let is_fixed = |m: &PortMapping| m.host_port.is_some_and(|port| port != 0);
        let fixed = mappings.iter().enumerate().filter(|(_, m)| is_fixed(m));
        let dynamic = mappings.iter().enumerate().filter(|(_, m)| !is_fixed(m));
        for (position, mapping) in fixed.chain(dynamic) {
            match self.reserve_one(mapping) {
                Ok(taken) => bindings.extend(taken.into_iter().map(|binding| (position, binding))),
                Err(error) => {
                    self.release(&bindings.into_iter().map(|(_, b)| b).collect::<Vec<_>>());
                    return Err(error);
                }
            }
        }
        bindings.sort_by_key(|(position, _)| *position);
        Ok(bindings.into_iter().map(|(_, binding)| binding).collect())
    }

    /// Takes back what an earlier life of this process had published. A port that a process of the
    /// host took meanwhile stays published: the rules come before its socket.
    pub(crate) fn adopt(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            let held = hold(binding.protocol, binding.host_port);
            if held.is_none() {
                tracing::warn!(port = binding.host_port, "a published port is also in use by the host");
            }
            self.taken.insert((binding.protocol, binding.host_port), held);
        }
    }

    /// Gives ports back.
    pub(crate) fn release(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            self.taken.remove(&(binding.protocol, binding.host_port));
        }
    }

    fn reserve_one(&mut self, mapping: &PortMapping) -> Result<Vec<Binding>> {
        let PortMapping { container_port: first, protocol, more, .. } = *mapping;
        if first == 0 || first.checked_add(more).is_none() {
            return Err(Error::Invalid("container ports must be 1 to 65535".to_owned()));
        }
        let host_port = match mapping.host_port.filter(|port| *port != 0) {
            Some(_) if more > 0 => {
                return Err(Error::Invalid("ports of the host cannot be named for a range".to_owned()));
            }
            Some(port) => {
                self.take(protocol, port)?;
                port
            }
            None => self.take_dynamic(protocol, more)?,
        };
        let binding =
            |n| Binding { bind_ip: ANY, container_port: first + n, host_port: host_port + n, protocol };
        Ok((0..=more).map(binding).collect())
    }

    fn take(&mut self, protocol: Protocol, port: u16) -> Result<()> {
        if self.taken.contains_key(&(protocol, port)) {
            return Err(Error::PortAllocated { ip: ANY, port });
        }
        let held =
            hold(protocol, port).ok_or(Error::PortInUse { protocol: protocol.as_str(), ip: ANY, port })?;
        self.taken.insert((protocol, port), Some(held));
        Ok(())
    }

    /// Takes the first port that is free together with so many after it.
    fn take_dynamic(&mut self, protocol: Protocol, more: u16) -> Result<u16> {
        let (first, last) = (*self.range.start(), *self.range.end());
        let start = if self.range.contains(&self.next) { self.next } else { first };
        for (from, to) in [(start, last), (first, start.saturating_sub(1))] {
            let mut tried = Some(from).filter(|_| from <= to);
            while let Some(port) = tried {
                match self.take_run(protocol, port, more) {
                    Ok(()) => {
                        self.next = (port + more).checked_add(1).unwrap_or(first);
                        return Ok(port);
                    }
                    // No run that holds the port that is not free will do.
                    Err(not_free) => tried = not_free.checked_add(1).filter(|next| *next <= to),
                }
            }
        }
        Err(Error::NoFreePort)
    }

    /// Takes all of a run or none; the error is the first port of it that cannot be had.
    fn take_run(&mut self, protocol: Protocol, port: u16, more: u16) -> std::result::Result<(), u16> {
        let end = port.checked_add(more).filter(|end| self.range.contains(end)).ok_or(*self.range.end())?;
        for (taken, one) in (port..=end).enumerate() {
            if self.take(protocol, one).is_err() {
                (port..=end).take(taken).for_each(|one| drop(self.taken.remove(&(protocol, one))));
                return Err(one);
            }
        }
        Ok(())
    }
}

/// Binds the port without listening: nobody else can bind it, and nothing answers on it but the
/// container behind the rules. `None` when somebody has it.
fn hold(protocol: Protocol, port: u16) -> Option<OwnedFd> {
    let kind = if protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram };
    let address = SockaddrIn::from(std::net::SocketAddrV4::new(ANY, port));
    let open = || socket::socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None);
    let fd = open().ok()?;
    if socket::bind(fd.as_raw_fd(), &address).is_ok() {
        return Some(fd);
    }
    if protocol == Protocol::Udp {
        return None;
    }
    // Connections in TIME_WAIT do not make a port taken; a listener does, and only listen tells.
    let probe = open().ok()?;
    socket::setsockopt(&probe, sockopt::ReuseAddr, &true).ok()?;
    socket::bind(probe.as_raw_fd(), &address).ok()?;
    socket::listen(&probe, Backlog::new(0).ok()?).ok()?;
    drop(probe);
    let fd = open().ok()?;
    socket::setsockopt(&fd, sockopt::ReuseAddr, &true).ok()?;
    socket::bind(fd.as_raw_fd(), &address).ok()?;
    // Off again, so that from now on nobody shares the port with us.
    socket::setsockopt(&fd, sockopt::ReuseAddr, &false).ok()?;
    Some(fd)
}

fn kernel_range() -> RangeInclusive<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let mut numbers = text.split_whitespace().map(str::parse::<u16>);
            Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
        })
        .filter(|range| !range.is_empty())
        .unwrap_or(FALLBACK_RANGE)
}
