//! One request, from head to reply.

use bytes::Bytes;
use http::header::{HOST, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming as Body};
use tokio::sync::OwnedSemaphorePermit;
use wire::Error;
use wire::protocol::{Incoming, Reply, codec, spoken, unknown_operation};
use wire::sigv4::{Refusal, Signature};

use super::auth::Scope;
use super::body::too_long;
use super::connection::Connection;
use super::route::Route;
use super::service::OverTls;
use super::{FrontDoor, Knock, OpenDoor, Origin, ReplyBody};
use crate::gate::{self, Around, Mounted, SUPPORT_PAGE};

impl FrontDoor {
    /// Answers a request, whatever it is.
    pub(super) async fn handle(
        &self,
        request: Request<Body>,
        connection: &Connection,
    ) -> Response<ReplyBody> {
        let request_id = uuid::Uuid::new_v4().hyphenated().to_string();
        let (mut parts, body) = request.into_parts();
        complete(&mut parts, connection);
        let surface = self.surface(&parts);
        let refuse = |parts: &Parts, error: &Error| match surface {
            Some(surface) => surface.refused(error, &request_id),
            None => response(codec(spoken(&incoming(parts, b""), "")).error(None, error, &request_id)),
        };
        if let Err(error) = self.config.names.check(&parts, connection.ends.local.ip()) {
            tracing::debug!(peer = %connection.ends.peer, %error, "a request was refused");
            return refuse(&parts, &error);
        }
        if parts.uri.path() == "/health" && parts.method == Method::GET {
            return health();
        }
        if connection.place.reserved && connection.admitted(&*self.peers).await.is_err() {
            let error = Error::unavailable("Too many requests are being answered; try again");
            return refuse(&parts, &error);
        }
        if let Some(door) = self.open.iter().find(|door| door.path() == parts.uri.path()) {
            return match self.knock(&**door, &parts, body, connection).await {
                Ok(response) => response,
                Err(error) => refuse(&parts, &error),
            };
        }
        if let Some(surface) = surface {
            let upgrade = parts.extensions.remove().filter(|_| parts.headers.contains_key(UPGRADE));
            return self.at_surface(&**surface, (parts, body), upgrade, request_id, connection).await;
        }
        let signature = Signature::read(&parts.headers, parts.uri.query().unwrap_or_default());
        let route = self.route(&incoming(&parts, b""), &signature);
        let answer = self.answer(&parts, body, &route, signature, &request_id, connection).await;
        let schema = route.mounted.map(|mounted| mounted.schema);
        response(answer.unwrap_or_else(|error| {
            if error.status() >= 500 {
                tracing::error!(%error, request_id, "a request failed");
            }
            codec(route.protocol).error(schema, &error, &request_id)
        }))
    }

    /// A request that nobody signs.
    async fn knock(
        &self,
        door: &dyn OpenDoor,
        parts: &Parts,
        body: Body,
        connection: &Connection,
    ) -> Result<Response<ReplyBody>, Error> {
        if parts.method != Method::POST {
            return Err(Error::new("MethodNotAllowed", 405, "This takes POST alone"));
        }
        let (body, _room) = self.read_body(body, door.body_bytes()).await?;
        let (from, tls) = (connection.ends.peer.ip(), connection.tls);
        Ok(door.answer(Knock { body, from, tls }).await)
    }

    /// Who, from the head alone; then the body; then whether the signature is right; then the call.
    async fn answer(
        &self,
        parts: &Parts,
        body: Body,
        route: &Route<'_>,
        signature: Result<Signature, Refusal>,
        request_id: &str,
        connection: &Connection,
    ) -> Result<Reply, Error> {
        let refuse = |refusal: Refusal| refusal.into_error(route.protocol);
        let now = (self.config.clock)();
        let signature = signature.map_err(refuse)?;
        let name = route.mounted.map_or(signature.service.as_str(), |mounted| mounted.schema.signing_name);
        let scope = Scope { service: name, global: route.mounted.is_some_and(Mounted::is_global) };
        let key = self.identify(&signature, parts, connection, scope, now).await.map_err(refuse)?;
        let limit = route.mounted.and_then(Mounted::body_bytes).unwrap_or(self.config.limits.body_bytes);
        // The room is kept until the request is answered: what is made of a body is larger than the body.
        let (body, _room) = self.read_body(body, limit).await?;
        self.verify(&key, &signature, parts, &body, now).map_err(refuse)?;
        connection.place.is_right();
        let Some(mounted) = route.mounted else {
            let text = format!("Roadstead has no service {name}: see {SUPPORT_PAGE}");
            return Err(unknown_operation(route.protocol, text));
        };
        let codec = codec(route.protocol);
        let request = incoming(parts, &body);
        let operation = codec.operation(mounted.schema, &request)?;
        let refused = |refusal: gate::Refusal| refusal.into_error(route.protocol);
        let known = mounted.admit(operation).map_err(refused)?;
        let input = codec.input(operation, &request)?;
        let around = Around {
            request_id: request_id.to_owned(),
            region: self.config.regions.of(&signature.region),
            now,
            origin: Origin::of(parts),
        };
        let output = mounted.carry_out(known, &key.caller, input, around).await.map_err(refused)?;
        codec.response(mounted.schema, operation, output, request_id)
    }

    /// The body, and the room that it takes.
    async fn read_body(
        &self,
        body: Body,
        limit: usize,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
        let too_long = || too_long(limit as u64);
        let told = body.size_hint();
        if told.lower() > limit as u64 {
            return Err(too_long());
        }
        let bytes = told.upper().map_or(limit, |upper| usize::try_from(upper).unwrap_or(limit).min(limit));
        let reading = async {
            let room = self.bodies.room(bytes).await;
            Limited::new(body, limit).collect().await.map(|body| (body.to_bytes(), room))
        };
        match tokio::time::timeout(self.config.limits.body_timeout, reading).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
            Ok(Err(_)) => Err(Error::new("IncompleteBody", 400, "The request's body ended too early")),
            Err(_) => {
                Err(Error::new("RequestTimeoutException", 408, "The request's body did not come in time"))
            }
        }
    }
}

/// Puts into a head what is not in it: that it came over TLS, and as `Host` the authority that HTTP/2 has in its place.
fn complete(parts: &mut Parts, connection: &Connection) {
    if connection.tls {
        parts.extensions.insert(OverTls);
    }
    if parts.version == Version::HTTP_2 && !parts.headers.contains_key(HOST) {
        let host = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            parts.headers.insert(HOST, host);
        }
    }
}

fn incoming<'a>(parts: &'a Parts, body: &'a [u8]) -> Incoming<'a> {
    Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
    }
}

/// A whole reply.
pub(super) fn response(reply: Reply) -> Response<ReplyBody> {
    let mut response = Response::new(reply.body.into());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().extend(reply.headers);
    response
}

fn health() -> Response<ReplyBody> {
    let mut response = Response::new(Bytes::from_static(b"{\"status\":\"ok\"}").into());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
