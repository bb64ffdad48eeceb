//! Makes or adopts what an instance has once: its subnet, its bridge and the kernel parameters it
//! needs. Everything here may be run again at any time.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};
use crate::ledger;
use crate::netlink::{Link, Socket};
use crate::slots::{Names, mac_of};
use crate::types::{Config, Subnet};

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const DEFAULT_MTU: u32 = 1500;

/// The bridge as it is now.
pub(crate) struct Bridge {
    /// Another one each time the bridge is made.
    index: AtomicU32,
    pub subnet: Subnet,
    pub mtu: u32,
}

/// The subnet of a bridge that is there, else the one that was chosen.
pub(crate) fn known_subnet(config: &Config, names: &Names) -> Option<Subnet> {
    let of_bridge = || -> Result<Option<Subnet>> {
        let mut netlink = Socket::open()?;
        let Some(link) = netlink.link(&names.bridge())? else { return Ok(None) };
        Ok(netlink.addresses()?.into_iter().find(|(index, _)| *index == link.index).map(|(_, subnet)| subnet))
    };
    of_bridge().ok().flatten().or_else(|| ledger::read_subnet(&config.state_dir))
}

/// Makes the bridge or adopts it. A subnet that is in use by attachments stays.
pub(crate) fn ensure_bridge(config: &Config, names: &Names, in_use: Option<Subnet>) -> Result<Bridge> {
    // Two instances that start together must not choose the same subnet.
    let _lock = lock(&config.run_root)?;
    let mut netlink = Socket::open()?;
    let mtu = uplink_mtu(&mut netlink)?;
    let subnet = choose_subnet(config, names, in_use, &mut netlink)?;
    let name = names.bridge();
    if let Some(link) = netlink.link(&name)? {
        let foreign = netlink.addresses()?.iter().any(|(index, s)| *index == link.index && *s != subnet);
        if foreign {
            netlink.delete_link(&name)?;
        }
    }
    let bridge = Bridge { index: AtomicU32::new(0), subnet, mtu };
    bridge.restore(names)?;
    ledger::keep_subnet(&config.state_dir, subnet);
    Ok(bridge)
}

impl Bridge {
    pub(crate) fn index(&self) -> u32 {
        self.index.load(Ordering::Acquire)
    }

    /// Makes of the bridge and of the kernel's parameters what is not as it must be, and names that.
    pub(crate) fn restore(&self, names: &Names) -> Result<Vec<&'static str>> {
        let (name, mut netlink, mut done) = (names.bridge(), Socket::open()?, Vec::new());
        if netlink.link(&name)?.is_none() {
            netlink.add_bridge(&name, mac_of(self.subnet.gateway()), self.mtu)?;
            done.push("the bridge");
        }
        let link = netlink.link(&name)?.ok_or_else(|| Error::Invalid(format!("bridge {name} is gone")))?;
        if !link.up {
            netlink.set_up(&name)?;
            done.push("the bridge's being up");
        }
        if !netlink.addresses()?.contains(&(link.index, self.subnet)) {
            netlink.add_address(link.index, self.subnet.gateway(), self.subnet.prefix_len())?;
            done.push("the bridge's address");
        }
        // Before ours, for turning it on everywhere sets it on each link.
        if enable_forwarding(names.run_root())? {
            done.push("ip_forward");
        }
        for (parameter, what) in [("forwarding", "forwarding"), ("route_localnet", "route_localnet")] {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/{parameter}");
            if fs::read_to_string(&path).map_err(Error::io("read", &path))?.trim() != "1" {
                fs::write(&path, "1").map_err(Error::io("write", &path))?;
                done.push(what);
            }
        }
        self.index.store(link.index, Ordering::Release);
        Ok(done)
    }
}

/// Puts back `ip_forward` when an instance had turned it on and the last bridge is gone.
pub(crate) fn restore_forwarding(run_root: &Path) -> Result<()> {
    let _lock = lock(run_root)?;
    let others = Socket::open()?.links()?;
    let marker = forward_marker(run_root)?;
    if marker.exists() && !others.iter().any(is_bridge_of_any_instance) {
        fs::write(IP_FORWARD, "0").map_err(Error::io("write", IP_FORWARD))?;
        fs::remove_file(&marker).map_err(Error::io("remove", &marker))?;
    }
    Ok(())
}

