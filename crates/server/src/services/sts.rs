//! STS: who the caller is.

use async_trait::async_trait;
use bytes::Bytes;
use sts_model::{self as sts, GetCallerIdentityResponse};
use wire::{Error, schema};

use crate::gate::{Built, Call, Service, Support};

/// The STS API. It has no state: everything it tells comes from the key.
#[derive(Debug, Default)]
pub struct Sts;

/// What of STS is built.
pub(crate) static SUPPORT: Support = Support { built: &[Built::whole("GetCallerIdentity")], absent: &[] };

#[async_trait]
impl Service for Sts {
    fn schema(&self) -> &'static schema::Service {
        &sts::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    fn is_global(&self) -> bool {
        true
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let identity = GetCallerIdentityResponse {
            user_id: Some(call.caller.user_id.to_string()),
            account: Some(call.caller.account.to_string()),
            arn: Some(call.caller.arn.to_string()),
        };
        match serde_json::to_vec(&identity) {
            Ok(json) => Ok(json.into()),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }
}
