//! Namespaces made ahead of need and taken down out of the way: a thread that keeps a stock of
//! ready ones, and a thread that removes those left behind.
//!
//! The stock is not on record. What a killed process leaves ready or half made bears a slot that
//! no record owns; the next open finds it by name and has it removed. The same holds for removals
//! that were not finished.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::netlink::{Owner, Socket, Veth};
use crate::netns;
use crate::setup::Bridge;
use crate::slots::{Names, Slot, Slots, mac_of};

/// Interface name inside a container.
pub(crate) const PEER: &str = "eth0";
/// Pause after a failure, so that a persistent one does not spin.
const RETRY: Duration = Duration::from_secs(1);
/// The stock is refilled only when nothing was taken for so long, or when half of it is gone: a
/// container that is just starting needs the processor more.
const QUIET: Duration = Duration::from_millis(20);
/// Removals gathered into one deletion.
const BATCH_MAX: usize = 128;

/// The stock and its two threads.
pub(crate) struct Stock {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

pub(crate) struct Shared {
    pub names: Names,
    pub bridge: Bridge,
    pub size: usize,
    pub slots: Mutex<Slots>,
    pub queues: Mutex<Queues>,
    changed: Condvar,
    /// Held while a namespace is made: the kernel makes links one at a time anyway, and a queue here
    /// lets the first of many callers go on early.
    making: Mutex<()>,
    /// Whether it was said that [`Shared::guard`] cannot be done.
    unguarded: Once,
}

#[derive(Default)]
pub(crate) struct Queues {
    ready: VecDeque<Slot>,
    leaving: VecDeque<Slot>,
    last_taken: Option<Instant>,
    /// Removals under way.
    removing: usize,
    stopping: bool,
}

impl Stock {
    /// Starts both threads; `orphans` are removed first. They work in the calling thread's network
    /// namespace.
    pub(crate) fn start(
        names: Names,
        bridge: Bridge,
        slots: Slots,
        orphans: Vec<Slot>,
        size: usize,
    ) -> Result<Stock> {
        let queues = Queues { leaving: orphans.into(), ..Queues::default() };
        let shared = Arc::new(Shared {
            names,
            bridge,
            size,
            slots: Mutex::new(slots),
            queues: Mutex::new(queues),
            changed: Condvar::new(),
            making: Mutex::new(()),
            unguarded: Once::new(),
        });
        let stock = Stock { shared: shared.clone(), workers: Mutex::new(Vec::new()) };
        for (name, work) in [("network-stock", fill as fn(&Shared)), ("network-remove", remove)] {
            let shared = shared.clone();
            let worker = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            stock.workers.lock().push(worker.map_err(Error::io("start thread", name))?);
        }
        Ok(stock)
    }

    /// A namespace on the bridge: from stock in microseconds, else made now in some milliseconds.
    pub(crate) fn take(&self) -> Result<Slot> {
        let ready = {
            let mut queues = self.shared.queues.lock();
            queues.last_taken = Some(Instant::now());
            queues.ready.pop_front()
        };
        self.shared.changed.notify_all();
        match ready {
            Some(slot) => Ok(slot),
            None => self.shared.make(true),
        }
    }

    /// A namespace with nothing but `lo`.
    pub(crate) fn take_unconnected(&self) -> Result<Slot> {
        self.shared.make(false)
    }

    /// Hands a slot over for removal in the background.
    pub(crate) fn give_up(&self, slots: impl IntoIterator<Item = Slot>) {
        self.shared.queues.lock().leaving.extend(slots);
        self.shared.changed.notify_all();
    }

    /// Waits until the stock is full and nothing is left to remove; false when time ran out.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut queues = self.shared.queues.lock();
        loop {
            let is_settled = queues.leaving.is_empty()
                && queues.removing == 0
                && (queues.ready.len() >= self.shared.size || queues.stopping);
            if is_settled {
                return true;
            }
            if self.shared.changed.wait_until(&mut queues, deadline).timed_out() {
                return false;
            }
        }
    }

