//! The table of what is built and the handlers agree.

use std::sync::Arc;

use serde_json::json;

use super::support::SUPPORT;
use crate::driver::tests::Api;

#[tokio::test]
async fn every_operation_that_is_built_has_a_handler() {
    let api = Api::open(Arc::new(store::memory::Memory::new())).await;
    for built in SUPPORT.built {
        if let Err(error) = api.call(built.operation, json!({})).await {
            assert!(!error.message().contains("no handler"), "{}", error.message());
        }
    }
    let error = api.call("CreateCapacityProvider", json!({})).await.unwrap_err();
    assert!(error.message().contains("no handler"), "this is how a missing one shows: {}", error.message());
}
