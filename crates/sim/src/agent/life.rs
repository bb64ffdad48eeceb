//! The life of a machine: agents come and go on it, it starts anew, and it is taken away.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use super::Agent;
use crate::{
    machine::{Machine, Order},
    network::{As, Node, call},
    server::CLUSTER,
    world::World,
};

/// Why an agent is there no more.
enum End {
    Died,
    /// It cannot go on, as its ledger cannot be written.
    Failed,
    /// Its host is none of the cluster any more.
    Deregistered,
    Ordered(Order),
}

/// So long the next write to the ledger is waited for, at which the agent ends.
const STRUCK_WITHIN_MS: i64 = 30_000;

/// The life of a machine and the agents on it.
pub async fn live(world: Arc<World>, machine: Arc<Machine>) {
    away(&world, machine.comes_after_ms).await;
    loop {
        let mut agent = Agent::begin(&world, &machine);
        let end = until_its_end(&world, &machine, &mut agent).await;
        drop(agent);
        match end {
            End::Died => {
                world.fault();
                world.tell(|| format!("the agent of machine {} dies", machine.number));
                die(&world, &machine).await;
            }
            End::Failed => {
                world.tell(|| format!("the agent of machine {} gives up", machine.number));
                machine.disk.process_ends();
            }
            End::Deregistered => {
                world.tell(|| format!("machine {} is none of the cluster any more", machine.number));
                machine.wipe(&world);
            }
            End::Ordered(order) => {
                world.tell(|| format!("machine {}: {order:?}", machine.number));
                obey(&world, &machine, order).await;
                continue;
            }
        }
        let most = if world.is_storm() { 90_000 } else { 1_000 };
        world.pause(100, most).await;
    }
}

async fn until_its_end(world: &Arc<World>, machine: &Machine, agent: &mut Agent) -> End {
    let run = agent.run();
    tokio::pin!(run);
    let mut is_armed = false;
    machine.disarm();
    loop {
        let life = match world.is_storm() {
            true if is_armed => STRUCK_WITHIN_MS,
            true => world.range(20_000, 500_000),
            false => 3_600_000,
        };
        tokio::select! {
            biased;
            is_deregistered = &mut run => {
                return if is_deregistered { End::Deregistered } else { End::Failed };
            }
            order = machine.ordered() => return End::Ordered(order),
            () = machine.struck(), if is_armed => return End::Died,
            () = sleep(Duration::from_millis(life.unsigned_abs())) => {
                if !world.is_storm() {
                    continue;
                }
                if is_armed || machine.chance.lock().percent(40) {
                    return End::Died;
                }
                machine.arm();
                is_armed = true;
            }
        }
    }
}

/// It is not there for so long; no longer than there are faults.
async fn away(world: &World, millis: i64) {
    let until = world.passed_ms() + millis;
    while world.is_storm() && world.passed_ms() < until {
        sleep(Duration::from_secs(5)).await;
    }
}

async fn obey(world: &World, machine: &Machine, order: Order) {
    let (Order::AgentDies(millis) | Order::Off(millis) | Order::Vanishes(millis)) = order;
    match order {
        Order::AgentDies(_) => machine.disk.process_ends(),
        Order::Off(_) => machine.reboot(world),
        Order::Vanishes(_) => machine.wipe(world),
    }
    sleep(Duration::from_millis(millis.unsigned_abs())).await;
}

/// The agent dies; or its host, which comes back; or that is taken away by force, and another stands in its place, at once
/// or once its capacity provider has another one.
async fn die(world: &Arc<World>, machine: &Arc<Machine>) {
    match world.range(0, 9) {
        0..=4 => machine.disk.process_ends(),
        5..=7 => {
            world.tell(|| format!("machine {} starts anew", machine.number));
            machine.reboot(world);
        }
        _ => {
            let instance = machine.host.lock().instance.clone();
            machine.wipe(world);
            let Some(arn) = instance else { return };
            let input = json!({"cluster": CLUSTER, "containerInstance": arn, "force": true});
            let node = Node::User(9);
            while call(world, node, &As::Administrator, ("ecs", "DeregisterContainerInstance"), input.clone())
                .await
                .is_err_and(|failed| !failed.is_refusal())
            {}
            if world.percent(40) {
                away(world, world.range(0, 300_000)).await;
            }
        }
    }
}
