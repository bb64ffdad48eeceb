//! Surfaces: what is reached by HTTP and is not a call of an AWS service: web sockets of agents, streams that go on,
//! uploads. Each has paths or hosts of its own. The front door sees to who asks, as for calls, before a surface
//! hears of it; it knows none by name.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;
use wire::headers::REQUEST_ID;
use wire::protocol::codec;
use wire::schema::Protocol;
use wire::sigv4::{Payload, Refusal, Rules, Signature, Signed};
use wire::{Error, Timestamp};

use super::auth::Scope;
use super::body::{BodyStream, too_long};
use super::connection::Connection;
use super::handle::response;
use super::names::name_of;
use super::{FrontDoor, Key, ReplyBody};
use crate::gate::{Caller, Role};

/// A handler of requests under paths or hosts of its own.
#[async_trait]
pub trait Surface: Send + Sync {
    /// Where it is. Of several surfaces the one with the longest path has a request.
    fn sites(&self) -> Vec<Site>;

    /// The service that its requests are signed for, by the name in a credential's scope.
    fn signed_for(&self) -> &str;

    /// Whether this caller may use it. Asked once the signature is right, before anything of the body is read.
    ///
    /// # Errors
    /// Why not; administrators alone may, unless a surface says something else.
    fn admits(&self, caller: &Caller) -> Result<(), Error> {
        match caller.role {
            Role::User => Ok(()),
            _ => Err(Error::new(
                "AccessDeniedException",
                403,
                format!("User: {} is not authorized to perform this operation", caller.arn),
            )),
        }
    }

    /// The longest body, in bytes; none by default.
    fn body_bytes(&self) -> u64 {
        0
    }

    /// A refusal in the form that the surface's clients read; of JSON services by default.
    fn refused(&self, error: &Error, request_id: &str) -> Response<ReplyBody> {
        response(codec(Protocol::Json11).error(None, error, request_id))
    }

    /// The answer of a surface that speaks JSON, or its refusal.
    fn json(&self, told: Result<Bytes, Error>, request_id: &str) -> Response<ReplyBody> {
        match told {
            Ok(json) => {
                let mut response = Response::new(json.into());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err(error) => self.refused(&error, request_id),
        }
    }

    /// Answers. What goes on after the answer began, as a stream or on an upgraded connection, has to end when
    /// [`SurfaceCall::stopping`] fires; it is cut a little later. A stream that has nothing to say for long says
    /// something nevertheless, since only that finds out that its client is gone.
    async fn handle(&self, call: SurfaceCall) -> Response<ReplyBody>;

    /// Waits until what was upgraded is closed, in order; nothing is upgraded any more.
    async fn close(&self) {}
}

/// Where a surface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// A path, such as `/acs`, and all that are below it.
    Path(&'static str),
    /// A host, and all names below it. It has to be among the [names](super::Names) of the front door, too.
    Host(String),
}

/// A request whose head is right.
pub struct SurfaceCall {
    /// Method, path, query and headers.
    pub parts: Parts,
    /// The body.
    pub body: BodyStream,
    /// Becomes the connection once `101` is sent, where the client asked for something else than HTTP.
    pub upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// Who asks.
    pub caller: Caller,
    /// The id of this request.
    pub request_id: String,
    /// The region that it is for: the one that the client signed for.
    pub region: Arc<str>,
    /// When the request came in.
    pub now: Timestamp,
    /// The program stops.
    pub stopping: CancellationToken,
}

impl Site {
    pub(super) fn takes(&self, parts: &Parts) -> bool {
        match self {
            Site::Path(path) => {
                let below = parts.uri.path().strip_prefix(path);
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Site::Host(host) => {
                let asked = parts.headers.get(http::header::HOST).and_then(|asked| asked.to_str().ok());
                let (asked, host) = (name_of(asked.unwrap_or_default()).as_bytes(), host.as_bytes());
                let (before, end) = asked.split_at(asked.len().saturating_sub(host.len()));
                end.eq_ignore_ascii_case(host) && (before.is_empty() || before.ends_with(b"."))
            }
        }
    }

    /// Of sites that take the same request, the one with the highest has it.
    fn weight(&self) -> usize {
        match self {
            Site::Path(path) => path.len(),
            Site::Host(host) => host.len(),
        }
    }
}

/// Surfaces, each at its sites, in the order in which they are asked.
pub(super) fn in_order(surfaces: Vec<Arc<dyn Surface>>) -> Vec<(Site, Arc<dyn Surface>)> {
    let sites = |surface: Arc<dyn Surface>| {
        let sites = surface.sites();
        sites.into_iter().map(move |site| (site, surface.clone()))
    };
    let mut all: Vec<_> = surfaces.into_iter().flat_map(sites).collect();
    all.sort_by_key(|(site, _)| std::cmp::Reverse(site.weight()));
    all
}

impl FrontDoor {
    /// The surface that a request is for.
    pub(super) fn surface(&self, parts: &Parts) -> Option<&Arc<dyn Surface>> {
        self.surfaces.iter().find(|(site, _)| site.takes(parts)).map(|(_, surface)| surface)
    }

