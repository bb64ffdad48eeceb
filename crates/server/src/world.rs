//! What the control plane takes of the world besides its store and its callers: the time, chance, and somebody to run
//! its tasks. All of it is the host's, but on a thread that has entered another world: there the simulator lives
//! through histories, each from one seed. What this costs the program is a look at a flag that never changes.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use uuid::Uuid;

use crate::runtime::Clock;

/// A task to be run.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What another world is made of.
pub trait Outside: Send + Sync {
    /// The wall clock, and the time since the control plane's start, in milliseconds.
    fn clock(&self) -> (i64, i64);

    /// 128 bits of chance.
    fn random(&self) -> u128;

    /// Runs a task of the control plane, for as long as that lives.
    fn spawn(&self, task: Task);
}

/// One life of a control plane in another world.
pub struct World {
    outside: Arc<dyn Outside>,
    clock: Clock,
}

/// Whether any thread has ever entered another world.
static OTHERS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static HERE: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

impl World {
    /// What begins in this thread from now on begins in a world of these; in the host's where there are none.
    pub fn enter(outside: Option<Arc<dyn Outside>>) {
        OTHERS.store(true, Ordering::Relaxed);
        HERE.set(outside.map(|outside| Arc::new(World { outside, clock: Clock::new() })));
    }
}

/// The other world that this thread is in, if it is.
fn other() -> Option<Arc<World>> {
    if OTHERS.load(Ordering::Relaxed) { HERE.with_borrow(Clone::clone) } else { None }
}

/// The other world's clock, and how to read it; none in the host's.
pub(crate) fn other_clock<R>(look: impl FnOnce(&Clock, &dyn Fn() -> (i64, i64)) -> R) -> Option<R> {
    let world = other()?;
    Some(look(&world.clock, &|| world.outside.clock()))
}

/// An identifier that nobody can guess.
pub(crate) fn uuid() -> Uuid {
    match other() {
        None => Uuid::new_v4(),
        Some(world) => uuid::Builder::from_random_bytes(world.outside.random().to_be_bytes()).into_uuid(),
    }
}

/// Runs a task until it ends, or the program does.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    match other() {
        None => drop(tokio::spawn(task)),
        Some(world) => world.outside.spawn(Box::pin(task)),
    }
}
