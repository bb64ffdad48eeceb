//! Interrupts a task of FARGATE_SPOT: `roadstead fargate interrupt`. From JSON to the task as DescribeTasks shows it.

use std::sync::Arc;

use ::ecs::fargate::interruption;
use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use state::Domain;
use wire::Error;

use super::Homes;
use crate::{
    front_door::{ReplyBody, Site, Surface, SurfaceCall},
    keys,
    runtime::{self, Place},
};

/// Where it is.
pub const PATH: &str = "/_roadstead/fargate/interrupt";
/// The longest request, in bytes: it holds two ARNs.
const LONGEST: u64 = 16 * 1024;

/// See the module.
pub struct Interrupting {
    homes: Arc<Homes>,
}

/// What is to be interrupted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    /// A name or ARN; `default` where there is none.
    cluster: Option<String>,
    /// Its id or ARN.
    task: String,
    /// From the warning to the stop; as ECS has it where there is none.
    warning_seconds: Option<u32>,
}

impl Interrupting {
    /// Interrupts tasks of these.
    pub fn new(homes: Arc<Homes>) -> Interrupting {
        Interrupting { homes }
    }

    async fn done(&self, place: &Place, request: &[u8]) -> Result<Bytes, Error> {
        let request: Request = serde_json::from_slice(request)
            .map_err(|error| Error::new("ValidationException", 400, error.to_string()))?;
        let home = self.homes.home(&place.0, &place.1)?;
        let by = keys::administrator(&self.homes.runtime().identity().partition, &place.0, "");
        let ctx = home.ctx(&by, runtime::now());
        let cluster = home.cluster(&ctx, request.cluster.as_deref())?;
        let Request { task, warning_seconds, .. } = request;
        let done = cluster.command(&by, move |txn| interruption::interrupt(txn, &task, warning_seconds));
        serde_json::to_vec(&done.await?).map(Bytes::from).map_err(|error| Error::internal(error.to_string()))
    }
}

#[async_trait]
impl Surface for Interrupting {
    fn sites(&self) -> Vec<Site> {
        vec![Site::Path(PATH)]
    }

    fn signed_for(&self) -> &str {
        ::ecs::Cluster::SERVICE
    }

    fn body_bytes(&self) -> u64 {
        LONGEST
    }

    async fn handle(&self, call: SurfaceCall) -> Response<ReplyBody> {
        let place = (call.caller.account, call.region);
        let told = match call.body.whole().await {
            Ok(request) => self.done(&place, &request).await,
            Err(error) => Err(error),
        };
        self.json(told, &call.request_id)
    }
}
