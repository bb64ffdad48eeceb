//! STS: each call carried out by the service's table.

use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::Bytes;
use sts::{api::OPERATIONS, describe::Who};
use wire::{Error, schema};

use super::entry;
use crate::gate::{Call, Service, Support};

/// The STS API.
#[derive(Debug, Default)]
pub struct Sts;

/// What of STS is built.
pub(crate) static SUPPORT: LazyLock<Support> = LazyLock::new(|| Support::by(OPERATIONS));

#[async_trait]
impl Service for Sts {
    fn schema(&self) -> &'static schema::Service {
        &sts_model::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    fn is_global(&self) -> bool {
        true
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let handler = entry(OPERATIONS, &call)?.handler;
        let Call { caller, input, .. } = call;
        let who = Who { account: &caller.account, arn: &caller.arn, user_id: &caller.user_id };
        Ok(handler(&who, input)?.into())
    }
}
