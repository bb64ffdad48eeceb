//! The nftables rules of this instance: one table, written by [`render_table`], and one thread
//! that applies changes to its maps.
//!
//! A published port is an element of a map (`port : address . port`), so attaching a container
//! adds elements and no rules, and a packet costs one lookup however many ports are published.
//!
//! Changes go through a single thread that gathers whatever is waiting into one transaction: fifty
//! containers at once cost about as much as one. Should it be refused (somebody flushed the rules),
//! the whole table is written again, by the `nft` program, from what it should hold. So it is when a
//! look at it ([`Applier::repair`]) finds that anything of it is not as it was written.
//!
//! An `accept` here cannot undo a `drop` of another table: where dockerd has set the FORWARD
//! policy to drop, [`crate::doctor`] says so and how to mend it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::netlink::Socket;
use crate::nfnetlink;
use crate::types::{Binding, Protocol, Subnet};

/// Changes gathered into one run at most.
const BATCH_MAX: usize = 512;
const TCP_MAP: &str = "tcp_ports";
const UDP_MAP: &str = "udp_ports";

/// What the maps hold: where each host port leads.
pub(crate) type Published = BTreeMap<(Protocol, u16), (Ipv4Addr, u16)>;

/// What does not change in a table while a host is open.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub name: String,
    pub bridge: String,
    pub subnet: Subnet,
    /// What the links to VPCs' namespaces begin with.
    pub vpc_links: String,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Publish(Binding, Ipv4Addr),
    Withdraw(Binding),
}

struct Job {
    /// Empty asks for a look at the whole table.
    changes: Vec<Wish>,
    reply: SyncSender<Answer>,
}

/// Whether the table had to be written whole.
type Answer = std::result::Result<bool, String>;

/// The thread that applies changes.
pub(crate) struct Applier {
    jobs: Mutex<Option<Sender<Job>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    port: u32,
}

/// What the thread knows.
struct Worker {
    table: Table,
    socket: Socket,
    published: Published,
    /// Of the table as it was written.
    fingerprint: Option<u64>,
}

impl Applier {
    /// Writes the table with what is published already, replacing an older one in one step, and
    /// starts the thread. It works in the calling thread's network namespace.
    pub(crate) fn start(table: Table, published: Published) -> Result<Applier> {
        let socket = Socket::open_netfilter()?;
        let port = socket.port()?;
        let mut state = Worker { table, socket, published: Published::new(), fingerprint: None };
        state.write_whole(&published).map_err(Error::Nft)?;
        state.published = published;
        let (sender, receiver) = channel();
        let worker = thread::Builder::new()
            .name("network-nft".to_owned())
            .spawn(move || state.apply_all(&receiver))
            .map_err(Error::io("start thread", "network-nft"))?;
        Ok(Applier { jobs: Mutex::new(Some(sender)), worker: Mutex::new(Some(worker)), port })
    }

    /// The number of the socket that changes the maps, as the kernel tells it to others.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Publishes ports. Blocks until the kernel has them (a few ms).
    pub(crate) fn publish(&self, bindings: &[Binding], address: Ipv4Addr) -> Result<()> {
        self.submit(bindings.iter().map(|b| Wish::Publish(*b, address)).collect())
    }

    /// Withdraws ports. Blocks until the kernel has forgotten them (a few ms).
    pub(crate) fn withdraw(&self, bindings: &[Binding]) -> Result<()> {
        self.submit(bindings.iter().map(|b| Wish::Withdraw(*b)).collect())
    }

    /// Ends the thread after what was submitted.
    pub(crate) fn stop(&self) {
        self.jobs.lock().take();
        if let Some(worker) = self.worker.lock().take() {
            // A panic there was reported when it happened.
            let _ = worker.join();
        }
    }

    /// Writes the table whole if it is not as it was written; says whether it had to. Blocks for a few ms.
    pub(crate) fn repair(&self) -> Result<bool> {
        self.send(Vec::new())
    }

    fn submit(&self, changes: Vec<Wish>) -> Result<()> {
        if changes.is_empty() { Ok(()) } else { self.send(changes).map(drop) }
    }

    fn send(&self, changes: Vec<Wish>) -> Result<bool> {
        let (reply, answer) = sync_channel(1);
        let job = Job { changes, reply };
        let sent = self.jobs.lock().as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(Error::Stopped);
        }
        answer.recv().map_err(|_| Error::Stopped)?.map_err(Error::Nft)
    }
}

