//! What strikes besides the deaths of processes and hosts: disks that are slow, full or fail, networks that fall apart,
//! clocks that are set.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{network::Node, random::Random, world::World};

/// The disk of the control plane.
pub async fn disk(world: Arc<World>) {
    loop {
        world.pause(20_000, 300_000).await;
        if !world.is_storm() {
            return;
        }
        world.fault();
        match world.range(0, 3) {
            0 => world.disk.set(|weather| (weather.tight, weather.full) = (true, true)),
            1 => world.disk.set(|weather| weather.tight = true),
            2 => world.disk.set(|weather| weather.failing = true),
            _ => {
                let slow = world.range(20, 800);
                world.disk.set(|weather| weather.slow_ms = slow);
            }
        }
        world.pause(200, 40_000).await;
        world.disk.set(|weather| *weather = Default::default());
    }
}

async fn pause(chance: &mut Random, low: i64, high: i64) {
    sleep(Duration::from_millis(chance.range(low, high).unsigned_abs())).await;
}

/// The disks of machines, one at a time, by a stream of their own.
pub async fn ledgers(world: Arc<World>) {
    let seed = world.machines.first().map_or(0, |machine| machine.chance.lock().seen());
    let mut chance = Random::new(seed ^ 0x6661_7465);
    loop {
        pause(&mut chance, 5_000, 60_000).await;
        let Some(machine) = chance.pick(&world.machines).filter(|_| world.is_storm()) else { return };
        world.fault();
        let (kind, slow_ms) = (chance.range(0, 2), chance.range(20, 2_000));
        machine.disk.set(|weather| match kind {
            0 => weather.full = true,
            1 => weather.failing = true,
            _ => weather.slow_ms = slow_ms,
        });
        world.tell(|| format!("the disk of machine {}: {:?}", machine.number, machine.disk.weather()));
        pause(&mut chance, 200, 40_000).await;
        machine.disk.set(|weather| *weather = Default::default());
    }
}

/// The network.
pub async fn network(world: Arc<World>) {
    loop {
        world.pause(10_000, 200_000).await;
        if !world.is_storm() {
            return;
        }
        world.fault();
        let machines = i64::try_from(world.machines.len()).unwrap_or(1);
        let at = usize::try_from(world.range(0, machines)).unwrap_or(0);
        let node = if at < world.machines.len() { Node::Machine(at) } else { Node::User(0) };
        let millis = world.range(1_000, 200_000);
        world.network.cut(node, millis);
    }
}

/// The clock of the control plane's host.
pub async fn clock(world: Arc<World>) {
    if !world.sets_clocks() {
        return;
    }
    loop {
        world.pause(60_000, 400_000).await;
        if !world.is_storm() {
            return;
        }
        world.fault();
        let off = match world.range(0, 5) {
            // What has stopped is shown no longer.
            _ if world.keeps.is_some() && world.percent(40) => world.range(3_600_000, 7_200_000),
            0..=2 => world.range(-4_000, 4_000),
            3 | 4 => world.range(-600_000, 600_000),
            _ => world.range(-7_200_000, 7_200_000),
        };
        world.set_clock(off);
    }
}
