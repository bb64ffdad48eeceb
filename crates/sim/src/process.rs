//! One life of a simulated control plane's process: its tasks end with it, where they stand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use server::world::{Outside, Task};
use tokio::{task::AbortHandle, time::Instant};

use crate::world::World;

/// See the module.
pub struct Process {
    world: Arc<World>,
    began: Instant,
    dead: AtomicBool,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    live: Vec<AbortHandle>,
    /// Those that ended are let go of when there are so many.
    sweep_at: usize,
}

impl Process {
    /// Begins one.
    pub fn begin(world: &Arc<World>) -> Arc<Process> {
        let (dead, tasks) = Default::default();
        Arc::new(Process { world: world.clone(), began: Instant::now(), dead, tasks })
    }

    /// Ends it, as `kill -9` does.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.live.iter().for_each(AbortHandle::abort);
    }

    /// Whether it has ended.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

impl Outside for Process {
    fn clock(&self) -> (i64, i64) {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX / 2);
        (self.world.wall_clock(), passed)
    }

    fn random(&self) -> u128 {
        self.world.bits()
    }

    fn spawn(&self, task: Task) {
        if self.is_dead() {
            return;
        }
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = self.tasks.lock();
        tasks.live.push(handle);
        if tasks.live.len() > tasks.sweep_at {
            tasks.live.retain(|task| !task.is_finished());
            tasks.sweep_at = 2 * tasks.live.len() + 64;
        }
    }
}
