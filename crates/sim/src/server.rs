//! The control plane, as the program wires it, without a front door and without logs: the runtime with all its domains,
//! the gate, the carrier and the outboxes, and the agent link. It is started, lives, and ends where it stands.

use std::{sync::Arc, time::Duration};

use ::ecs::Cluster;
use ec2::Ec2;
use events::Events;
use scheduler::Scheduler;
use serde_json::Value;
use server::{
    agent_link::AgentLink,
    front_door::Keys,
    gate::{Caller, Gate, Service},
    keys::{self, KeyPair, KeyRing, OperatorKeys},
    rights::Agents,
    runtime::{self, Identity, Place, Visible},
    services::{
        ecs::{ClusterHandle, Ecs, Homes},
        hosted::{Hosted, Hosting, Hosts},
        sts::Sts,
    },
    world::{self as other, Outside},
};
use tokio::{sync::oneshot, time::sleep};
use wire::Error;

use crate::{
    breaks,
    bus::Observed,
    checks,
    interfaces::Carried,
    logs::LogGroups,
    network::As,
    process::Process,
    restart,
    store::{SimStore, recover},
    world::World,
};

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";
/// The cluster that is always there.
pub const CLUSTER: &str = "c";
/// The access key that only brings new agents in.
pub const NEW_AGENTS: &str = "NEWAGENTS";

/// The account and region of everything.
pub fn place() -> Place {
    (ACCOUNT.into(), REGION.into())
}

/// One that is there.
pub struct Server {
    pub process: Arc<Process>,
    pub homes: Arc<Homes>,
    pub link: Arc<AgentLink>,
    pub events: Arc<Hosted<Events>>,
    pub scheduler: Arc<Hosted<Scheduler>>,
    pub networks: Arc<Hosted<Ec2>>,
    gate: Arc<Gate>,
    keys: KeyRing,
    world: Arc<World>,
}

impl Server {
    /// Who signs with an access key.
    ///
    /// # Errors
    /// Nobody does.
    pub fn caller(&self, key: &str) -> Result<Caller, Error> {
        let found = self.keys.find(key);
        let unknown = || {
            Error::new("UnrecognizedClientException", 400, "The security token in the request is invalid.")
        };
        found.map(|key| key.caller.clone()).ok_or_else(unknown)
    }

    /// Carries out a call.
    ///
    /// # Errors
    /// The operation's own, and those by which calls are refused.
    pub async fn call(&self, who: &As, named: (&str, &str), mut input: Value) -> Result<Value, Error> {
        if let Some(answer) = breaks::of_call(&self.world, named.1, &mut input) {
            return Ok(answer);
        }
        let caller = match who {
            As::Administrator => keys::administrator("aws", ACCOUNT, "root"),
            As::Key(key) => self.caller(key)?,
        };
        self.gate.call(&caller, named, input, (REGION.into(), runtime::now())).await
    }

    /// The cluster that is always there.
    pub fn cluster(&self) -> Option<ClusterHandle> {
        self.homes.own().cluster_by_name(CLUSTER)
    }

    /// It, as it stands.
    pub fn state(&self) -> Option<Arc<Visible<Cluster>>> {
        self.cluster().map(|cluster| cluster.read())
    }
}

