//! One request, from head to reply.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming as Body};
use tokio::sync::OwnedSemaphorePermit;
use wire::Error;
use wire::protocol::{Incoming, Reply, codec, spoken, unknown_operation};
use wire::sigv4::{Refusal, Signature};

use super::connection::Connection;
use super::route::Route;
use super::{FrontDoor, Origin, SurfaceCall, UpgradeCall, surface};
use crate::gate::{Around, Principal, SUPPORT_PAGE};

impl FrontDoor {
    /// Answers a request, whatever it is.
    pub(super) async fn handle(
        &self,
        mut request: Request<Body>,
        connection: &Connection,
    ) -> Response<Full<Bytes>> {
        let request_id = uuid::Uuid::new_v4().hyphenated().to_string();
        let upgrade = self.upgrade_wanted(&request);
        let on_upgrade = upgrade.map(|_| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        if let Err(error) = self.config.names.check(&parts, connection.ends.local.ip()) {
            tracing::debug!(peer = %connection.ends.peer, %error, "a request was refused");
            return match upgrade {
                Some(_) => refused_upgrade(&error),
                None => response(codec(spoken(&incoming(&parts, b""), "")).error(None, &error, &request_id)),
            };
        }
        if parts.uri.path() == "/health" && parts.method == Method::GET {
            return health();
        }
        if connection.place.reserved && connection.admitted(&self.peers, &self.asking).await.is_err() {
            let error = Error::unavailable("Too many requests are being answered; try again");
            return match upgrade {
                Some(_) => refused_upgrade(&error),
                None => response(codec(spoken(&incoming(&parts, b""), "")).error(None, &error, &request_id)),
            };
        }
        if let (Some(upgrade), Some(on_upgrade)) = (upgrade, on_upgrade) {
            return self.hand_over(upgrade, parts, on_upgrade, request_id, connection).await;
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
        let key = self.identify(&signature, parts, connection, name, now).await.map_err(refuse)?;
        let limit = self.config.limits.body_bytes_of(route.mounted.map(|mounted| mounted.schema.name));
        // The room is kept until the request is answered: what is made of a body is larger than the body.
        let (body, _room) = self.read_body(body, limit).await?;
        self.verify(&key, &signature, parts, &body, now).map_err(refuse)?;
        connection.place.is_right();
        if let Some(surface) = self.surface(parts.uri.path()) {
            let (caller, region) = (key.caller.clone(), self.config.regions.of(&signature.region));
            let call = SurfaceCall { body, caller, region, now };
            return surface::answer(surface.as_ref(), &key, call, request_id).await;
        }
        let Some(mounted) = route.mounted else {
            let text = format!("Roadstead has no service {name}: see {SUPPORT_PAGE}");
            return Err(unknown_operation(route.protocol, text));
        };
        let codec = codec(route.protocol);
        let request = incoming(parts, &body);
        let operation = codec.operation(mounted.schema, &request)?;
        let principal = Principal { caller: key.caller.clone(), may: key.may };
        let unknown = |text| unknown_operation(route.protocol, text);
        mounted.admit(&principal, operation).map_err(|refusal| refusal.into_error(unknown))?;
        let input = codec.input(operation, &request)?;
        let around = Around {
            request_id: request_id.to_owned(),
            region: self.config.regions.of(&signature.region),
            now,
            origin: Origin::of(&parts.headers),
        };
        let output = mounted.carry_out(&principal, operation, input, around).await?;
        codec.response(mounted.schema, operation, output, request_id)
    }

    /// The body, and the room that it takes.
    async fn read_body(
        &self,
        body: Body,
        limit: usize,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
        let too_long = || {
            let text = format!("The request's body is longer than {limit} bytes");
            Error::new("RequestEntityTooLargeException", 413, text)
        };
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

    fn upgrade_wanted(&self, request: &Request<Body>) -> Option<&Arc<dyn super::Upgrade>> {
        let upgrade = self.upgrade.as_ref()?;
        let path = request.uri().path();
        let below = |prefix: &String| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let wanted = request.headers().contains_key(UPGRADE) && self.config.upgrade_paths.iter().any(below);
        wanted.then_some(upgrade)
    }

    /// Authenticates a request for a web socket (signed for ECS, with an empty body) and hands it over.
    async fn hand_over(
        &self,
        upgrade: &Arc<dyn super::Upgrade>,
        parts: Parts,
        on_upgrade: hyper::upgrade::OnUpgrade,
        request_id: String,
        connection: &Connection,
    ) -> Response<Full<Bytes>> {
        let now = (self.config.clock)();
        let signature = Signature::read(&parts.headers, parts.uri.query().unwrap_or_default());
        let checked = async {
            let signature = signature?;
            let service = ecs_model::SERVICE.signing_name;
            let key = self.identify(&signature, &parts, connection, service, now).await?;
            self.verify(&key, &signature, &parts, b"", now)?;
            connection.place.is_right();
            Ok((self.config.regions.of(&signature.region), key))
        };
        match checked.await {
            Ok((region, key)) => {
                let caller = key.caller.clone();
                upgrade.upgrade(UpgradeCall { parts, on_upgrade, caller, request_id, region, now }).await
            }
            Err::<_, Refusal>(refusal) => {
                refused_upgrade(&Error::new("AccessDeniedException", 403, refusal.to_string()))
            }
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

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().extend(reply.headers);
    response
}

fn health() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("{\"status\":\"ok\"}"));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refused web socket, in the form that agents decode.
fn refused_upgrade(error: &Error) -> Response<Full<Bytes>> {
    let mut response =
        Response::new(Full::from(agent_protocol::acs::refusal("AccessDeniedException", error.message())));
    *response.status_mut() = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::FORBIDDEN);
    response
}
