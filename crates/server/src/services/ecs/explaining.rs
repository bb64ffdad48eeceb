//! Says why something is in its state: `roadstead explain`. From JSON to JSON, out of the newest snapshot.

use std::sync::Arc;

use ::ecs::explain::{self, Explanation, Kind};
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
pub const PATH: &str = "/_roadstead/explain";
/// The longest request, in bytes: it holds an ARN and a name.
const LONGEST: u64 = 16 * 1024;

/// See the module.
pub struct Explaining {
    homes: Arc<Homes>,
}

/// What is asked about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    /// A name or ARN; `default` where there is none.
    cluster: Option<String>,
    kind: Kind,
    /// An id, a name or an ARN.
    named: String,
}

impl Explaining {
    /// Explains these.
    pub fn new(homes: Arc<Homes>) -> Explaining {
        Explaining { homes }
    }

    fn told(&self, place: &Place, request: &[u8]) -> Result<Bytes, Error> {
        let request: Request = serde_json::from_slice(request)
            .map_err(|error| Error::new("ValidationException", 400, error.to_string()))?;
        let home = self.homes.home(&place.0, &place.1)?;
        let by = keys::administrator(&self.homes.runtime().identity().partition, &place.0, "");
        let ctx = home.ctx(&by, runtime::now());
        let cluster = home.cluster(&ctx, request.cluster.as_deref())?;
        let (visible, account) = (cluster.read(), home.account());
        let told: Explanation =
            explain::explain(&visible.state, &account.state, &ctx, request.kind, &request.named)?;
        serde_json::to_vec(&told).map(Bytes::from).map_err(|error| Error::internal(error.to_string()))
    }
}

#[async_trait]
impl Surface for Explaining {
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
        let told = call.body.whole().await.and_then(|request| self.told(&place, &request));
        self.json(told, &call.request_id)
    }
}
