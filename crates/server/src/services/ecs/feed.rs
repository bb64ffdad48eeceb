//! What one host is told of the networks of its tasks: all of it when a session begins, then what has changed, before the
//! assignments that need it. It compares what was told last with what is to hold, so nothing that was missed is missed for
//! long; and it listens only to what the host knows of.

mod parts;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    net::Ipv4Addr,
    sync::Arc,
};

use ::ecs::{Cluster, cluster::InstanceId};
use agent_protocol::acs;
use state::{Id128, contract::HostNetwork};

use crate::runtime::{
    Place,
    ferry::{Ear, Vpcs},
};

/// See the module.
pub struct Feed {
    vpcs: Arc<dyn Vpcs>,
    place: Place,
    cluster: String,
    /// Where other hosts reach it.
    address: Option<Ipv4Addr>,
    ear: Option<Ear>,
    /// The tasks that have an interface there.
    tasks: BTreeSet<Id128>,
    /// What the host was told last; none before it was told anything.
    told: Option<HostNetwork>,
    sequence: u64,
    /// To be sent.
    ready: VecDeque<acs::VpcMessage>,
}

impl Feed {
    /// Of a host that was told nothing yet.
    pub fn new(vpcs: Arc<dyn Vpcs>, place: Place, cluster: String, address: Option<Ipv4Addr>) -> Feed {
        let (tasks, ready) = Default::default();
        Feed { vpcs, place, cluster, address, ear: None, tasks, told: None, sequence: 0, ready }
    }

    /// Looks at which tasks of a host have an interface, and where those are others than before, at what is to hold for them.
    pub fn look(&mut self, state: &Cluster, host: &InstanceId) {
        let has = |task: &::ecs::cluster::TaskRow| {
            let given = task.attachment.as_ref().is_some_and(|attachment| attachment.interface.is_some());
            given && task.holds_interface()
        };
        let tasks: BTreeSet<Id128> =
            state.tasks_on(host).filter(|task| has(task)).map(|task| task.id.0).collect();
        if self.told.is_none() || tasks != self.tasks {
            self.tasks = tasks;
            self.renew();
        }
    }

    /// The next message, in order.
    pub fn next(&mut self) -> Option<acs::VpcMessage> {
        self.ready.pop_front()
    }

    /// Waits until something has changed that the host is to know. Nothing is lost where it is dropped while it waits.
    pub async fn changed(&mut self) {
        while self.ready.is_empty() {
            let Some(ear) = &self.ear else { return std::future::pending().await };
            ear.heard().await;
            self.renew();
        }
    }

    /// Compares what the host was told with what is to hold now.
    fn renew(&mut self) {
        let tasks: Vec<Id128> = self.tasks.iter().copied().collect();
        self.ear = self.ear.take().or_else(|| self.vpcs.listen(&self.place));
        let now = loop {
            let Some(now) = self.vpcs.on_host(&self.place, &self.cluster, &tasks) else { return };
            // What is new to listen to may have changed after the look.
            if !self.ear.as_mut().is_some_and(|ear| ear.to(now.names())) {
                break now;
            }
        };
        let messages = parts::messages(self.told.as_ref(), &now, self.address, &mut self.sequence);
        self.ready.extend(messages);
        self.told = Some(now);
    }
}