fn is_bridge_of_any_instance(link: &Link) -> bool {
    link.name.strip_prefix("rs").is_some_and(|id| id.parse::<crate::types::InstanceId>().is_ok())
}

/// Notes the change before making it, so that a crash between the two undoes nothing of others. False: it
/// was on.
fn enable_forwarding(run_root: &Path) -> Result<bool> {
    let now = fs::read_to_string(IP_FORWARD).map_err(Error::io("read", IP_FORWARD))?;
    if now.trim() != "0" {
        return Ok(false);
    }
    let marker = forward_marker(run_root)?;
    fs::write(&marker, "was 0\n").map_err(Error::io("write", &marker))?;
    fs::write(IP_FORWARD, "1").map_err(Error::io("write", IP_FORWARD))?;
    Ok(true)
}

/// `ip_forward` belongs to a network namespace, hence the marker does too.
fn forward_marker(run_root: &Path) -> Result<std::path::PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let own = "/proc/thread-self/ns/net";
    let inode = fs::metadata(own).map_err(Error::io("stat", own))?.ino();
    Ok(run_root.join(format!("ip_forward-{inode}")))
}

/// One instance at a time may look for a subnet or change what all share. Whoever can open the file could hold it, and
/// with it every instance: nobody else can.
pub(crate) fn lock(run_root: &Path) -> Result<Flock<File>> {
    fs::create_dir_all(run_root).map_err(Error::io("create", run_root))?;
    let path = run_root.join("network.lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(Error::io("create", &path))?;
    // It may be from an older version.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(Error::io("set mode of", &path))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| Error::io("lock", &path)(e.into()))
}

/// Containers use what the host's way out can carry.
fn uplink_mtu(netlink: &mut Socket) -> Result<u32> {
    let routes = netlink.routes()?;
    let uplink = routes.iter().find(|(to, _)| to.prefix_len() == 0).and_then(|(_, link)| *link);
    let links = netlink.links()?;
    Ok(links.iter().find(|l| Some(l.index) == uplink).map_or(DEFAULT_MTU, |l| l.mtu))
}

fn choose_subnet(
    config: &Config,
    names: &Names,
    in_use: Option<Subnet>,
    netlink: &mut Socket,
) -> Result<Subnet> {
    if let Some(subnet) = config.subnet {
        if !(16..=28).contains(&subnet.prefix_len()) {
            return Err(Error::Invalid(format!("bridge subnet {subnet} is not between /16 and /28")));
        }
        if in_use.is_some_and(|in_use| in_use != subnet) {
            return Err(Error::Invalid(format!(
                "bridge subnet cannot become {subnet} while containers have addresses in the old one"
            )));
        }
        return Ok(subnet);
    }
    if let Some(subnet) = in_use {
        return Ok(subnet);
    }
    let own = netlink.link(&names.bridge())?.map(|link| link.index);
    let addresses = netlink.addresses()?.into_iter().filter(|(i, _)| Some(*i) != own).map(|(_, s)| s);
    let mut used: Vec<Subnet> = addresses.collect();
    let routes =
        netlink.routes()?.into_iter().filter(|(s, i)| s.prefix_len() > 0 && (own.is_none() || *i != own));
    used.extend(routes.map(|(s, _)| s));
    let is_free = |candidate: &Subnet| !used.iter().any(|other| other.overlaps(candidate));
    match ledger::read_subnet(&config.state_dir) {
        Some(saved) if is_free(&saved) => Ok(saved),
        _ => candidates().find(is_free).ok_or(Error::NoFreeSubnet),
    }
}

/// /20 networks (4093 containers), away from 172.17-19 (Docker's first) and 172.31 (the default VPC).
fn candidates() -> impl Iterator<Item = Subnet> {
    let private = [28, 29, 30, 27, 26, 25, 24, 23, 22, 21, 20].into_iter().map(|b| (172, b));
    private.chain((201..=220).map(|b| (10, b))).flat_map(|(a, b)| {
        (0..16).filter_map(move |n| Subnet::new(std::net::Ipv4Addr::new(a, b, n * 16, 0), 20).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_hold_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.lock");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(lock(dir.path()).unwrap());
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(lock(dir.path()).unwrap());
        assert_eq!(mode(), 0o600);
    }
}
