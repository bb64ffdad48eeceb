//! Capacity providers: what is called about them is the account's to decide, but for what its clusters have to be asked or
//! told.

use ::ecs::{
    account::{
        self,
        providers::{self, describe, retire},
    },
    capacity::attach,
};
use bytes::Bytes;
use ecs_model as ecs;
use wire::Error;

use super::{Home, json};
use crate::gate::Call;

/// CreateCapacityProvider. One of managed instances belongs to a cluster, which is told of it then.
pub async fn create(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::CreateCapacityProviderRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let of_cluster = request.cluster.as_deref().filter(|_| request.managed_instances_provider.is_some());
    let cluster = of_cluster.map(|named| home.cluster(&ctx, Some(named))).transpose()?;
    let cluster = cluster.map(|cluster| cluster.read().state.row.name.clone());
    let name = request.name.clone();
    let make = move |txn: &mut account::Txn| providers::create(txn, request, cluster);
    let made = home.account_shard().execute(&call.caller, make).await?;
    home.settle_provider(&name).await?;
    json(&made)
}

/// DeleteCapacityProvider. What it comes to is settled before the answer, or by the next sweep.
pub async fn delete(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DeleteCapacityProviderRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    if let Some((name, cluster)) = retire::in_cluster(&home.account().state, &ctx, &request)
        && let Some(cluster) = home.cluster_by_name(cluster)
    {
        retire::check_daemons(&cluster.read().state, name)?;
    }
    let begin = move |txn: &mut account::Txn| retire::begin(txn, &request);
    let begun = home.account_shard().execute(&call.caller, begin).await?;
    home.settle_provider(&begun.name).await?;
    json(&retire::answer(&ctx, &begun, home.account().state.provider_row(&begun.name)))
}

/// DescribeCapacityProviders.
pub fn describe(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeCapacityProvidersRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = request.cluster.as_deref().map(|named| home.cluster(&ctx, Some(named))).transpose()?;
    let cluster = cluster.map(|cluster| cluster.read());
    let of_cluster = cluster.as_ref().map(|visible| &*visible.state.row.capacity_providers);
    let account = home.account();
    json(&describe::describe_capacity_providers(&account.state, &ctx, &request, of_cluster)?)
}

impl Home {
    /// Carries out what is begun of all capacity providers.
    pub(super) async fn settle_providers(&self) -> Result<(), Error> {
        let unsettled: Vec<String> = self.account().state.providers_unsettled().cloned().collect();
        for name in unsettled {
            self.settle_provider(&name).await?;
        }
        Ok(())
    }

    /// Carries out what is begun of a capacity provider, if anything is.
    async fn settle_provider(&self, name: &str) -> Result<(), Error> {
        // No cluster is made meanwhile that could take it up unseen.
        let _making = self.making().lock().await;
        let account = self.account();
        let Some(row) = account.state.provider_row(name).filter(|row| row.is_unsettled()) else {
            return Ok(());
        };
        let outcome = match &row.managed {
            Some(managed) => self.settle_managed(row, &managed.cluster).await?,
            None => self.settle_group(name).await?,
        };
        let name = name.to_owned();
        let settled = move |txn: &mut account::Txn| {
            retire::settled(txn, &name, outcome);
            Ok(())
        };
        self.account_shard().execute("", settled).await
    }

    /// One of managed instances comes to its cluster, or leaves it.
    async fn settle_managed(
        &self,
        row: &account::CapacityProviderRow,
        cluster: &str,
    ) -> Result<retire::Outcome, Error> {
        let comes = row.status == ::ecs::rows::CapacityProviderStatus::Provisioning;
        let Some(cluster) = self.cluster_by_name(cluster) else {
            return Ok(if comes { retire::no_cluster() } else { retire::Outcome::Deleted });
        };
        let name = row.name.clone();
        if comes {
            return cluster.execute("", move |txn| Ok(attach::associate(txn, &name))).await;
        }
        let gone = cluster.execute("", move |txn| Ok(attach::dissociate(txn, &name))).await?;
        Ok(if gone { retire::Outcome::Deleted } else { retire::in_use() })
    }

    /// No cluster has it. A batch at work may have looked at the account before this was begun: each writer is heard
    /// once, behind whatever it had begun.
    async fn settle_group(&self, name: &str) -> Result<retire::Outcome, Error> {
        for cluster in self.clusters() {
            cluster.execute("", |_| Ok(())).await?;
            let visible = cluster.read();
            let row = &visible.state.row;
            if row.active && row.capacity_providers.iter().any(|known| known == name) {
                return Ok(retire::associated(&row.name));
            }
        }
        Ok(retire::Outcome::Deleted)
    }
}
