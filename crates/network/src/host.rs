//! The handle on this instance's network: attaches and detaches containers, and takes up after a
//! restart what an earlier life of the process had made.
//!
//! Order of steps, so that a kill at any point leaves nothing that the next open cannot tell:
//! attach writes its record before it publishes ports, detach removes the record before it takes
//! anything down. So whatever is on the host without a record is to be removed, and the rules are
//! written anew from the records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::keep::{Keeper, Watch};
use crate::ledger::{Ledger, Record};
use crate::netlink::Socket;
use crate::netns;
use crate::nft::{Applier, Published, Table};
use crate::ports::Ports;
use crate::purge;
use crate::setup;
use crate::slots::{Names, Slot, Slots, mac_of};
use crate::stock::{self, Stock};
use crate::sysctl;
use crate::takeup::{self, Containers, Nothing, TakenUp};
use crate::types::{
    AttachSpec, Attachment, AttachmentId, Binding, Config, Counters, Mode, Reconciled, Subnet,
};
use crate::vpc::doors::Resolver;
use crate::vpc::manager::Vpcs;
use crate::vpc::router;
use crate::vpc::rules::Change;
use crate::vpc::{Interface, InterfaceSpec};

/// Most namespaces kept in stock.
const POOL_MAX: usize = 64;

/// This instance's network on this host. Cheap to clone; the last clone stops the workers and
/// leaves every attachment in place.
///
/// Its methods must be called from threads in the network namespace in which it was opened.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    state: Arc<Mutex<State>>,
    stock: Stock,
    rules: Arc<Applier>,
    vpcs: Arc<Vpcs>,
    keeper: Arc<Keeper>,
    watch: Watch,
}

pub(crate) struct State {
    ledger: Ledger,
    ports: Ports,
    pub attached: BTreeMap<AttachmentId, Record>,
    /// Those on the bridge, by what is theirs on the host.
    pub slots: BTreeMap<Slot, AttachmentId>,
    /// Ids with an attach or a detach under way.
    busy: BTreeSet<AttachmentId>,
}

impl State {
    fn insert(&mut self, record: Record) {
        if let Some(slot) = record.slot.filter(|_| record.spec.mode == Mode::Bridge) {
            self.slots.insert(slot, record.spec.id.clone());
        }
        self.attached.insert(record.spec.id.clone(), record);
    }

    fn remove(&mut self, record: &Record) {
        self.attached.remove(&record.spec.id);
        if let Some(slot) = record.slot {
            self.slots.remove(&slot);
        }
    }
}

impl Host {
    /// Makes or adopts the bridge and the table, takes up what is on record and starts the
    /// workers. Blocks for tens of milliseconds. Only one `Host` may be open on a `state_dir`; the
    /// lock of the data directory sees to that.
    pub fn open(config: Config) -> Result<Host> {
        Host::open_with(config, Arc::new(Nothing))
    }

