//! The table of what is built and the handlers agree.

use std::sync::Arc;

use serde_json::json;

use super::{super::SUPPORT, Api};

#[tokio::test]
async fn nothing_begins_on_a_disk_that_is_nearly_full_and_all_else_goes_on() {
    let store = Arc::new(store::memory::Memory::new());
    let api = Api::open(store.clone()).await;
    store.set_tight(true);
    for built in SUPPORT.built {
        let told = api.call(built.operation, json!({})).await;
        let refused = told.is_err_and(|error| error.message().contains("nearly full"));
        let begins = ["Create", "Put", "Register", "Run", "Start", "Tag"]
            .iter()
            .any(|w| built.operation.starts_with(w))
            || built.operation == "UpdateCluster";
        // A host that comes back must be let in: its tasks are to be stopped.
        let begins = begins && built.operation != "RegisterContainerInstance";
        assert_eq!(refused, begins, "{}", built.operation);
    }
    store.set_tight(false);
    assert!(api.call("CreateCluster", json!({})).await.is_ok());
}

#[tokio::test]
async fn every_operation_that_is_built_has_a_handler() {
    let api = Api::open(Arc::new(store::memory::Memory::new())).await;
    for built in SUPPORT.built {
        if let Err(error) = api.call(built.operation, json!({})).await {
            assert!(!error.message().contains("no handler"), "{}", error.message());
        }
    }
    let error = api.call("AssociateGatewayWithCluster", json!({})).await.unwrap_err();
    assert!(error.message().contains("no handler"), "this is how a missing one shows: {}", error.message());
}
