//! All VPCs of an instance on this host: who is attached, what is known of security groups, and what of it is in the
//! kernel. One lock for all of it.
//!
//! As with attachments, a record is written before anything is made, and removed before anything is taken down: what is
//! on the host without one is to be removed.

mod names;
mod reach;
mod restart;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::compile::{Port, compile};
use super::doors::Resolver;
use super::far::Far;
use super::router::{self, Note, Plan, Router};
use super::rules::{Change, Rules};
use super::script::Model;
use super::{Egress, Interface, InterfaceSpec, InterfaceState, Name};
use crate::error::{Error, Result};
use crate::ledger::{self, Entry, Ledger};
use crate::netlink::Socket;
use crate::netns;
use crate::setup;
use crate::slots::{Names, Slot};
use crate::stock;
use crate::sysctl;
use crate::takeup::{self, Containers};
use crate::types::{AttachmentId, Counters};

/// Most interfaces of an instance: as many as have a slot.
const INTERFACES_MAX: u16 = 4_096;

/// What is known of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    spec: InterfaceSpec,
    slot: Slot,
    /// `net.*` parameters that were set in its namespace.
    #[serde(default)]
    sysctls: Vec<(String, String)>,
}

impl Entry for Record {
    fn id(&self) -> &AttachmentId {
        &self.spec.id
    }
}

impl Record {
    /// Its link in the VPC's namespace.
    fn link(&self) -> String {
        format!("t{:04x}", self.slot)
    }
}

/// One VPC with its namespace.
struct Network {
    note: Note,
    router: Router,
    /// What its table holds; none where that is not known.
    model: Option<Model>,
    fingerprint: Option<u64>,
    /// Public addresses that the host has a route to.
    publics: BTreeSet<Ipv4Addr>,
    /// The other hosts that it leads to.
    far: Option<Far>,
    /// They may not be those that it should lead to.
    far_differs: bool,
    /// What the resolver was told of it.
    told: Option<names::Told>,
}

impl Network {
    /// Of what is in the namespace nothing is known, unless it is new.
    fn new(note: Note, router: Router, is_new: bool) -> Network {
        let (model, fingerprint, publics) = Default::default();
        Network { note, router, model, fingerprint, publics, far: None, far_differs: !is_new, told: None }
    }
}

struct State {
    ledger: Ledger,
    records: BTreeMap<AttachmentId, Record>,
    networks: BTreeMap<Name, Network>,
    rules: Rules,
    next: Slot,
    /// What interfaces can carry.
    inner_mtu: u32,
    guard: reach::Guard,
    /// Who answers names.
    resolver: Option<Arc<dyn Resolver>>,
}

/// The VPCs.
pub(crate) struct Vpcs {
    names: Names,
    mtu: u32,
    containers: Arc<dyn Containers>,
    state: Mutex<State>,
}