    /// Who, from the head alone, then the surface.
    pub(super) async fn at_surface(
        &self,
        surface: &dyn Surface,
        (parts, body): (Parts, Incoming),
        upgrade: Option<hyper::upgrade::OnUpgrade>,
        request_id: String,
        connection: &Connection,
    ) -> Response<ReplyBody> {
        let now = (self.config.clock)();
        let refuse = |error: Error| surface.refused(&error, &request_id);
        let checked = async {
            let signature = Signature::read(&parts.headers, parts.uri.query().unwrap_or_default())?;
            let scope = Scope { service: surface.signed_for(), global: false };
            let key = self.identify(&signature, &parts, connection, scope, now).await?;
            let payload = self.verify_head(&key, &signature, &parts, now)?;
            Ok::<_, Refusal>((signature, key, payload))
        };
        let (signature, key, payload) = match checked.await {
            Ok(checked) => checked,
            Err(refusal) => return refuse(refusal.into_error(Protocol::Json11)),
        };
        connection.place.is_right();
        let limit = surface.body_bytes();
        let long = || (body.size_hint().lower() > limit).then(|| too_long(limit));
        if let Some(error) = surface.admits(&key.caller).err().or_else(long) {
            return refuse(error);
        }
        let call = SurfaceCall {
            body: BodyStream::new(body, payload, limit, &self.bodies, self.config.limits.body_timeout),
            parts,
            upgrade,
            caller: key.caller.clone(),
            request_id: request_id.clone(),
            region: self.config.regions.of(&signature.region),
            now,
            stopping: connection.stopping.clone(),
        };
        let Ok(mut answer) = AssertUnwindSafe(surface.handle(call)).catch_unwind().await else {
            tracing::error!(request_id, "a request to a surface broke an assertion");
            return refuse(Error::internal("The request could not be carried out."));
        };
        if answer.body().is_stream() {
            match self.streams.clone().try_acquire_owned() {
                Ok(place) => answer.body_mut().hold(place),
                Err(_) => return refuse(Error::unavailable("Too many streams are open; try again")),
            }
        }
        let id = http::HeaderValue::from_str(&request_id).ok();
        if let (Some(id), true) = (id, answer.status() != StatusCode::SWITCHING_PROTOCOLS) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        answer
    }

    /// Whether the signature of a head is right, and what it promises of the body.
    fn verify_head(
        &self,
        key: &Key,
        signature: &Signature,
        parts: &Parts,
        now: Timestamp,
    ) -> Result<Payload, Refusal> {
        let Some(secret) = &key.secret else { return Ok(Payload::any()) };
        let query = parts.uri.query().unwrap_or_default();
        let (method, path, headers) = (parts.method.as_str(), parts.uri.path(), &parts.headers);
        let request = Signed { method, path, query, headers, body: b"" };
        self.verifier.verify_head(signature, &request, secret, Rules::default(), now)
    }
}
