//! Looks after what was made on the host, for others take it away: a firewall that is reloaded flushes
//! all rules, a network manager takes down a bridge that it does not know. A thread hears of changes from
//! the kernel and has what is missing made again, within a moment; nothing is looked at while nothing
//! changes, but for two kernel parameters of which the kernel does not tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::host::State;
use crate::ledger::Record;
use crate::netlink::{Listener, News, Socket};
use crate::netns;
use crate::nft::Applier;
use crate::slots::Slot;
use crate::stock::Shared;
use crate::sysctl;
use crate::takeup::{self, Containers};
use crate::types::Mode;
use crate::vpc::manager::Vpcs;

/// After the first change: what belongs together has come by then.
const GATHER: Duration = Duration::from_millis(20);
/// Between looks, so that somebody who undoes it again and again costs little.
const REST: Duration = Duration::from_millis(200);
/// Before another attempt at what could not be made.
const RETRY: Duration = Duration::from_secs(1);
/// Between two links made for one container: one that may change its own network could have us make
/// them without end.
const RECONNECT_REST: Duration = Duration::from_secs(10);
/// Between two words in the log of what was made again.
const SAY_REST: Duration = Duration::from_secs(1);
/// Between looks at what the kernel does not tell of.
const UNTOLD: Duration = Duration::from_secs(5);

/// What may be amiss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Suspects {
    rules: bool,
    /// The bridge, its address and the kernel's parameters.
    bridge: bool,
    slots: BTreeSet<Slot>,
    /// VPCs' namespaces, and what is in them.
    vpcs: bool,
    /// Everything.
    all: bool,
}

/// What became of a look at one link.
enum Outcome {
    InOrder,
    Made,
    /// To be looked at again.
    Later,
}

/// What there is to look after.
pub(crate) struct Keeper {
    pub shared: Arc<Shared>,
    pub rules: Arc<Applier>,
    vpcs: Arc<Vpcs>,
    pub state: Arc<Mutex<State>>,
    containers: Arc<dyn Containers>,
    /// How often anything was made again.
    pub restored: AtomicU64,
    /// When a container's link was last made again.
    reconnected: Mutex<BTreeMap<Slot, Instant>>,
    said: Mutex<Option<Instant>>,
}

/// The thread; dropped, it ends.
pub(crate) struct Watch {
    /// The thread ends when this is closed.
    stop: Mutex<Option<OwnedFd>>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Watch {
    /// Starts to watch, in the calling thread's network namespace. Looks at everything once.
    pub(crate) fn start(keeper: Arc<Keeper>) -> Result<Watch> {
        let (route, nftables) = (Listener::route()?, Listener::nftables()?);
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|e| Error::io("make", "pipe")(e.into()))?;
        let worker = thread::Builder::new()
            .name("network-watch".to_owned())
            .spawn(move || watch(&keeper, [route, nftables], &stopped))
            .map_err(Error::io("start thread", "network-watch"))?;
        Ok(Watch { stop: Mutex::new(Some(stop)), worker: Mutex::new(Some(worker)) })
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stop.lock().take();
        if let Some(worker) = self.worker.lock().take() {
            // A panic there was reported when it happened.
            let _ = worker.join();
        }
    }
}

fn watch(keeper: &Keeper, mut listeners: [Listener; 2], stopped: &OwnedFd) {
    let mut suspects = Suspects { all: true, ..Suspects::default() };
    let mut said = None;
    loop {
        if suspects == Suspects::default() {
            if listen(&listeners, stopped, UNTOLD) {
                return;
            }
            suspects.read(keeper, &mut listeners);
            suspects.bridge |= keeper.parameters_differ();
            suspects.vpcs |= keeper.vpcs.is_suspect();
            if suspects == Suspects::default() {
                continue;
            }
            if listen(&[], stopped, GATHER) {
                return;
            }
            suspects.read(keeper, &mut listeners);
        }
        let (left, error) = keeper.look(&suspects);
        let rest = if left == Suspects::default() { REST } else { RETRY };
        let text = error.as_ref().map(chain);
        if let Some(error) = text.as_ref().filter(|_| text != said) {
            tracing::error!(error, "what was taken from this host's network cannot be made again yet");
        }
        (suspects, said) = (left, text);
        if listen(&[], stopped, rest) {
            return;
        }
        suspects.read(keeper, &mut listeners);
    }
}

/// Waits for news, at most so long; true when it is time to end.
fn listen(listeners: &[Listener], stopped: &OwnedFd, most: Duration) -> bool {
    let mut all = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    all.extend(listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)));
    let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
    // Broken off by a signal it is as if the time had passed.
    let _ = poll(&mut all, timeout);
    all[0].any().unwrap_or(false)
}