impl Vpcs {
    /// Takes up what is on record and on the host, and removes what is without a record. One interface that cannot be
    /// made again is no reason not to start.
    pub(crate) fn open(names: Names, mtu: u32, containers: Arc<dyn Containers>) -> Result<Vpcs> {
        let (ledger, records) = Ledger::open_interfaces::<Record>(&names.run_dir())?;
        let dir = ledger::vpcs_dir(&names.run_dir());
        let rules = ledger::read_note(&dir.join("rules.json")).unwrap_or_default();
        let records: BTreeMap<_, _> =
            records.into_iter().map(|record| (record.spec.id.clone(), record)).collect();
        let next = records.values().map(|record: &Record| record.slot).max().unwrap_or(0).saturating_add(1);
        let (networks, guard, resolver) = Default::default();
        let mut state = State { ledger, records, networks, rules, next, inner_mtu: mtu, guard, resolver };
        restart::remove_stray_tasks(&names, &state)?;
        let anew = state.remember(&names, containers.as_ref());
        let vpcs = Vpcs { names, mtu, containers, state: Mutex::new(state) };
        {
            let mut state = vpcs.state.lock();
            state.inner_mtu = vpcs.inner_mtu(state.rules.address);
        }
        vpcs.take_up(&dir, &anew)?;
        if let Err(error) = vpcs.look() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an interface of a task is not in order"
            );
        }
        Ok(vpcs)
    }

    /// Gives a task its interface. The same again is the same; blocks for some ten milliseconds.
    pub(crate) fn attach(&self, spec: &InterfaceSpec) -> Result<Interface> {
        spec.check()?;
        let mut state = self.state.lock();
        if let Some(record) = state.records.get(&spec.id) {
            let is_same = record.spec.is_same(spec);
            return if is_same { Ok(self.interface(record)) } else { Err(Error::Exists(spec.id.clone())) };
        }
        let clash = |other: &&Record| {
            let of_vpc = other.spec.vpc == spec.vpc
                && (other.spec.ipv4 == spec.ipv4 || (spec.ipv6.is_some() && other.spec.ipv6 == spec.ipv6));
            of_vpc || other.spec.interface == spec.interface
        };
        if let Some(other) = state.records.values().find(clash) {
            let (interface, ipv4, by) = (&spec.interface, spec.ipv4, &other.spec.id);
            return Err(Error::Invalid(format!("{interface} with {ipv4} is in use by {by}")));
        }
        let record = Record { spec: spec.clone(), slot: state.take_slot()?, sysctls: Vec::new() };
        state.ledger.write(&record)?;
        state.records.insert(spec.id.clone(), record.clone());
        match self.build(&mut state, &record) {
            Ok(()) => Ok(self.interface(&record)),
            Err(error) => {
                if let Err(left) = self.take_down(&mut state, &record) {
                    // The next open finds it without a record.
                    tracing::warn!(error = &left as &dyn std::error::Error, "cannot take back an interface");
                }
                Err(error)
            }
        }
    }

    /// Takes interfaces away; not an error for those that are not there.
    pub(crate) fn detach(&self, ids: &[AttachmentId]) -> Result<()> {
        let mut state = self.state.lock();
        let mut first = Ok(());
        for id in ids {
            if let Some(record) = state.records.get(id).cloned() {
                first = first.and(self.take_down(&mut state, &record));
            }
        }
        first
    }

    pub(crate) fn get(&self, id: &AttachmentId) -> Option<Interface> {
        self.state.lock().records.get(id).map(|record| self.interface(record))
    }

    pub(crate) fn ids(&self) -> Vec<AttachmentId> {
        self.state.lock().records.keys().cloned().collect()
    }

    /// Traffic of an interface; `None` where there is none of that id.
    pub(crate) fn counters(&self, id: &AttachmentId) -> Result<Option<Counters>> {
        let mut state = self.state.lock();
        let State { records, networks, .. } = &mut *state;
        let Some(record) = records.get(id) else { return Ok(None) };
        match networks.get_mut(&record.spec.vpc) {
            Some(network) => network.router.counters(&record.link()),
            None => Ok(None),
        }
    }

    /// Writes `net.*` parameters in an interface's namespace, and again where that has to be made anew.
    pub(crate) fn set_parameters(&self, id: &AttachmentId, parameters: &[(String, String)]) -> Result<()> {
        sysctl::check_all(parameters)?;
        let mut state = self.state.lock();
        let mut record = state.records.get(id).cloned().ok_or_else(|| Error::NotFound(id.clone()))?;
        netns::enter(&self.names.task_netns(record.slot), || sysctl::write_all(parameters))?;
        record.sysctls.retain(|(name, _)| !parameters.iter().any(|(new, _)| new == name));
        record.sysctls.extend_from_slice(parameters);
        state.ledger.remove(id)?;
        state.ledger.write(&record)?;
        state.records.insert(id.clone(), record);
        Ok(())
    }

    /// Takes in what has changed of security groups and interfaces. It is written down first; where the kernel does
    /// not take it, the next look tries again.
    pub(crate) fn change(&self, change: Change) -> Result<()> {
        let mut state = self.state.lock();
        let next = state.rules.after(change)?;
        if next != state.rules {
            let dir = ledger::vpcs_dir(&self.names.run_dir());
            ledger::write_note(&dir.join("rules.json"), &next)?;
            if next.address != state.rules.address {
                state.inner_mtu = self.inner_mtu(next.address);
            }
            state.rules = next;
        }
        // Also where nothing is new: the kernel may have refused it before.
        let all: Vec<Name> = state.networks.keys().cloned().collect();
        let mut first = Ok(());
        for vpc in &all {
            // One that fails keeps no other from it.
            first = first.and(self.refresh(&mut state, vpc));
        }
        first
    }

    /// Sees to it that a task can be started in its namespace.
    pub(crate) fn mend(&self, id: &AttachmentId) -> Result<()> {
        let mut state = self.state.lock();
        let record = state.records.get(id).cloned().ok_or_else(|| Error::NotFound(id.clone()))?;
        self.restore(&mut state, &record).map(drop)
    }

    /// Looks at everything, and makes again what is not as it must be; says what that was.
    pub(crate) fn look(&self) -> Result<Vec<&'static str>> {
        let mut state = self.state.lock();
        let (mut done, mut first) = (Vec::new(), Ok(()));
        let records: Vec<Record> = state.records.values().cloned().collect();
        for record in records {
            match self.restore(&mut state, &record) {
                Ok(true) => done.push("a task's interface"),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        let all: Vec<Name> = state.networks.keys().cloned().collect();
        for vpc in all {
            match self.restore_network(&mut state, &vpc) {
                Ok(true) => done.push("a VPC's rules or link"),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        match self.look_at_guard(&mut state) {
            Ok(true) => done.push("what watches over other hosts' packets"),
            Ok(false) => {}
            Err(error) => first = first.and(Err(error)),
        }
        first.map(|()| done)
    }

    /// Whether anything is amiss that the kernel does not tell us of: cheap.
    pub(crate) fn is_suspect(&self) -> bool {
        let state = self.state.lock();
        let is_gone = |network: &Network| !netns::exists(&self.names.vpc_netns(network.note.slot));
        state.networks.values().any(is_gone) || self.is_far_suspect(&state) || self.are_doors_suspect(&state)
    }

    fn interface(&self, record: &Record) -> Interface {
        Interface { id: record.spec.id.clone(), netns_path: self.names.task_netns(record.slot) }
    }

    fn build(&self, state: &mut State, record: &Record) -> Result<()> {
        self.ensure_network(state, &record.spec.vpc)?;
        let made = netns::create(&self.names.task_netns(record.slot))?;
        self.connect(state, record, &made.file)?;
        self.refresh(state, &record.spec.vpc)
    }

    fn connect(&self, state: &mut State, record: &Record, netns: &File) -> Result<()> {
        let network = state.networks.get_mut(&record.spec.vpc).ok_or(Error::Stopped)?;
        network.router.connect(&record.link(), &record.spec, state.inner_mtu, netns)?;
        match record.sysctls.is_empty() {
            true => Ok(()),
            false => netns::within(netns, || sysctl::write_all(&record.sysctls)),
        }
    }

    fn ensure_network(&self, state: &mut State, vpc: &Name) -> Result<()> {
        if state.networks.contains_key(vpc) {
            return Ok(());
        }
        // Two instances that start together must not choose the same address.
        let _lock = setup::lock(self.names.run_root())?;
        let used: BTreeSet<Slot> = state.networks.values().map(|network| network.note.slot).collect();
        let routes: BTreeSet<Ipv4Addr> = Socket::open()?.routes()?.iter().map(|(to, _)| to.addr()).collect();
        let is_free = |slot: &Slot| !used.contains(slot) && !routes.contains(&router::pool_address(*slot));
        let slot = router::POOL.into_iter().find(is_free);
        let slot = slot.ok_or_else(|| Error::NoFreeAddress("169.254.172.0/22".to_owned()))?;
        let note = Note { vpc: vpc.clone(), slot, address: router::pool_address(slot) };
        let dir = ledger::vpcs_dir(&self.names.run_dir());
        ledger::write_note(&router::note_path(&dir, slot), &note)?;
        let made = Router::make(&self.names.vpc_netns(slot)).and_then(|mut router| {
            router.link_to_host(&self.names, &self.plan(&note))?;
            Ok(router)
        });
        let router = match made {
            Ok(router) => router,
            Err(error) => {
                self.remove_network(slot)?;
                return Err(error);
            }
        };
        state.networks.insert(vpc.clone(), Network::new(note, router, true));
        Ok(())
    }

    fn plan(&self, note: &Note) -> Plan {
        Plan { slot: note.slot, address: note.address, mtu: self.mtu }
    }

    /// Has the kernel hold what is wanted of a VPC: its table, and the host's routes to public addresses.
    fn refresh(&self, state: &mut State, vpc: &Name) -> Result<()> {
        let State { records, networks, rules, .. } = state;
        let Some(network) = networks.get_mut(vpc) else { return Ok(()) };
        let (wanted, publics) = wanted(records, rules, vpc);
        let table = self.names.table();
        let applied = match network.router.apply(&table, network.model.as_ref(), &wanted) {
            Err(error) if network.model.is_some() => {
                tracing::warn!(error = &error as &dyn std::error::Error, %vpc, "writing a VPC's rules whole again");
                network.model = None;
                network.router.apply(&table, None, &wanted)
            }
            other => other,
        };
        network.fingerprint = applied?;
        network.model = Some(wanted);
        let plan = self.plan(&network.note);
        for public in network.publics.symmetric_difference(&publics) {
            network.router.route_public(&self.names, &plan, *public, publics.contains(public))?;
        }
        network.publics = publics;
        self.open_doors(state, vpc);
        // Other hosts are not worth what is on this one.
        if let Err(error) = self.reach(state, vpc) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, %vpc, "interfaces of other hosts are not reached as they should be; trying again");
        }
        Ok(())
    }

    /// Takes an interface down: nobody reaches it any more, and its namespace goes. The VPC's goes with the last.
    fn take_down(&self, state: &mut State, record: &Record) -> Result<()> {
        let vpc = &record.spec.vpc;
        state.ledger.remove(&record.spec.id)?;
        state.records.remove(&record.spec.id);
        let path = self.names.task_netns(record.slot);
        if state.records.values().any(|other| other.spec.vpc == *vpc) {
            let refreshed = self.refresh(state, vpc);
            let gone = match state.networks.get_mut(vpc) {
                Some(network) => network.router.disconnect(&record.link()),
                None => Ok(()),
            };
            return refreshed.and(gone).and(netns::remove(&path));
        }
        let gone = state.forget(vpc).map_or(Ok(()), |mut network| {
            // The kernel takes its time to let a namespace go, and its number between hosts would not be free.
            let led = network.router.lead(Some(None), None);
            led.and(self.remove_network(network.note.slot))
        });
        gone.and(netns::remove(&path)).and(self.guard(state))
    }

    /// Removes a VPC's namespace, with all links in it, and its note.
    fn remove_network(&self, slot: Slot) -> Result<()> {
        let link = Socket::open().and_then(|mut netlink| netlink.delete_link(&self.names.vpc_link(slot)));
        let gone = netns::remove(&self.names.vpc_netns(slot));
        let note: PathBuf = router::note_path(&ledger::vpcs_dir(&self.names.run_dir()), slot);
        let noted = match fs::remove_file(&note) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &note)(e)),
            _ => Ok(()),
        };
        link.and(gone).and(noted)
    }

    /// Puts an interface in order: its namespace, by its file or by who lives there, else a new one; and its link.
    fn restore(&self, state: &mut State, record: &Record) -> Result<bool> {
        let vpc = &record.spec.vpc;
        let slot = state.networks.get(vpc).map(|network| network.note.slot);
        if let Some(slot) = slot.filter(|slot| !netns::exists(&self.names.vpc_netns(*slot))) {
            // We alone hold it and all links in it.
            let led = state.forget(vpc).map(|mut network| network.router.lead(Some(None), None));
            self.remove_network(slot).and(led.unwrap_or(Ok(())))?;
        }
        self.ensure_network(state, vpc)?;
        let path = self.names.task_netns(record.slot);
        let mut made = false;
        if !netns::exists(&path) && !takeup::rebind_at(&path, &record.spec.id, self.containers.as_ref()) {
            netns::create(&path)?;
            made = true;
        }
        let network = state.networks.get_mut(vpc).ok_or(Error::Stopped)?;
        if !made && network.router.has(&record.link())? {
            return Ok(false);
        }
        network.router.disconnect(&record.link())?;
        let file = File::open(&path).map_err(Error::io("open namespace", &path))?;
        // What is left of a link whose record is lost.
        netns::within(&file, || Socket::open()?.delete_link(stock::PEER))?;
        self.connect(state, record, &file)?;
        self.refresh(state, vpc)?;
        Ok(true)
    }

    fn restore_network(&self, state: &mut State, vpc: &Name) -> Result<bool> {
        let Some(network) = state.networks.get_mut(vpc) else { return Ok(false) };
        let plan = self.plan(&network.note);
        let linked = network.router.link_to_host(&self.names, &plan)?;
        if linked {
            network.publics.clear();
        }
        let found = network.router.fingerprint(&self.names.table())?;
        let whole = network.model.is_some() && found.is_some() && found == network.fingerprint;
        if !whole {
            network.model = None;
        }
        if linked || !whole {
            self.refresh(state, vpc)?;
        }
        self.open_doors(state, vpc);
        let led = self.look_far(state, vpc)?;
        Ok(linked || !whole || led)
    }
}

