//! Whether a container instance's agent is connected, from the link's own knowledge to the row: told when it begins
//! and ends, again until it is stored, and compared from time to time.

use std::{net::Ipv4Addr, time::Duration};

use ::ecs::{
    cluster::{InstanceId, InstanceStatus},
    instance,
};
use ecs_model as ecs;

use super::{
    ClusterHandle,
    assignments::{Link, refusal},
};
use crate::{
    agent_link::{Refusal, RefusalKind},
    world,
};

/// Between comparisons of a session with its row.
pub(super) const COMPARE: Duration = Duration::from_secs(30);
/// The first and the longest wait after an end could not be stored.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Container instances of a cluster whose rows one sweep compares.
const SWEPT: usize = 200;

/// A session that is there; its end is recorded when this goes.
pub(super) struct Presence {
    link: Link,
    session: u64,
    says: Says,
}

/// What an agent says of itself as it connects.
#[derive(Clone)]
pub(super) struct Says {
    pub version: ecs::VersionInfo,
    /// Where other hosts reach its host.
    pub address: Option<Ipv4Addr>,
}

impl Presence {
    /// The newest session of its container instance.
    pub(super) fn begin(link: &Link, says: Says) -> Presence {
        let session = link.cluster.wakers().begin_session(&link.instance);
        Presence { link: link.clone(), session, says }
    }

    /// Records that it is there. Gives the row's timeline.
    pub(super) async fn record(&self) -> Result<i64, Refusal> {
        connection(&self.link, self.session, Some(self.says.clone())).await
    }

    /// Records once more that it is there, should the row not say so.
    pub(super) fn compare(&self) {
        let visible = self.link.cluster.read();
        let row = visible.state.instance(&self.link.instance);
        if row.is_none_or(|row| row.agent_connected || row.status == InstanceStatus::Inactive) {
            return;
        }
        let (link, session, says) = (self.link.clone(), self.session, self.says.clone());
        world::spawn(async move {
            // Compared again if it fails.
            if let Err(refusal) = connection(&link, session, Some(says)).await {
                tracing::warn!(%refusal, "a connection could not be recorded");
            }
        });
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let (link, session) = (self.link.clone(), self.session);
        if tokio::runtime::Handle::try_current().is_ok() {
            world::spawn(async move {
                let mut wait = RETRY.0;
                while let Err(refusal) = connection(&link, session, None).await {
                    tracing::warn!(%refusal, ?wait, "a lost connection could not be recorded; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
                link.cluster.wakers().end_session(&link.instance, session);
            });
        }
    }
}

/// Says that the agent's connection opened, or ended. What an older session says once a newer one has begun no
/// longer counts. Gives the row's timeline.
async fn connection(link: &Link, session: u64, connected: Option<Says>) -> Result<i64, Refusal> {
    let (id, wakers) = (link.instance, link.cluster.wakers().clone());
    let done = link.cluster.execute("", move |txn| {
        if wakers.is_newest(&id, session) {
            let address = connected.as_ref().map(|says| says.address);
            instance::state::connection(txn, &id, connected.map(|says| says.version));
            if let Some(address) = address {
                instance::state::reached_at(txn, &id, address);
            }
        }
        Ok(txn.state.instance(&id).map_or(0, |row| row.timeline))
    });
    done.await.map_err(|error| refusal(RefusalKind::Server, error.message()))
}

/// Compares some rows with the sessions that there are, beginning after `after`: an instance without one is not
/// connected. Gives where to go on.
pub(super) async fn sweep(cluster: &ClusterHandle, after: InstanceId) -> InstanceId {
    let visible = cluster.read();
    let rows: Vec<_> = visible.state.instances_after(&after).take(SWEPT).cloned().collect();
    let next = match rows.last() {
        Some(last) if rows.len() == SWEPT => last.id,
        _ => InstanceId::default(),
    };
    for row in rows.into_iter().filter(|row| row.agent_connected && !cluster.wakers().has_session(&row.id)) {
        let wakers = cluster.wakers().clone();
        let gone = cluster.execute("", move |txn| {
            // One may have begun meanwhile.
            if !wakers.has_session(&row.id) {
                instance::state::connection(txn, &row.id, None);
            }
            Ok(())
        });
        if let Err(error) = gone.await {
            tracing::warn!(%error, "a connection that is not there could not be recorded");
            break;
        }
    }
    next
}
