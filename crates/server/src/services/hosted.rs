//! A service that is one domain: its operations table and its shards are all that there is to it. It is made before
//! the rows are read, and its shards start once there is a gate for what they call.

mod bus;
mod vpcs;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use state::{
    Domain,
    api::{Api, Handler, Operation},
    contract::{Bus, Interfaces},
    outbox::{GivenUp, Sends},
    port::Others,
};
use store::Store;
use tokio_util::sync::CancellationToken;
use wire::{Error, schema};

use self::{bus::AsBus, vpcs::Made};
use super::{ecs::Homes, others::Look};
use crate::{
    front_door::Surface,
    gate::{Call, Gate, Service, Support, Wrong},
    runtime::{
        By, Found, Loads, Place, Shard, Shards,
        carrier::EventBus,
        ferry::Vpcs,
        outbox::{Calls, Line, start},
    },
};

/// The API of a domain.
pub struct Hosted<D: Api> {
    support: &'static Support,
    operations: HashMap<&'static str, &'static Operation<Handler<D>>>,
    started: OnceLock<Started<D>>,
    outside: Option<Arc<dyn Outside>>,
}

struct Started<D: Domain> {
    shards: Arc<Shards<D>>,
    store: Arc<dyn Store>,
}

/// Carries out what a table leaves to the server ([`Handler::Outside`]): what takes several shards, or waits.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The operations that it carries out.
    fn names(&self) -> &'static [&'static str];

    /// Carries out one of them; as [`Service::call`].
    async fn call(&self, call: Call) -> Result<Bytes, Error>;
}

/// A domain on its way to be a service: what of it was found in the store.
pub struct Hosting<D: Api> {
    found: Found<D>,
    hosted: Arc<Hosted<D>>,
    sends: Option<Outgoing<D>>,
    as_bus: Option<AsBus<D>>,
    vpcs: Option<MakeVpcs<D>>,
}

type MakeVpcs<D> = fn(&Arc<Hosted<D>>) -> Arc<dyn Vpcs>;

/// What a domain with an outbox has besides.
struct Outgoing<D: Domain> {
    start: fn(&Shard<D>, Arc<dyn Calls>),
    given_up: fn(&D) -> Vec<GivenUp>,
}

/// A [`Hosting`], whatever its domain.
pub trait Hosts: Send {
    /// Where its rows go as they are read.
    fn loads(&mut self) -> &mut dyn Loads;

    /// Its model, and what of it is built.
    fn support(&self) -> (&'static schema::Service, &'static Support);

    /// What stands behind the gate.
    ///
    /// # Errors
    /// An operation that the table leaves to the server is carried out by nobody, or the other way round.
    fn service(&self) -> Result<Arc<dyn Service>, Wrong>;

    /// Starts the shards that were found; what waits in their outboxes is called through the gate.
    fn start(self: Box<Self>, homes: &Arc<Homes>, gate: &Arc<Gate>);

    /// What was given up, of all accounts and regions that were found, the latest of each first.
    fn given_up(&self) -> Vec<(Place, GivenUp)>;

    /// The event bus, if it is one. To be asked for once the rows are read: who listens is known from then on.
    fn event_bus(&self) -> Option<Arc<dyn EventBus>>;

    /// What makes the network interfaces of tasks, if it does.
    fn vpcs(&self) -> Option<Arc<dyn Vpcs>>;

    /// What answers at the front door beside its API, and waits no longer than until `stop`.
    fn surface(&self, stop: &CancellationToken) -> Option<Arc<dyn Surface>>;
}

impl<D: Api> Hosting<D> {
    /// A domain that calls nobody.
    pub fn new() -> Hosting<D> {
        let table = D::operations();
        let support: &'static Support = Box::leak(Box::new(Support::by(table)));
        let operations = table.iter().map(|operation| (operation.built.operation, operation)).collect();
        let hosted = Arc::new(Hosted { support, operations, started: OnceLock::new(), outside: None });
        Hosting { found: Found::default(), hosted, sends: None, as_bus: None, vpcs: None }
    }

    /// One with an outbox.
    pub fn sending() -> Hosting<D>
    where
        D: Sends,
    {
        let given_up = |state: &D| {
            let keys = state.all_given_up();
            keys.iter().filter_map(|key| state.given_up(key)).collect()
        };
        Hosting { sends: Some(Outgoing { start: start::<D>, given_up }), ..Hosting::new() }
    }

    /// It is the bus of others' events.
    #[must_use]
    pub fn as_bus(self) -> Hosting<D>
    where
        D: Bus,
    {
        Hosting { as_bus: Some(AsBus::new()), ..self }
    }

    /// It makes the network interfaces of tasks.
    #[must_use]
    pub fn with_interfaces(self) -> Hosting<D>
    where
        D: Interfaces,
    {
        Hosting { vpcs: Some(|hosted| Arc::new(Made::new(hosted.clone()))), ..self }
    }

    /// Has this carry out what the table leaves to the server.
    #[must_use]
    pub fn with(self, outside: Arc<dyn Outside>) -> Hosting<D> {
        let Hosted { support, operations, .. } = &*self.hosted;
        let (operations, started, outside) = (operations.clone(), OnceLock::new(), Some(outside));
        Hosting { hosted: Arc::new(Hosted { support, operations, started, outside }), ..self }
    }

    /// The API, whose shards others may follow once it has started.
    pub fn hosted(&self) -> Arc<Hosted<D>> {
        self.hosted.clone()
    }
}

impl<D: Api> Default for Hosting<D> {
    fn default() -> Self {
        Hosting::new()
    }
}