/// Starts a control plane on what is on the disk.
async fn start(world: Arc<World>, process: Arc<Process>) -> Result<Server, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut found = recover(&world);
    restart::check(&world, &found);
    restart::by_an_earlier_version(&world, &mut found.rows);
    let store = SimStore::open(&world, &process, found.rows);
    let of = |text: &str| text.to_owned();
    let identity = Identity { account: of(ACCOUNT), region: of(REGION), partition: of("aws") };
    let events = Hosting::<Events>::sending().as_bus();
    let scheduler = Hosting::<Scheduler>::sending();
    let networks = Hosting::<Ec2>::new().with_interfaces();
    let (hosted_events, hosted_scheduler) = (events.hosted(), scheduler.hosted());
    let hosted_networks = networks.hosted();
    let mut hosted: Vec<Box<dyn Hosts>> = vec![Box::new(events), Box::new(scheduler), Box::new(networks)];
    let read = {
        let mut loads: Vec<_> = hosted.iter_mut().map(|host| host.loads()).collect();
        Homes::read(store, identity.clone(), &mut loads).map_err(|error| told(&error))?
    };
    let bus = hosted.iter().find_map(|host| host.event_bus()).ok_or("there is no event bus")?;
    let read = read.giving_up_after(world.lost_after).keeping(breaks::of_keeping(&world));
    let vpcs = hosted.iter().find_map(|host| host.vpcs()).ok_or("there are no networks")?;
    let read = read.in_vpcs(Some(Arc::new(Carried::new(&world, vpcs))));
    let homes = read.start(Arc::new(Observed::new(&world, bus)));
    world.lives.lock().push(Arc::downgrade(&homes));
    let known = homes.own().cluster_by_name(CLUSTER);
    if let Some(cluster) = &known {
        restart::compare(&world, &cluster.read().state);
        checks::follow(&world, cluster);
    }
    homes.start().await.map_err(|error| told(&error))?;
    homes.sweep();
    let own = homes.own();
    let root = keys::administrator("aws", ACCOUNT, "root");
    let row = ::ecs::cluster::ClusterRow {
        active: true,
        created_at: runtime::now(),
        ..::ecs::cluster::ClusterRow::plain(CLUSTER)
    };
    let cluster = own.create_cluster(&root, row).await.map_err(|error| told(&error))?;
    if known.is_none() {
        checks::follow(&world, &cluster);
    }
    let mut services: Vec<Arc<dyn Service>> =
        vec![Arc::new(Ecs::new(homes.clone()).map_err(|error| told(&error))?), Arc::new(Sts)];
    services.push(Arc::new(LogGroups::new(&world)));
    for host in &hosted {
        services.push(host.service().map_err(|error| told(&error))?);
    }
    let gate = Gate::new(services, Arc::new(Agents::new(homes.clone()))).map_err(|error| told(&error))?;
    let gate = Arc::new(gate);
    hosted.into_iter().for_each(|host| host.start(&homes, &gate));
    homes.call_through(&gate);
    let pair = KeyPair { access_key: NEW_AGENTS.to_owned(), secret: String::new() };
    let keys = KeyRing::new()
        .with_new_agents(&pair, &identity)
        .with_agents(homes.clone(), OperatorKeys::new("of the simulator"));
    let link = Arc::new(AgentLink::new(homes.clone(), Default::default()));
    let (events, scheduler, networks) = (hosted_events, hosted_scheduler, hosted_networks);
    Ok(Server { process, homes, link, events, scheduler, networks, gate, keys, world })
}

/// Keeps a control plane there, but for the times when it has died.
pub async fn live(world: Arc<World>) {
    loop {
        let process = Process::begin(&world);
        other::World::enter(Some(process.clone()));
        let (tell, told) = oneshot::channel();
        let starting = start(world.clone(), process.clone());
        process.spawn(Box::pin(async move { drop(tell.send(starting.await)) }));
        let life = if world.is_storm() { world.range(2_000, 160_000) } else { 3_600_000 };
        let life = sleep(Duration::from_millis(life.unsigned_abs()));
        tokio::pin!(life);
        // It may die while it starts.
        let started = tokio::select! {
            biased;
            started = told => started.unwrap_or_else(|_| Err("the start breaks an assertion".to_owned())),
            () = &mut life => Err("it died".to_owned()),
        };
        match started {
            Ok(server) => {
                world.tell(|| "the control plane is there".to_owned());
                *world.server.lock() = Some(Arc::new(server));
                let lives = async {
                    life.as_mut().await;
                    while !world.is_storm() {
                        sleep(Duration::from_secs(3600)).await;
                    }
                };
                tokio::select! {
                    biased;
                    () = world.ends.notified() => {}
                    () = lives => {}
                }
            }
            Err(why) if !world.is_storm() => world.fail(format!("the control plane does not start: {why}")),
            Err(why) => world.tell(|| format!("the control plane does not start: {why}")),
        }
        end(&world, &process);
        let downtime = if world.is_storm() { 45_000 } else { 1_000 };
        world.pause(50, downtime).await;
    }
}

/// It ends, or all of its host.
fn end(world: &World, process: &Process) {
    world.outcome(|outcome| outcome.restarts += 1);
    world.tell(|| "the control plane ends".to_owned());
    let server = world.server.lock().take();
    *world.before.lock() = server.and_then(|server| server.state());
    process.kill();
    if world.percent(40) {
        world.disk.crash(&mut world.random());
    } else {
        world.disk.process_ends();
    }
}
