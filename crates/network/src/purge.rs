//! Finds and removes everything one instance has made on this host, by name alone: no record is
//! needed, so it works after any accident.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};
use crate::ledger;
use crate::netlink::Socket;
use crate::netns;
use crate::nft;
use crate::setup;
use crate::slots::{Names, Slot};
use crate::stock;
use crate::types::Config;

/// Removes everything the instance made: links, namespaces, rules, records, and `ip_forward` where
/// it was turned on for us and nobody else needs it. Idempotent. Must not run beside an open
/// [`crate::Host`] of the same instance. Blocks for tens of milliseconds.
///
/// Every step is tried; the first error is returned.
pub fn purge(config: &Config) -> Result<()> {
    let names = Names::new(config);
    let steps = [
        nft::remove_table(&names.table()),
        nft::remove_table(&names.guard_table()),
        remove_slots(&names),
        remove_vpc_links(&names),
        Socket::open().and_then(|mut netlink| netlink.delete_link(&names.bridge())),
        ledger::remove_all(&config.state_dir, &names.run_dir()),
        remove_run_dir(&names.run_dir()),
        setup::restore_forwarding(&config.run_root),
    ];
    steps.into_iter().collect()
}

/// Every object on this host that carries the instance's id, one a line, sorted: `link NAME`,
/// `netns PATH`, `mount PATH`, `table NAME`.
pub fn audit(config: &Config) -> Result<Vec<String>> {
    let names = Names::new(config);
    let mut lines = Vec::new();
    let veth_prefix = format!("rv{}", config.instance_id8);
    for link in Socket::open()?.links()? {
        let is_ours = link.name.starts_with(&veth_prefix) || link.name.starts_with(&names.vpc_links());
        if is_ours || link.name == names.bridge() {
            lines.push(format!("link {}", link.name));
        }
    }
    let dir = names.netns_dir();
    for entry in fs::read_dir(&dir).into_iter().flatten() {
        lines.push(format!("netns {}", entry.map_err(Error::io("list", &dir))?.path().display()));
    }
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo");
    let mounts = mounts.map_err(Error::io("read", "/proc/thread-self/mountinfo"))?;
    let prefix = format!("{}/", names.run_dir().display());
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    lines.extend(points.filter(|point| point.starts_with(&prefix)).map(|point| format!("mount {point}")));
    for table in [names.table(), names.guard_table()] {
        if nft::table_exists(&table)? {
            lines.push(format!("table {table}"));
        }
    }
    lines.sort();
    Ok(lines)
}

fn remove_slots(names: &Names) -> Result<()> {
    let found = stock::find_objects(names)?;
    let mut slots: Vec<Slot> = found.veths.into_iter().chain(found.netns).collect();
    slots.sort_unstable();
    slots.dedup();
    stock::remove_objects(names, &slots)
}

/// The links to VPCs' namespaces. These go with the folder of namespaces, and all links of theirs with them.
fn remove_vpc_links(names: &Names) -> Result<()> {
    let mut netlink = Socket::open()?;
    let links = netlink.links()?;
    let ours =
        links.iter().map(|link| link.name.as_str()).filter(|name| names.slot_of_vpc_link(name).is_some());
    netlink.delete_links(ours, names.group())
}

fn remove_run_dir(run_dir: &Path) -> Result<()> {
    let netns_dir = run_dir.join("netns");
    for entry in fs::read_dir(&netns_dir).into_iter().flatten() {
        netns::remove(&entry.map_err(Error::io("list", &netns_dir))?.path())?;
    }
    // Other parts may keep files in the run directory; only an empty one goes.
    for dir in [netns_dir.as_path(), run_dir] {
        match fs::remove_dir(dir) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {}
            // A file system of theirs.
            Err(e) if e.kind() == ErrorKind::ResourceBusy => {}
            Err(e) => return Err(Error::io("remove", dir)(e)),
        }
    }
    Ok(())
}