impl Worker {
    fn apply_all(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(BATCH_MAX - 1)).collect();
            let wishes: Vec<Wish> = batch.iter().flat_map(|job| job.changes.iter().copied()).collect();
            let mut wanted = self.published.clone();
            wishes.iter().for_each(|wish| wish.apply(&mut wanted));
            let mut result = self.apply(&wanted);
            if result.is_ok() {
                forget_old_flows(&mut self.socket, &wishes);
                self.published = wanted;
                if batch.iter().any(|job| job.changes.is_empty()) {
                    let before = result == Ok(true);
                    result = self.look().map(|restored| restored || before);
                }
            }
            for job in batch {
                // A caller that went away does not want the answer.
                let _ = job.reply.send(result.clone());
            }
        }
    }

    /// Leads the kernel's table to another content, in one transaction.
    fn apply(&mut self, to: &Published) -> Answer {
        let from = &self.published;
        let maps =
            [(TCP_MAP, difference(from, to, Protocol::Tcp)), (UDP_MAP, difference(from, to, Protocol::Udp))];
        let changed = match maps.iter().map(|(_, changes)| changes.len()).sum() {
            0 => return Ok(false),
            1..=nfnetlink::ELEMENTS_MAX => {
                nfnetlink::change_elements(&mut self.socket, &self.table.name, &maps)
            }
            _ => return self.write_whole(to).map(|()| false),
        };
        let Err(refused) = changed else { return Ok(false) };
        tracing::warn!(%refused, table = self.table.name, "writing the whole nftables table again");
        self.write_whole(to).map(|()| true)
    }

    fn write_whole(&mut self, to: &Published) -> std::result::Result<(), String> {
        run(&render_table(&self.table, to))?;
        let written = nfnetlink::fingerprint(&mut self.socket, &self.table.name);
        self.fingerprint = written.map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Writes the table whole where anything of it is not as it was written.
    fn look(&mut self) -> Answer {
        // What cannot be read is written anew.
        if self.is_whole().unwrap_or(false) {
            return Ok(false);
        }
        let to = self.published.clone();
        self.write_whole(&to).map(|()| true)
    }

    fn is_whole(&mut self) -> std::io::Result<bool> {
        let found = nfnetlink::fingerprint(&mut self.socket, &self.table.name)?;
        if found.is_none() || found != self.fingerprint {
            return Ok(false);
        }
        for (map, protocol) in [(TCP_MAP, Protocol::Tcp), (UDP_MAP, Protocol::Udp)] {
            let held = nfnetlink::read_elements(&mut self.socket, &self.table.name, map)?;
            let wanted = self.published.iter().filter(|((p, _), _)| *p == protocol);
            if !held.iter().eq(wanted.map(|((_, port), to)| (port, to))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn difference(from: &Published, to: &Published, protocol: Protocol) -> Vec<nfnetlink::Change> {
    let of = |all: &Published| -> Published {
        all.iter().filter(|((p, _), _)| *p == protocol).map(|(key, value)| (*key, *value)).collect()
    };
    let (from, to) = (of(from), of(to));
    let gone = from.iter().filter(|(key, value)| to.get(key) != Some(value));
    let new = to.iter().filter(|(key, value)| from.get(key) != Some(value));
    gone.map(|((_, port), _)| nfnetlink::Change::Delete(*port))
        .chain(new.map(|((_, port), value)| nfnetlink::Change::Add(*port, *value)))
        .collect()
}

/// Connections of TCP end by themselves; UDP ones live as long as somebody sends.
fn forget_old_flows(socket: &mut Socket, wishes: &[Wish]) {
    let bindings = wishes.iter().map(|(Wish::Publish(b, _) | Wish::Withdraw(b))| b);
    let ports: BTreeSet<u16> =
        bindings.filter(|b| b.protocol == Protocol::Udp).map(|b| b.host_port).collect();
    if !ports.is_empty()
        && let Err(error) = nfnetlink::forget_udp(socket, &ports)
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "old UDP flows may miss a new container");
    }
}

impl Wish {
    fn apply(&self, published: &mut Published) {
        match self {
            Wish::Publish(b, address) => {
                published.insert((b.protocol, b.host_port), (*address, b.container_port));
            }
            Wish::Withdraw(b) => {
                published.remove(&(b.protocol, b.host_port));
            }
        }
    }
}

/// Removes a table; not an error when there is none.
pub(crate) fn remove_table(name: &str) -> Result<()> {
    run(&format!("table inet {name}\ndelete table inet {name}\n")).map_err(Error::Nft)
}

/// Whether the table exists.
pub(crate) fn table_exists(name: &str) -> Result<bool> {
    let output = nft().args(["list", "tables", "inet"]).output();
    let output = output.map_err(|e| Error::Nft(format!("could not be run: {e}")))?;
    if !output.status.success() {
        return Err(Error::Nft(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let wanted = format!("table inet {name}");
    Ok(String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == wanted))
}

/// Every chain of the host's nftables, as `nft -j` tells it.
pub(crate) fn list_chains() -> Result<serde_json::Value> {
    let output = nft().args(["-j", "list", "chains"]).output();
    let output = output.map_err(|e| Error::Nft(format!("could not be run: {e}")))?;
    if !output.status.success() {
        return Err(Error::Nft(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| Error::Nft(e.to_string()))
}

/// The text that makes the table anew in one step, whatever was there.
fn render_table(table: &Table, published: &Published) -> String {
    let Table { name, bridge, subnet, vpc_links } = table;
    let map = |protocol| {
        let of_protocol = published.iter().filter(|((p, _), _)| *p == protocol);
        let one =
            |((_, host), (ip, port)): (&(Protocol, u16), &(Ipv4Addr, u16))| format!("{host} : {ip} . {port}");
        let elements = of_protocol.map(one).collect::<Vec<_>>().join(", ");
        let elements = if elements.is_empty() { elements } else { format!("elements = {{ {elements} }}\n") };
        format!("map {protocol}_ports {{ type inet_service : ipv4_addr . inet_service\n{elements}}}\n")
    };
    format!(
        "table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n{}{}\
# route_localnet lets the host's 127.0.0.1 reach published ports; nobody may come the other way.
chain guard {{ type filter hook prerouting priority raw; policy accept
  iifname \"{bridge}\" ip daddr 127.0.0.0/8 drop
}}
chain prerouting {{ type nat hook prerouting priority dstnat; policy accept
  fib daddr type local jump published
}}
chain output {{ type nat hook output priority -100; policy accept
  fib daddr type local jump published
}}
chain published {{
  meta nfproto ipv4 dnat ip to tcp dport map @tcp_ports
  meta nfproto ipv4 dnat ip to udp dport map @udp_ports
}}
# Out into the world; a container that calls a host port of this bridge; the host's own loopback.
chain postrouting {{ type nat hook postrouting priority srcnat; policy accept
  ip saddr {subnet} oifname != \"{bridge}\" masquerade
  ip saddr {subnet} oifname \"{bridge}\" ct status dnat masquerade
  ip saddr 127.0.0.0/8 oifname \"{bridge}\" masquerade
  iifname \"{vpc_links}*\" oifname != \"{vpc_links}*\" masquerade
  iifname \"{vpc_links}*\" ip saddr 169.254.172.0/22 masquerade
}}
# Tasks of a VPC reach nothing of this host itself: only what asks them is answered.
chain input {{ type filter hook input priority filter; policy accept
  iifname \"{vpc_links}*\" ct state established,related accept
  iifname \"{vpc_links}*\" drop
}}
# From outside only what is published; containers reach each other and the world.
chain forward {{ type filter hook forward priority filter; policy accept
  iifname \"{bridge}\" accept
  oifname \"{bridge}\" ct state established,related accept
  oifname \"{bridge}\" ct status dnat accept
  oifname \"{bridge}\" drop
}}
}}
",
        map(Protocol::Tcp),
        map(Protocol::Udp),
    )
}

/// Has the program `nft` carry out a text, in the calling thread's network namespace.
pub(crate) fn run(text: &str) -> std::result::Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let started = nft().args(["-f", "-"]).stdin(Stdio::piped()).spawn();
    let mut child = started.map_err(|e| format!("could not be run: {e}"))?;
    // A program that gave up early says why on stderr; the broken pipe is not the reason.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    written.unwrap_or(Ok(())).map_err(|e| e.to_string())
}

fn nft() -> Command {
    let program = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .unwrap_or("nft");
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[cfg(test)]
mod tests;