impl Suspects {
    fn read(&mut self, keeper: &Keeper, listeners: &mut [Listener; 2]) {
        for listener in listeners {
            if let Err(error) = listener.read(|news| self.hear(keeper, news)) {
                tracing::error!(%error, "changes of this host's network cannot be heard of");
                self.all = true;
            }
        }
    }

    /// Takes in what the kernel tells. Most of it is our own doing, and in order.
    fn hear(&mut self, keeper: &Keeper, news: News) {
        let shared = &keeper.shared;
        match news {
            News::Link(link) => {
                if link.name == shared.names.bridge() {
                    self.bridge |= !link.up || link.index != shared.bridge.index();
                } else if shared.names.slot_of_vpc_link(&link.name).is_some() {
                    self.vpcs |= !link.up;
                } else if let Some(slot) = shared.names.slot_of_veth(&link.name) {
                    // A new one is not on the bridge when it is first told of.
                    if link.up && link.master == Some(shared.bridge.index()) {
                        self.slots.remove(&slot);
                    } else {
                        self.slots.insert(slot);
                    }
                }
            }
            News::LinkGone(link) if link.name == shared.names.bridge() => self.bridge = true,
            News::LinkGone(link) if shared.names.slot_of_vpc_link(&link.name).is_some() => self.vpcs = true,
            News::LinkGone(link) => self.slots.extend(shared.names.slot_of_veth(&link.name)),
            News::AddressGone(index) => self.bridge |= index == shared.bridge.index(),
            News::Forwarding(index) => {
                self.bridge |= index.is_none_or(|index| index == shared.bridge.index());
            }
            News::FilterGone(index) => {
                let name = nix::net::if_::if_indextoname(index).ok().and_then(|name| name.into_string().ok());
                self.slots.extend(name.and_then(|name| shared.names.slot_of_veth(&name)));
            }
            News::Table(name, port) => {
                self.rules |= name == shared.names.table() && port != keeper.rules.port();
            }
            News::Missed => self.all = true,
        }
    }
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        rules: Arc<Applier>,
        vpcs: Arc<Vpcs>,
        state: Arc<Mutex<State>>,
        containers: Arc<dyn Containers>,
    ) -> Keeper {
        Keeper {
            shared,
            rules,
            vpcs,
            state,
            containers,
            restored: AtomicU64::new(0),
            reconnected: Mutex::default(),
            said: Mutex::new(None),
        }
    }

    /// Looks at everything, and makes again what is not as it must be.
    pub(crate) fn look_at_all(&self) -> Result<()> {
        match self.look(&Suspects { all: true, ..Suspects::default() }) {
            (_, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes again what it can of what is suspected, and answers what must be looked at once more, with
    /// the first error: one part that cannot be made keeps no other from it.
    fn look(&self, suspects: &Suspects) -> (Suspects, Option<Error>) {
        let (mut done, mut left, mut first) = (Vec::new(), Suspects::default(), None);
        let mut vpcs = suspects.vpcs || suspects.all;
        if suspects.rules || suspects.all {
            match self.rules.repair() {
                Ok(true) => {
                    done.push("the rules");
                    // Who takes one table away takes the others too.
                    vpcs = true;
                }
                Ok(false) => {}
                Err(error) => (left.rules, first) = (true, Some(error)),
            }
        }
        let before = self.shared.bridge.index();
        if suspects.bridge || suspects.all {
            match self.shared.bridge.restore(&self.shared.names) {
                Ok(made) => done.extend(made),
                Err(error) => (left.bridge, first) = (true, first.or(Some(error))),
            }
        }
        let is_new = self.shared.bridge.index() != before;
        let slots = if suspects.all || is_new { self.every_slot() } else { suspects.slots.clone() };
        let restored = match (slots.is_empty(), Socket::open()) {
            (true, _) => Ok(()),
            (false, Ok(netlink)) => self.restore_slots(netlink, slots, &mut left, &mut done),
            (false, Err(error)) => {
                left.slots = slots;
                Err(error)
            }
        };
        if vpcs {
            match self.vpcs.look() {
                Ok(made) => done.extend(made),
                Err(error) => (left.vpcs, first) = (true, first.or(Some(error))),
            }
        }
        if !done.is_empty() {
            self.count(done);
        }
        (left, first.or(restored.err()))
    }

    fn restore_slots(
        &self,
        mut netlink: Socket,
        slots: BTreeSet<Slot>,
        left: &mut Suspects,
        done: &mut Vec<&'static str>,
    ) -> Result<()> {
        let mut first = Ok(());
        for slot in slots {
            match self.restore_slot(&mut netlink, slot) {
                Ok(Outcome::InOrder) => {}
                Ok(Outcome::Made) => done.push("a container's link"),
                Ok(Outcome::Later) => drop(left.slots.insert(slot)),
                Err(error) => {
                    left.slots.insert(slot);
                    first = first.and(Err(error));
                }
            }
        }
        first
    }

    fn count(&self, mut done: Vec<&'static str>) {
        let times = self.restored.fetch_add(1, Ordering::Relaxed) + 1;
        let mut said = self.said.lock();
        if said.is_none_or(|at| at.elapsed() >= SAY_REST) {
            *said = Some(Instant::now());
            done.dedup();
            tracing::warn!(
                what = done.join(", "),
                times,
                "made again what was taken from this host's network"
            );
        }
    }

    fn every_slot(&self) -> BTreeSet<Slot> {
        let attached: Vec<Slot> = self.state.lock().slots.keys().copied().collect();
        attached.into_iter().chain(self.shared.ready()).collect()
    }

    /// Puts a container's link back in order.
    fn restore_slot(&self, netlink: &mut Socket, slot: Slot) -> Result<Outcome> {
        let record = {
            let state = self.state.lock();
            state.slots.get(&slot).and_then(|id| state.attached.get(id)).cloned()
        };
        if record.is_none() && !self.shared.ready().contains(&slot) {
            return Ok(Outcome::InOrder);
        }
        let (name, bridge) = (self.shared.names.veth(slot), self.shared.bridge.index());
        let Some(link) = netlink.link(&name)? else {
            let Some(record) = record else {
                let gone = self.shared.discard(slot);
                return Ok(if gone { Outcome::Made } else { Outcome::InOrder });
            };
            return self.reconnect(slot, &record);
        };
        let in_order = link.up && link.master == Some(bridge);
        if !in_order {
            netlink.set_bridge(&name, bridge)?;
            netlink.set_hairpin(&name)?;
            netlink.set_up(&name)?;
        }
        self.shared.guard(netlink, slot);
        Ok(if in_order { Outcome::InOrder } else { Outcome::Made })
    }

    /// Makes the link of a namespace that has lost it.
    fn reconnect(&self, slot: Slot, record: &Record) -> Result<Outcome> {
        let path = self.shared.names.netns(slot);
        if !netns::exists(&path) && !self.rebind(slot, record) {
            // It goes with its last process; a container that starts again has another made.
            tracing::debug!(path = %path.display(), "a container's network namespace is gone");
            return Ok(Outcome::InOrder);
        }
        {
            let mut reconnected = self.reconnected.lock();
            reconnected.retain(|_, at| at.elapsed() < RECONNECT_REST);
            if reconnected.contains_key(&slot) {
                return Ok(Outcome::Later);
            }
            reconnected.insert(slot, Instant::now());
        }
        let file = File::open(&path).map_err(Error::io("open namespace", &path))?;
        let mut inside = netns::enter(&path, Socket::open)?;
        self.shared.connect(slot, file.as_fd(), &mut inside)?;
        netns::enter(&path, || sysctl::write_all(&record.spec.sysctls))?;
        Ok(Outcome::Made)
    }

    fn rebind(&self, slot: Slot, record: &Record) -> bool {
        takeup::rebind(&self.shared.names, slot, &record.spec.id, self.containers.as_ref())
    }

    /// Sees to it that a container has a namespace to start in: the one that it had, by its file or by who
    /// lives there, else a new one with the same address.
    pub(crate) fn renew(&self, record: &Record) -> Result<()> {
        let Some(slot) = record.slot else { return Ok(()) };
        let path = self.shared.names.netns(slot);
        if netns::exists(&path) || self.rebind(slot, record) {
            return Ok(());
        }
        // Of a namespace in which nobody is.
        Socket::open()?.delete_link(&self.shared.names.veth(slot))?;
        self.shared.build(slot, record.spec.mode == Mode::Bridge)?;
        netns::enter(&path, || sysctl::write_all(&record.spec.sysctls))?;
        tracing::warn!(id = %record.spec.id, "a container has a new network namespace in the place of one that is gone");
        Ok(())
    }

    /// Whether what the kernel does not tell of was changed.
    fn parameters_differ(&self) -> bool {
        let path = format!("/proc/sys/net/ipv4/conf/{}/route_localnet", self.shared.names.bridge());
        !fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
    }
}

/// An error with what it stands on.
fn chain(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
