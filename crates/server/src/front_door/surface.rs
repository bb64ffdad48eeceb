//! What answers beside the services, under a path of its own: JSON to JSON, authenticated as a call of the API is, for
//! administrators alone.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use wire::protocol::Reply;
use wire::{Error, Timestamp};

use super::{FrontDoor, Key};
use crate::gate::{Caller, Role};

/// One of them.
#[async_trait]
pub trait Surface: Send + Sync {
    /// The path of its requests, which no operation of a service has.
    fn path(&self) -> &'static str;

    /// Answers one, with JSON. It may wait, but not beyond the end of the program.
    ///
    /// # Errors
    /// What is wrong with the request, or could not be done.
    async fn call(&self, call: SurfaceCall) -> Result<Bytes, Error>;
}

/// A request whose signature is right.
#[derive(Debug)]
pub struct SurfaceCall {
    /// The body, whatever it is.
    pub body: Bytes,
    /// Who asks.
    pub caller: Caller,
    /// The region that it is for: the one that the client signed for.
    pub region: Arc<str>,
    /// When the request came in.
    pub now: Timestamp,
}

impl FrontDoor {
    /// Has this answer, too.
    #[must_use]
    pub fn with(mut self, surface: Arc<dyn Surface>) -> FrontDoor {
        self.surfaces.push(surface);
        self
    }

    /// What answers requests of a path.
    pub(super) fn surface(&self, path: &str) -> Option<&Arc<dyn Surface>> {
        self.surfaces.iter().find(|surface| surface.path() == path)
    }
}

/// Has a surface answer, if the key is an administrator's.
pub(super) async fn answer(
    surface: &dyn Surface,
    key: &Key,
    call: SurfaceCall,
    request_id: &str,
) -> Result<Reply, Error> {
    if key.may.is_some() || key.caller.role != Role::User {
        let text = format!("User: {} is not authorized to use {}", key.caller.arn, surface.path());
        return Err(Error::new("AccessDeniedException", 403, text));
    }
    let body = surface.call(call).await?;
    let json = HeaderValue::from_static("application/json");
    let id = HeaderValue::from_str(request_id).ok();
    let mut headers = vec![(CONTENT_TYPE, json)];
    headers.extend(id.map(|id| (HeaderName::from_static("x-amzn-requestid"), id)));
    Ok(Reply { status: 200, headers, body })
}