    /// [`Host::open`] for a user who can tell of its containers: where a record, or the file of a namespace, was
    /// taken away by others, a container that lives keeps its network all the same.
    pub fn open_with(config: Config, containers: Arc<dyn Containers>) -> Result<Host> {
        let names = Names::new(&config);
        let netns_dir = names.netns_dir();
        fs::create_dir_all(&netns_dir).map_err(Error::io("create", &netns_dir))?;
        let (mut ledger, records) = Ledger::open(&names.run_dir())?;
        let found = stock::find_objects(&names)?;
        let subnet = setup::known_subnet(&config, &names);
        let taken = takeup::take_up(&mut ledger, records, &names, subnet, containers.as_ref());
        let bridge = setup::ensure_bridge(&config, &names, taken.subnet())?;
        let TakenUp { attached, bare } = taken;
        let table = Table {
            name: names.table(),
            bridge: names.bridge(),
            subnet: bridge.subnet,
            vpc_links: names.vpc_links(),
        };
        let rules = Arc::new(Applier::start(table, published(&attached))?);
        let mut ports = Ports::new(config.dynamic_ports.clone());
        attached.values().filter(|r| r.spec.mode == Mode::Bridge).for_each(|r| {
            ports.adopt(&r.attachment.bindings);
        });

        let owned: BTreeSet<Slot> = attached.values().filter_map(|r| r.slot).collect();
        let used: BTreeSet<Slot> =
            found.veths.into_iter().chain(found.netns).chain(owned.iter().copied()).collect();
        let orphans = used.difference(&owned).copied().collect();
        let slots = Slots::new(bridge.subnet, used);
        let vpcs = Arc::new(Vpcs::open(names.clone(), bridge.mtu, containers.clone())?);
        let stock = Stock::start(names, bridge, slots, orphans, config.pool_size.min(POOL_MAX))?;
        let (busy, slots) = (BTreeSet::new(), BTreeMap::new());
        let mut state = State { ledger, ports, attached: BTreeMap::new(), slots, busy };
        attached.into_values().for_each(|record| state.insert(record));
        let state = Arc::new(Mutex::new(state));
        let keeper =
            Keeper::new(stock.shared().clone(), rules.clone(), vpcs.clone(), state.clone(), containers);
        let keeper = Arc::new(keeper);
        for record in bare {
            if let Err(error) = keeper.renew(&record) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(id = %record.spec.id, error, "a container's network is gone, and not made again yet");
            }
        }
        // Puts every container back on the bridge, in case it had to be made again. One that cannot be is
        // no reason not to start: it is tried again by the watch.
        if let Err(error) = keeper.look_at_all() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a container's network is not in order"
            );
        }
        let watch = Watch::start(keeper.clone())?;
        Ok(Host { inner: Arc::new(Inner { config, state, stock, rules, vpcs, keeper, watch }) })
    }

    /// Gives a container its network. Asking again with the same specification gives the same
    /// answer. Blocks for well under a millisecond while the stock lasts, else for a few (longer
    /// when many are attached at once and the stock is out).
    ///
    /// # Errors
    /// [`Error::PortAllocated`] and [`Error::PortInUse`] for a fixed host port that is taken,
    /// [`Error::NoFreePort`], [`Error::NoFreeAddress`], [`Error::Exists`], [`Error::Busy`],
    /// [`Error::Invalid`]. Nothing stays behind after an error.
    pub fn attach(&self, spec: &AttachSpec) -> Result<Attachment> {
        check(spec)?;
        let bindings = {
            let mut state = self.inner.state.lock();
            if let Some(record) = state.attached.get(&spec.id) {
                let is_same = record.spec == *spec;
                return if is_same {
                    Ok(record.attachment.clone())
                } else {
                    Err(Error::Exists(spec.id.clone()))
                };
            }
            if state.busy.contains(&spec.id) {
                return Err(Error::Busy(spec.id.clone()));
            }
            let bindings = match spec.mode {
                Mode::Bridge => state.ports.reserve(&spec.ports)?,
                Mode::Host | Mode::None => host_bindings(spec),
            };
            state.busy.insert(spec.id.clone());
            bindings
        };
        let made = self.build(spec, bindings.clone());
        let mut state = self.inner.state.lock();
        state.busy.remove(&spec.id);
        match made {
            Ok(record) => {
                let attachment = record.attachment.clone();
                state.insert(record);
                Ok(attachment)
            }
            Err(error) => {
                if spec.mode == Mode::Bridge {
                    state.ports.release(&bindings);
                }
                Err(error)
            }
        }
    }

    /// Takes a container off the network, or a task's interface: when this returns its ports are free for others; its
    /// namespace and link go in the background. Not an error when there is none. Blocks for well
    /// under a millisecond. After an error, call again.
    pub fn detach(&self, id: &AttachmentId) -> Result<()> {
        self.detach_all(std::slice::from_ref(id))
    }

    /// Gives a task its interface in a VPC, in a namespace of its own. Asking again for the same interface gives the
    /// same answer, whatever its groups are by now. What its groups allow is by what [`Host::change_rules`] was told
    /// last: nothing while they are not known. Blocks for some ten milliseconds.
    ///
    /// # Errors
    /// [`Error::Invalid`], also where another has the address; [`Error::Exists`]; and what the kernel refuses. Nothing
    /// stays behind after an error.
    pub fn attach_interface(&self, spec: &InterfaceSpec) -> Result<Interface> {
        self.inner.vpcs.attach(spec)
    }

    /// The interface of that id, also one made before a restart.
    pub fn interface(&self, id: &AttachmentId) -> Option<Interface> {
        self.inner.vpcs.get(id)
    }

    /// Writes `net.*` kernel parameters in the namespace of an interface, after those of the containers before.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], and what the kernel does not take.
    pub fn set_parameters(&self, id: &AttachmentId, parameters: &[(String, String)]) -> Result<()> {
        self.inner.vpcs.set_parameters(id, parameters)
    }

    /// Takes in what has changed of security groups and of interfaces, and has it hold when it returns: for new
    /// connections, and as EC2 has it for those that are there. Kept over restarts. Blocks for some ten milliseconds.
    ///
    /// # Errors
    /// [`Error::Invalid`] beyond a limit: then nothing has changed. Where the kernel refuses, it is tried again.
    pub fn change_rules(&self, change: Change) -> Result<()> {
        self.inner.vpcs.change(change)
    }

    /// Has tasks that ask for names in their VPCs be answered by this one from now on; until then nobody does. Blocks for some
    /// milliseconds a VPC.
    pub fn answer_names(&self, resolver: Arc<dyn Resolver>) {
        self.inner.vpcs.answer_names(resolver);
    }

    /// The attachment of that id, also one made before a restart.
    pub fn get(&self, id: &AttachmentId) -> Option<Attachment> {
        self.inner.state.lock().attached.get(id).map(|record| record.attachment.clone())
    }

    /// Every attachment that there is, and every interface.
    pub fn ids(&self) -> Vec<AttachmentId> {
        let attached: Vec<_> = self.inner.state.lock().attached.keys().cloned().collect();
        attached.into_iter().chain(self.inner.vpcs.ids()).collect()
    }

    /// Sees to it that a container can be started in its network: where others have taken the file of its
    /// namespace away, it is bound again, or a new one is made with the same address. Blocks for a few
    /// microseconds, or for milliseconds where something must be made.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what keeps it from being made.
    pub fn mend(&self, id: &AttachmentId) -> Result<()> {
        let record = self.inner.state.lock().attached.get(id).cloned();
        if record.is_none() && self.inner.vpcs.get(id).is_some() {
            return self.inner.vpcs.mend(id);
        }
        self.inner.keeper.renew(&record.ok_or_else(|| Error::NotFound(id.clone()))?)
    }

    /// Removes every attachment and interface not in `keep`, and says which of `keep` are not there. To be called
    /// once after [`Host::open`], before the first [`Host::attach`]. Blocks for a few ms.
    pub fn reconcile(&self, keep: &[AttachmentId]) -> Result<Reconciled> {
        let keep: BTreeSet<&AttachmentId> = keep.iter().collect();
        let (removed, missing) = {
            let there: BTreeSet<AttachmentId> = self.ids().into_iter().collect();
            let removed: Vec<_> = there.iter().filter(|id| !keep.contains(id)).cloned().collect();
            let missing = keep.into_iter().filter(|id| !there.contains(id)).cloned().collect();
            (removed, missing)
        };
        self.detach_all(&removed)?;
        Ok(Reconciled { removed, missing })
    }

    /// Traffic of a bridge-mode attachment, or of an interface; `None` in other modes. Microseconds.
    pub fn counters(&self, id: &AttachmentId) -> Result<Option<Counters>> {
        if let Some(counters) = self.inner.vpcs.counters(id)? {
            return Ok(Some(counters));
        }
        let slot = {
            let state = self.inner.state.lock();
            let record = state.attached.get(id).ok_or_else(|| Error::NotFound(id.clone()))?;
            if record.spec.mode != Mode::Bridge {
                return Ok(None);
            }
            record.slot
        };
        let Some(slot) = slot else { return Ok(None) };
        let host_side = Socket::open()?.counters(&self.inner.stock.shared().names.veth(slot))?;
        Ok(host_side.map(Counters::from_other_end))
    }

    /// The bridge's subnet.
    pub fn subnet(&self) -> Subnet {
        self.inner.stock.shared().bridge.subnet
    }

    /// Waits until the stock is full and everything given up is gone; false when `timeout` passed
    /// first.
    pub fn settle(&self, timeout: Duration) -> bool {
        self.inner.stock.settle(timeout)
    }

    /// How it was opened.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Looks at everything that was made on the host, and makes again what is not as it must be. It is
    /// done without being asked whenever the kernel tells of a change. Blocks for some 5 ms.
    pub fn repair(&self) -> Result<()> {
        self.inner.keeper.look_at_all()
    }

    /// How often anything that others had taken away was made again since this was opened.
    pub fn restored(&self) -> u64 {
        self.inner.keeper.restored.load(Ordering::Relaxed)
    }

    /// Every object on this host that carries our id, one a line, sorted.
    pub fn audit(&self) -> Result<Vec<String>> {
        purge::audit(&self.inner.config)
    }

    /// Stops the workers and removes everything this instance made. Idempotent. The host is of no
    /// use afterwards. Blocks for tens of milliseconds and some microseconds a container.
    pub fn purge(&self) -> Result<()> {
        self.inner.stop();
        purge::purge(&self.inner.config)
    }

    fn build(&self, spec: &AttachSpec, bindings: Vec<Binding>) -> Result<Record> {
        let stock = &self.inner.stock;
        let slot = match spec.mode {
            Mode::Bridge => Some(stock.take()?),
            Mode::None => Some(stock.take_unconnected()?),
            Mode::Host => None,
        };
        let record = self.describe(spec, slot, bindings);
        let made = self.inner.state.lock().ledger.write(&record).and_then(|()| self.bring_up(&record));
        made.inspect_err(|_| {
            if let Err(error) = self.inner.state.lock().ledger.remove(&spec.id) {
                // The next open finds a record that nobody keeps, and removes it.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot take back a network record");
            }
            stock.give_up(slot);
        })?;
        Ok(record)
    }

    fn bring_up(&self, record: &Record) -> Result<()> {
        let attachment = &record.attachment;
        if let (false, Some(path)) = (record.spec.sysctls.is_empty(), &attachment.netns_path) {
            netns::enter(path, || sysctl::write_all(&record.spec.sysctls))?;
        }
        match attachment.ipv4 {
            Some(address) => self.inner.rules.publish(&attachment.bindings, address),
            None => Ok(()),
        }
    }

    fn describe(&self, spec: &AttachSpec, slot: Option<Slot>, bindings: Vec<Binding>) -> Record {
        let shared = self.inner.stock.shared();
        let subnet = shared.bridge.subnet;
        let is_bridge = spec.mode == Mode::Bridge;
        let ipv4 = slot.filter(|_| is_bridge).map(|slot| subnet.at(slot));
        let attachment = Attachment {
            id: spec.id.clone(),
            mode: spec.mode,
            netns_path: slot.map(|slot| shared.names.netns(slot)),
            ipv4,
            prefix_len: ipv4.map_or(0, |_| subnet.prefix_len()),
            gateway: ipv4.map(|_| subnet.gateway()),
            mac: ipv4.map(mac_of),
            bindings,
        };
        Record { spec: spec.clone(), slot, attachment }
    }

    fn detach_all(&self, ids: &[AttachmentId]) -> Result<()> {
        let records: Vec<Record> = {
            let mut state = self.inner.state.lock();
            if let Some(busy) = ids.iter().find(|id| state.busy.contains(*id)) {
                return Err(Error::Busy(busy.clone()));
            }
            let records: Vec<Record> = ids.iter().filter_map(|id| state.attached.get(id)).cloned().collect();
            for record in &records {
                state.ledger.remove(&record.spec.id)?;
            }
            state.busy.extend(records.iter().map(|r| r.spec.id.clone()));
            records
        };
        let bindings: Vec<Binding> = records
            .iter()
            .filter(|r| r.spec.mode == Mode::Bridge)
            .flat_map(|r| r.attachment.bindings.iter().copied())
            .collect();
        let withdrawn = self.inner.rules.withdraw(&bindings);
        {
            let mut state = self.inner.state.lock();
            for record in &records {
                state.busy.remove(&record.spec.id);
            }
            withdrawn?;
            state.ports.release(&bindings);
            records.iter().for_each(|record| state.remove(record));
        }
        self.inner.stock.give_up(records.iter().filter_map(|r| r.slot));
        self.inner.vpcs.detach(ids)
    }
}