    /// Ends both threads; what they have not done is found by the next open.
    pub(crate) fn stop(&self) {
        self.shared.queues.lock().stopping = true;
        self.shared.changed.notify_all();
        for worker in self.workers.lock().drain(..) {
            // A panic there was reported when it happened.
            let _ = worker.join();
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    fn make(&self, is_connected: bool) -> Result<Slot> {
        match self.try_make(is_connected) {
            // What it is made on may have been taken from under us, and nobody has heard of it yet.
            Err(_) if is_connected && self.bridge.restore(&self.names).is_ok_and(|done| !done.is_empty()) => {
                self.try_make(is_connected)
            }
            made => made,
        }
    }

    fn try_make(&self, is_connected: bool) -> Result<Slot> {
        let slot = self.slots.lock().take()?;
        self.build(slot, is_connected).inspect_err(|_| {
            self.queues.lock().leaving.push_back(slot);
            self.changed.notify_all();
        })?;
        Ok(slot)
    }

    /// The slots in stock.
    pub(crate) fn ready(&self) -> Vec<Slot> {
        self.queues.lock().ready.iter().copied().collect()
    }

    /// Takes a slot out of the stock, to be removed; false when it is not in it.
    pub(crate) fn discard(&self, slot: Slot) -> bool {
        let mut queues = self.queues.lock();
        let before = queues.ready.len();
        queues.ready.retain(|ready| *ready != slot);
        let was_ready = queues.ready.len() < before;
        if was_ready {
            queues.leaving.push_back(slot);
        }
        drop(queues);
        self.changed.notify_all();
        was_ready
    }

    /// Makes the namespace of a slot.
    pub(crate) fn build(&self, slot: Slot, is_connected: bool) -> Result<()> {
        let _turn = self.making.lock();
        let mut made = netns::create(&self.names.netns(slot))?;
        if !is_connected {
            return Ok(());
        }
        self.connect(slot, made.file.as_fd(), &mut made.inside)
    }

    /// Puts a namespace on the bridge: `inside` is a socket in it.
    pub(crate) fn connect(&self, slot: Slot, netns: BorrowedFd<'_>, inside: &mut Socket) -> Result<()> {
        let (address, name) = (self.bridge.subnet.at(slot), self.names.veth(slot));
        let mut netlink = Socket::open()?;
        netlink.add_veth(&Veth {
            name: &name,
            mac: None,
            bridge_index: Some(self.bridge.index()),
            mtu: self.bridge.mtu,
            peer_name: PEER,
            peer_mac: mac_of(address),
            peer_netns: netns,
        })?;
        self.guard(&mut netlink, slot);
        let peer = inside.index(PEER)?.ok_or_else(|| Error::Invalid(format!("{PEER} is gone")))?;
        inside.set_up(PEER)?;
        inside.add_address(peer, address, self.bridge.subnet.prefix_len())?;
        inside.add_default_route(self.bridge.subnet.gateway())
    }

    /// Keeps a container from the host's loopback, whatever becomes of the rules, and from speaking as anybody else. A
    /// kernel that cannot do it is left with the rules alone; [`crate::doctor`] says so.
    pub(crate) fn guard(&self, netlink: &mut Socket, slot: Slot) {
        let ipv4 = self.bridge.subnet.at(slot);
        let owner = Owner { mac: mac_of(ipv4), ipv4, ipv6: None };
        if let Err(error) = netlink.admit_only(&self.names.veth(slot), &owner) {
            let error = &error as &dyn std::error::Error;
            self.unguarded.call_once(|| {
                tracing::warn!(
                    error,
                    "only nftables keeps containers from this host's loopback, and nothing from speaking as others"
                );
            });
        }
    }
}

fn fill(shared: &Shared) {
    loop {
        {
            let mut queues = shared.queues.lock();
            while !queues.stopping {
                if queues.ready.len() >= shared.size {
                    shared.changed.wait(&mut queues);
                    continue;
                }
                let quiet_at = queues.last_taken.map(|taken| taken + QUIET);
                let may_wait = queues.ready.len() * 2 > shared.size;
                match quiet_at.filter(|at| may_wait && Instant::now() < *at) {
                    Some(at) => drop(shared.changed.wait_until(&mut queues, at)),
                    None => break,
                }
            }
            if queues.stopping {
                return;
            }
        }
        match shared.make(true) {
            Ok(slot) => {
                shared.queues.lock().ready.push_back(slot);
                shared.changed.notify_all();
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot stock a network namespace");
                if pause(shared) {
                    return;
                }
            }
        }
    }
}

fn remove(shared: &Shared) {
    loop {
        let batch: Vec<Slot> = {
            let mut queues = shared.queues.lock();
            while queues.leaving.is_empty() && !queues.stopping {
                shared.changed.wait(&mut queues);
            }
            if queues.stopping {
                return;
            }
            let count = queues.leaving.len().min(BATCH_MAX);
            queues.removing = count;
            queues.leaving.drain(..count).collect()
        };
        let removed = remove_objects(&shared.names, &batch);
        if removed.is_ok() {
            let mut slots = shared.slots.lock();
            batch.iter().for_each(|slot| slots.release(*slot));
        }
        {
            let mut queues = shared.queues.lock();
            queues.removing = 0;
            if removed.is_err() {
                queues.leaving.extend(&batch);
            }
        }
        shared.changed.notify_all();
        if let Err(error) = removed {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot remove network namespaces");
            if pause(shared) {
                return;
            }
        }
    }
}

/// Waits a moment; true when it is time to stop.
fn pause(shared: &Shared) -> bool {
    let deadline = Instant::now() + RETRY;
    let mut queues = shared.queues.lock();
    while !queues.stopping && !shared.changed.wait_until(&mut queues, deadline).timed_out() {}
    queues.stopping
}

/// Removes the veths and namespaces of these slots, whatever of them is there.
pub(crate) fn remove_objects(names: &Names, slots: &[Slot]) -> Result<()> {
    let veths: Vec<String> = slots.iter().map(|slot| names.veth(*slot)).collect();
    Socket::open()?.delete_links(veths.iter().map(String::as_str), names.group())?;
    slots.iter().try_for_each(|slot| netns::remove(&names.netns(*slot)))
}

/// Slots that a link or a namespace file on this host bears.
pub(crate) struct Found {
    pub veths: Vec<Slot>,
    pub netns: Vec<Slot>,
}

/// Looks for every object of this instance that bears a slot.
pub(crate) fn find_objects(names: &Names) -> Result<Found> {
    let links = Socket::open()?.links()?;
    let veths = links.iter().filter_map(|link| names.slot_of_veth(&link.name)).collect();
    let dir = names.netns_dir();
    let mut netns = Vec::new();
    match fs::read_dir(&dir) {
        Ok(entries) => {
            for entry in entries {
                let name = entry.map_err(Error::io("list", &dir))?.file_name();
                netns.extend(name.to_str().and_then(|name| names.slot_of_netns(name)));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("list", &dir)(e)),
    }
    Ok(Found { veths, netns })
}
