//! What the shards of hosted services may look at of the rest of the control plane: the gate's tables and ECS's
//! snapshots.

use std::sync::Weak;

use ::ecs::{
    arn::{Arn, Resource},
    cluster::{Phase, TaskFacet},
};
use state::port::{Known, Others};

use crate::{
    gate::{Gate, is_role_of},
    runtime::Place,
    services::ecs::Homes,
};

/// The look from one account and region.
pub struct Look {
    pub place: Place,
    /// Both hold whoever looks: ECS as its bus of events and its VPCs, the gate as a service.
    pub homes: Weak<Homes>,
    pub gate: Weak<Gate>,
}

impl Others for Look {
    fn operation(&self, service: &str, action: &str) -> Option<Known> {
        self.gate.upgrade()?.offered(service, action)
    }

    fn running(&self, cluster: &str, started_by: &str) -> usize {
        let own = |arn: &Arn| (arn.account.as_str(), arn.region.as_str()) == (&*self.place.0, &*self.place.1);
        let Some(Resource::Cluster { name }) = Arn::parse(cluster).filter(own).map(|arn| arn.resource) else {
            return 0;
        };
        let homes = self.homes.upgrade();
        let home = homes.and_then(|homes| homes.known_home(&self.place));
        let cluster = home.and_then(|home| home.cluster_by_name(&name));
        cluster.map_or(0, |cluster| {
            let visible = cluster.read();
            visible.state.tasks_by(TaskFacet::StartedBy(started_by), Phase::LIVE).count()
        })
    }

    /// Until there are roles: those of the account.
    fn may_assume(&self, role_arn: &str) -> bool {
        is_role_of(&self.place.0, role_arn)
    }
}
