//! The outbox of a cluster: the functions that hooks of deployments call. What waits stands in the rows of the deployments.

use serde_json::Value;
use state::{
    Id128,
    outbox::{Call, GivenUp, Outbox, Sends},
};
use wire::Error;

use super::{Cluster, Key, Txn};
use crate::service::deployment::hooks;

impl Sends for Cluster {
    fn outbox(&self) -> &Outbox {
        self.calls()
    }

    fn call(&self, id: Id128) -> Option<Call> {
        let row = self.service_deployment_that_calls(id)?;
        row.calls().find(|(execution, _)| *execution == id).map(|(_, function)| hooks::call(function))
    }

    fn carried_out(txn: &mut Txn, id: Id128, outcome: Result<Value, Error>) {
        hooks::carried_out(txn, id, &outcome);
    }

    /// A hook that failed is shown by its deployment.
    fn given_up(&self, _key: &Key) -> Option<GivenUp> {
        None
    }

    fn all_given_up(&self) -> Vec<Key> {
        Vec::new()
    }
}