impl State {
    fn is_free(&self, slot: Slot) -> bool {
        slot > 0 && !self.records.values().any(|record| record.slot == slot)
    }

    /// A slot that nothing bears: in turn, so that one rests before it is used again.
    fn take_slot(&mut self) -> Result<Slot> {
        if self.records.len() >= usize::from(INTERFACES_MAX) {
            return Err(Error::Invalid(format!("a host has at most {INTERFACES_MAX} interfaces of tasks")));
        }
        let used: BTreeSet<Slot> = self.records.values().map(|record| record.slot).collect();
        let slot = (self.next..=Slot::MAX).chain(1..self.next).find(|slot| *slot > 0 && !used.contains(slot));
        let slot = slot.ok_or_else(|| Error::NoFreeAddress("interfaces".to_owned()))?;
        self.next = slot.checked_add(1).unwrap_or(1);
        Ok(slot)
    }
}

/// What a VPC's table must hold, and the public addresses of its interfaces.
fn wanted(
    records: &BTreeMap<AttachmentId, Record>,
    rules: &Rules,
    vpc: &Name,
) -> (Model, BTreeSet<Ipv4Addr>) {
    let of_vpc: Vec<&Record> = records.values().filter(|record| record.spec.vpc == *vpc).collect();
    let state = |record: &'_ Record| -> InterfaceState {
        rules.interfaces.get(&record.spec.interface).unwrap_or(&record.spec.state).clone()
    };
    let states: Vec<InterfaceState> = of_vpc.iter().map(|record| state(record)).collect();
    let ports: Vec<Port<'_>> = of_vpc
        .iter()
        .zip(&states)
        .map(|(record, state)| Port { link: record.link(), spec: &record.spec, state })
        .collect();
    let given =
        of_vpc.iter().find_map(|record| Some(&record.spec.blocks).filter(|blocks| !blocks.is_empty()));
    let none = Vec::new();
    let blocks = rules.vpcs.get(vpc).or(given).unwrap_or(&none);
    let publics =
        states.iter().filter(|state| state.egress == Egress::Direct).filter_map(|state| state.public);
    let resolver = rules.dns.get(vpc).map_or(Vec::new(), |dns| dns.addresses().to_vec());
    (compile(blocks, &ports, rules, &resolver), publics.collect())
}