impl Inner {
    fn stop(&self) {
        self.watch.stop();
        self.stock.stop();
        self.rules.stop();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether this host can carry interfaces of tasks: tried with the kernel, in a namespace of its own. Blocks for some
/// ten milliseconds.
///
/// # Errors
/// What it cannot do.
pub fn can_carry_interfaces() -> Result<()> {
    router::probe()
}

fn check(spec: &AttachSpec) -> Result<()> {
    if spec.mode == Mode::None && !spec.ports.is_empty() {
        return Err(Error::Invalid("port mappings cannot be used with network mode none".to_owned()));
    }
    if spec.mode == Mode::Host && !spec.sysctls.is_empty() {
        return Err(Error::Invalid("net.* system controls cannot be used with network mode host".to_owned()));
    }
    sysctl::check_all(&spec.sysctls)
}

/// In host mode the container binds its ports itself; they are only told back.
fn host_bindings(spec: &AttachSpec) -> Vec<Binding> {
    let bind_ip = std::net::Ipv4Addr::UNSPECIFIED;
    let bindings = |m: &crate::types::PortMapping| {
        let (first, protocol) = (m.container_port, m.protocol);
        let host_port = m.host_port.filter(|port| *port != 0).unwrap_or(first);
        (0..=m.more).map(move |n| Binding {
            bind_ip,
            container_port: first.saturating_add(n),
            host_port: host_port.saturating_add(n),
            protocol,
        })
    };
    spec.ports.iter().flat_map(bindings).collect()
}

fn published(attached: &BTreeMap<AttachmentId, Record>) -> Published {
    let mut all = Published::new();
    for Attachment { ipv4, bindings, .. } in attached.values().map(|r| &r.attachment) {
        let Some(address) = ipv4 else { continue };
        all.extend(bindings.iter().map(|b| ((b.protocol, b.host_port), (*address, b.container_port))));
    }
    all
}
