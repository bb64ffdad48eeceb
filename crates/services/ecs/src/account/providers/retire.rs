//! How a capacity provider ends, and how what was begun of one is carried out: DeleteCapacityProvider marks it, the driver
//! asks all clusters, and says what came of it. The same for one of managed instances that its cluster is to know.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteCapacityProvider.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Account, Txn, describe, find};
use crate::{
    Cluster, Ctx, limits,
    rows::{CapacityProviderRow, CapacityProviderStatus, CapacityProviderUpdateStatus, DaemonStatus},
};

/// What came of what was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its cluster knows it.
    Created,
    /// Its cluster does not take it.
    NotCreated(String),
    /// Nothing uses it.
    Deleted,
    /// Something does.
    NotDeleted(String),
}

/// The clock was set back: one that has ended is kept no longer than such are.
pub fn set_back(txn: &mut Txn, name: &str) {
    let Some(row) = txn.state.provider_row(name) else { return };
    let latest = txn.now().plus_millis(limits::INACTIVE_KEPT_MS);
    if row.forget_at.is_some_and(|at| at > latest) {
        let row = CapacityProviderRow { forget_at: Some(latest), ..row.clone() };
        txn.put(row);
    }
}

/// The name of the provider of managed instances that a request is to delete, and its cluster, which is asked first
/// ([`check_daemons`]).
pub fn in_cluster<'a>(
    state: &'a Account,
    ctx: &Ctx,
    request: &ecs::DeleteCapacityProviderRequest,
) -> Option<(&'a str, &'a str)> {
    let row = find(state, ctx, &request.capacity_provider, request.cluster.as_deref()).ok()?;
    Some((&row.name, &row.managed.as_ref()?.cluster))
}

/// Whether daemons of its cluster let a provider of managed instances go.
///
/// # Errors
/// `ClientException`.
pub fn check_daemons(state: &Cluster, provider: &str) -> Result<(), Error> {
    let mut live = state.daemon_rows().filter(|row| row.status != DaemonStatus::Deleted);
    match live.any(|row| row.providers.iter().any(|name| name == provider)) {
        true => Err(errors::client(
            "Cannot delete capacity provider. Daemon services are still associated with this capacity provider.",
        )),
        false => Ok(()),
    }
}

/// Begins to delete a capacity provider; the answer shows that.
///
/// # Errors
/// `ClientException`.
pub fn begin(
    txn: &mut Txn,
    request: &ecs::DeleteCapacityProviderRequest,
) -> Result<CapacityProviderRow, Error> {
    let mut row = find(txn.state, txn.ctx, &request.capacity_provider, request.cluster.as_deref())?.clone();
    if row.managed.is_some() {
        row.status = CapacityProviderStatus::Deprovisioning;
    }
    row.update = CapacityProviderUpdateStatus::DeleteInProgress;
    row.update_reason = None;
    txn.put(row.clone());
    Ok(row)
}

/// The answer of DeleteCapacityProvider: that it is begun, or at once why it failed.
pub fn answer(
    ctx: &Ctx,
    begun: &CapacityProviderRow,
    now: Option<&CapacityProviderRow>,
) -> ecs::DeleteCapacityProviderResponse {
    let failed = now.filter(|row| row.update == CapacityProviderUpdateStatus::DeleteFailed);
    let shown = describe::shown(ctx, failed.unwrap_or(begun), true);
    ecs::DeleteCapacityProviderResponse { capacity_provider: Some(shown) }
}

/// What was begun of a provider has come to this, unless it came to something before.
pub fn settled(txn: &mut Txn, name: &str, outcome: Outcome) {
    use CapacityProviderUpdateStatus::{
        CreateComplete, CreateFailed, CreateInProgress, DeleteComplete, DeleteFailed, DeleteInProgress,
    };
    let Some(row) = txn.state.provider_row(name) else { return };
    let (status, update, reason) = match (row.update, outcome) {
        (CreateInProgress, Outcome::Created) => (CapacityProviderStatus::Active, CreateComplete, None),
        (CreateInProgress, Outcome::NotCreated(why)) => {
            (CapacityProviderStatus::Inactive, CreateFailed, Some(why))
        }
        (DeleteInProgress, Outcome::Deleted) => (CapacityProviderStatus::Inactive, DeleteComplete, None),
        (DeleteInProgress, Outcome::NotDeleted(why)) => {
            (CapacityProviderStatus::Active, DeleteFailed, Some(why))
        }
        _ => return,
    };
    let gone = status == CapacityProviderStatus::Inactive;
    let forget_at = gone.then(|| txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
    txn.put(CapacityProviderRow { status, update, update_reason: reason, forget_at, ..row.clone() });
}

/// Why a provider of a cluster cannot be deleted.
pub fn associated(cluster: &str) -> Outcome {
    Outcome::NotDeleted(format!(
        "The capacity provider cannot be deleted because it is associated with cluster: {cluster}. Remove the capacity \
         provider from the cluster and try again."
    ))
}

/// Why there is no provider of managed instances: its cluster is gone.
pub fn no_cluster() -> Outcome {
    Outcome::NotCreated("The cluster was not found.".to_owned())
}

/// Why a provider of managed instances cannot be deleted.
pub fn in_use() -> Outcome {
    Outcome::NotDeleted("The specified capacity provider is in use and cannot be removed.".to_owned())
}
