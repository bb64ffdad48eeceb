//! A scenario: machines that are named and users who do this and that at certain times, where nothing fails by itself. The
//! promises are checked as in every history, and beside them what the scenario is to show.

use std::{sync::Arc, time::Duration};

use ::ecs::{Cluster, cluster::TaskId};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

pub use crate::machine::Order;
use crate::{
    agent,
    history::{self, Failure, Options, Outcome},
    machine::Machine,
    network::{As, Node, call},
    server,
    world::World,
};

/// What is so in a cluster, or why it is not.
pub type Look = Box<dyn Fn(&Cluster) -> Result<(), String>>;
/// The input of a call, by what is there then.
pub type Input = Box<dyn Fn(&Cluster) -> Value>;

/// Something that is done, or waited for.
enum Act {
    /// A call, which must not be refused.
    Call(&'static str, Input),
    Order(usize, Order),
    /// It becomes so within so many seconds.
    Becomes(u64, &'static str, Look),
    /// It stays so from here on.
    Holds(&'static str, Look),
}

/// See the module.
#[derive(Default)]
pub struct Scenario {
    machines: Vec<Machine>,
    /// When, in seconds after what came before, and what.
    acts: Vec<(u64, Act)>,
    lost_after: Option<Duration>,
    wait: u64,
    tells: bool,
}

impl Scenario {
    /// One without machines where nothing happens.
    pub fn new() -> Scenario {
        Scenario::default()
    }

    /// A machine of so much CPU and memory, in a zone, of a capacity provider or none.
    #[must_use]
    pub fn machine(
        mut self,
        size: (i32, i32),
        zone: &'static str,
        provider: impl Into<Option<&'static str>>,
    ) -> Scenario {
        self.machines.push(Machine::of(self.machines.len(), size, zone, provider.into()));
        self
    }

    /// A container instance is lost to services once its agent is away for so many seconds.
    #[must_use]
    pub fn losing_after(mut self, seconds: u64) -> Scenario {
        self.lost_after = Some(Duration::from_secs(seconds));
        self
    }

    /// What happens is told on standard error.
    #[must_use]
    pub fn telling(self, tells: bool) -> Scenario {
        Scenario { tells, ..self }
    }

    /// So many seconds pass before what comes next.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Scenario {
        self.wait += seconds;
        self
    }

    fn act(mut self, act: Act) -> Scenario {
        self.acts.push((std::mem::take(&mut self.wait), act));
        self
    }

    /// Somebody calls an operation of ECS.
    #[must_use]
    pub fn call(self, operation: &'static str, input: Value) -> Scenario {
        self.call_with(operation, move |_| input.clone())
    }

    /// Likewise, with what there is then.
    #[must_use]
    pub fn call_with(self, operation: &'static str, input: impl Fn(&Cluster) -> Value + 'static) -> Scenario {
        self.act(Act::Call(operation, Box::new(input)))
    }

    /// Something happens to a machine.
    #[must_use]
    pub fn order(self, machine: usize, order: Order) -> Scenario {
        self.act(Act::Order(machine, order))
    }

    /// It becomes so within so many seconds.
    #[must_use]
    pub fn becomes(
        self,
        within: u64,
        what: &'static str,
        look: impl Fn(&Cluster) -> Result<(), String> + 'static,
    ) -> Scenario {
        self.act(Act::Becomes(within, what, Box::new(look)))
    }

    /// It stays so from here on, whenever it is looked at.
    #[must_use]
    pub fn holds(
        self,
        what: &'static str,
        look: impl Fn(&Cluster) -> Result<(), String> + 'static,
    ) -> Scenario {
        self.act(Act::Holds(what, Box::new(look)))
    }

    /// Lives through it.
    ///
    /// # Errors
    /// The promise that was broken, or what did not become so.
    pub fn run(mut self) -> Result<Outcome, Failure> {
        let options = Options { tells: self.tells, ..Options::of(0) };
        let machines = std::mem::take(&mut self.machines);
        let lost_after = self.lost_after;
        history::within(
            &options,
            || World::quiet(&options, machines, lost_after),
            async |world| self.live(&world).await,
        )
    }

    async fn live(self, world: &Arc<World>) {
        let mut all = JoinSet::new();
        all.spawn(server::live(world.clone()));
        for machine in &world.machines {
            all.spawn(agent::live(world.clone(), machine.clone()));
        }
        tokio::select! {
            biased;
            () = world.failed() => {}
            () = perform(world, self.acts) => {}
        }
        all.shutdown().await;
    }
}

async fn perform(world: &Arc<World>, acts: Vec<(u64, Act)>) {
    let mut stands: Vec<(&'static str, Look)> = Vec::new();
    let machines = world.machines.len();
    let connected = |state: &Cluster| {
        let there = state.instances().filter(|row| row.agent_connected).count();
        if there == machines { Ok(()) } else { Err(format!("{there} are")) }
    };
    until(world, 120, "the agents are connected", &stands, connected).await;
    for (seconds, act) in acts {
        let passes = Duration::from_secs(seconds);
        watch(world, &stands, passes).await;
        match act {
            Act::Call(operation, input) => {
                let Some(visible) = world.server().and_then(|server| server.state()) else { continue };
                let input = input(&visible.state);
                drop(visible);
                // What changes together with a task's protection may have come before or after.
                let tasks = input["tasks"].as_array().into_iter().flatten();
                let tasks = tasks.filter_map(|task| TaskId::parse(task.as_str()?)).collect();
                world.record.lock().protection_changes(&tasks);
                let outcome = call(world, Node::User(0), &As::Administrator, ("ecs", operation), input).await;
                if let Err(failed) = outcome {
                    world.fail(format!("{operation}: {failed:?}"));
                }
            }
            Act::Order(machine, order) => world.machines[machine].order(order),
            Act::Becomes(within, what, look) => until(world, within, what, &stands, look).await,
            Act::Holds(what, look) => stands.push((what, look)),
        }
    }
}

/// Time passes, in which what holds goes on to do so.
async fn watch(world: &World, stands: &[(&'static str, Look)], passes: Duration) {
    let _ = timeout(passes, async {
        loop {
            check(world, stands);
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn check(world: &World, stands: &[(&'static str, Look)]) {
    let Some(visible) = world.server().and_then(|server| server.state()) else { return };
    for (what, look) in stands {
        if let Err(why) = look(&visible.state) {
            world.fail(format!("{what} does not hold: {why}"));
        }
    }
}

async fn until(
    world: &World,
    within: u64,
    what: &'static str,
    stands: &[(&'static str, Look)],
    look: impl Fn(&Cluster) -> Result<(), String>,
) {
    let mut last = "there is no control plane".to_owned();
    let becomes = async {
        loop {
            check(world, stands);
            if let Some(visible) = world.server().and_then(|server| server.state()) {
                match look(&visible.state) {
                    Ok(()) => return,
                    Err(why) => last = why,
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(Duration::from_secs(within), becomes).await.is_err() {
        world.fail(format!("within {within} s it does not become so that {what}: {last}"));
    }
}