impl<D: Api> Hosted<D> {
    /// Its shards; none before it has started.
    pub fn shards(&self) -> Option<&Arc<Shards<D>>> {
        self.started.get().map(|started| &started.shards)
    }

    /// That of an account in a region.
    ///
    /// # Errors
    /// `ServiceUnavailable` before it has started, or where there are too many.
    fn shard(&self, place: &Place) -> Result<Shard<D>, Error> {
        let shards = self.shards().ok_or_else(|| Error::unavailable("The service starts; try again."))?;
        shards.of(place)
    }
}

/// The operations that a table leaves to the server.
pub fn left<D: Domain>(operations: &[Operation<Handler<D>>]) -> impl Iterator<Item = &'static str> {
    let left = operations.iter().filter(|operation| matches!(operation.handler, Handler::Outside));
    left.map(|operation| operation.built.operation)
}

/// Whether what a service's tables leave to the server is what the server carries out.
///
/// # Errors
/// The first operation of which it is not so.
pub fn check(
    schema: &schema::Service,
    left: impl Iterator<Item = &'static str>,
    done: impl Iterator<Item = &'static str>,
) -> Result<(), Wrong> {
    let (left, done): (BTreeSet<&str>, BTreeSet<&str>) = (left.collect(), done.collect());
    let wrong = |name: &&str| match left.contains(name) {
        true => format!("{name} is carried out by nobody"),
        false => format!("{name} is not left to the server"),
    };
    match left.symmetric_difference(&done).next() {
        Some(name) => Err(Wrong::new(schema.name, wrong(name))),
        None => Ok(()),
    }
}

impl<D: Api> Hosts for Hosting<D> {
    fn loads(&mut self) -> &mut dyn Loads {
        &mut self.found
    }

    fn support(&self) -> (&'static schema::Service, &'static Support) {
        (D::schema(), self.hosted.support)
    }

    fn service(&self) -> Result<Arc<dyn Service>, Wrong> {
        let outside = self.hosted.outside.as_ref();
        let done = outside.map_or(&[] as &[_], |outside| outside.names()).iter().copied();
        check(D::schema(), left(D::operations()), done)?;
        Ok(self.hosted.clone())
    }

    fn start(self: Box<Self>, homes: &Arc<Homes>, gate: &Arc<Gate>) {
        let Hosting { found, hosted, sends, .. } = *self;
        let (looking, behind) = (Arc::downgrade(homes), Arc::downgrade(gate));
        let ports = move |place: &Place| {
            let look = Look { place: place.clone(), homes: looking.clone(), gate: behind.clone() };
            D::ports(&(Arc::new(look) as Arc<dyn Others>))
        };
        let calls: Arc<dyn Calls> = Arc::new(Line::to(gate));
        let started = move |shard: &Shard<D>| {
            if let Some(sends) = &sends {
                (sends.start)(shard, calls.clone());
            }
        };
        let runtime = homes.runtime();
        let (partition, store) = (&runtime.identity().partition, runtime.store().clone());
        let shards = Shards::start(found, partition, store.clone(), Arc::new(ports), Arc::new(started));
        drop(hosted.started.set(Started { shards: Arc::new(shards), store }));
    }

    fn given_up(&self) -> Vec<(Place, GivenUp)> {
        let Some(sends) = &self.sends else { return Vec::new() };
        let of = |(place, state): (&Place, &D)| {
            let given_up = (sends.given_up)(state).into_iter();
            given_up.map(|one| (place.clone(), one)).collect::<Vec<_>>()
        };
        self.found.states().flat_map(of).collect()
    }

    fn event_bus(&self) -> Option<Arc<dyn EventBus>> {
        self.as_bus.as_ref().map(|as_bus| (as_bus.bus)(&self.hosted, &self.found))
    }

    fn vpcs(&self) -> Option<Arc<dyn Vpcs>> {
        self.vpcs.map(|vpcs| vpcs(&self.hosted))
    }

    fn surface(&self, stop: &CancellationToken) -> Option<Arc<dyn Surface>> {
        self.as_bus.as_ref().map(|as_bus| (as_bus.surface)(&self.hosted, stop.clone()))
    }
}

#[async_trait]
impl<D: Api> Service for Hosted<D> {
    fn schema(&self) -> &'static schema::Service {
        D::schema()
    }

    fn support(&self) -> &'static Support {
        self.support
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let name = call.operation.name;
        let missing = || Error::internal(format!("{name} has no handler."));
        let Operation { built, handler } = self.operations.get(name).ok_or_else(missing)?;
        if let Handler::Outside = handler {
            return self.outside.as_ref().ok_or_else(missing)?.call(call).await;
        }
        let started =
            self.started.get().ok_or_else(|| Error::unavailable("The service starts; try again."))?;
        if built.grows && started.store.is_tight() {
            return Err(Error::unavailable(
                "The disk of the control plane is nearly full: what is left is kept for deleting. Free some space \
                 there; no restart is needed.",
            ));
        }
        let shard = started.shards.of(&(call.caller.account.clone(), call.region.clone()))?;
        on_shard(&shard, *handler, call).await
    }
}

/// A command on a shard, or a look at it.
pub(super) async fn on_shard<D: Domain>(
    shard: &Shard<D>,
    handler: Handler<D>,
    call: Call,
) -> Result<Bytes, Error> {
    let by = By::from(&call.caller);
    let output = match handler {
        Handler::Write(read) => shard.execute(by, read(call.input)?).await?()?,
        Handler::Read(look) => look(&shard.read().state, &shard.ctx(&by, call.now), call.input)?,
        Handler::Outside => return Err(Error::internal("It is no matter of one shard.")),
    };
    Ok(output.into())
}

#[cfg(test)]
mod tests;
