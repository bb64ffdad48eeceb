//! The upgrade of an HTTP request to a web socket, and its refusals in the form that agents decode.

use agent_protocol::{
    acs::{self, Connect},
    join::TRUST,
};
use async_trait::async_trait;
use http::{HeaderMap, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{ACS_PATH, AgentLink, Frames, Limits, Refusal, RefusalKind, TCS_PATH, acs_session, tcs_session};
use crate::{
    front_door::{Origin, ReplyBody, Site, Surface, SurfaceCall},
    gate::Caller,
    runtime::Place,
    world,
};

/// A web socket to an agent.
type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

#[async_trait]
impl Surface for AgentLink {
    fn sites(&self) -> Vec<Site> {
        vec![Site::Path("/acs"), Site::Path("/tcs")]
    }

    fn signed_for(&self) -> &str {
        ecs_model::SERVICE.signing_name
    }

    /// Agents too; which container instance a caller speaks for, [`Assignments::identify`](super::Assignments) says.
    fn admits(&self, _: &Caller) -> Result<(), wire::Error> {
        Ok(())
    }

    fn refused(&self, error: &wire::Error, _: &str) -> Response<ReplyBody> {
        let kind = if error.is_sender_fault() { RefusalKind::AccessDenied } else { RefusalKind::Server };
        refused(&Refusal { kind, message: error.message().to_owned() })
    }

    async fn handle(&self, call: SurfaceCall) -> Response<ReplyBody> {
        let connect = Connect::parse(call.parts.uri.query().unwrap_or_default());
        let place = (call.caller.account.clone(), call.region.clone());
        let key = accept_key(&call.parts.headers).and_then(|key| {
            let upgrade = call.upgrade.ok_or_else(|| bad_request("not an upgrade".into()))?;
            Ok((key, upgrade))
        });
        let answer = match (key, call.parts.uri.path()) {
            (Err(refusal), _) => Err(refusal),
            (Ok((key, upgrade)), ACS_PATH) => {
                let origin = Origin::of(&call.parts).to_string();
                let socket = socket(upgrade, self.limits.clone());
                self.acs(connect, &call.caller, &place, &origin, socket).await.map(|()| key)
            }
            (Ok((key, upgrade)), TCS_PATH) => {
                let socket = socket(upgrade, self.limits.clone());
                self.tcs(connect, &call.caller, &place, socket).await.map(|()| key)
            }
            (Ok(_), path) => Err(bad_request(format!("there is no web socket at {path}"))),
        };
        let trust = self.tls.as_ref().map(|tls| tls.bundle().to_header());
        answer.map_or_else(|refusal| refused(&refusal), |key| switching(&key, trust))
    }

    /// Ends every session with its close code. Agents connect again by themselves.
    async fn close(&self) {
        self.acs.close();
        self.tcs.close();
        self.sessions.close();
        self.sessions.wait().await;
    }
}

impl AgentLink {
    /// Begins the ACS session of whoever calls, over a socket that comes about once this has answered.
    ///
    /// # Errors
    /// What the caller is refused with.
    pub async fn acs<S: Frames>(
        &self,
        connect: Connect,
        caller: &Caller,
        place: &Place,
        origin: &str,
        socket: impl Future<Output = Option<S>> + Send + 'static,
    ) -> Result<(), Refusal> {
        named(&connect)?;
        let seat = self.acs.take(&self.assignments.identify(&connect, caller, place)?).await?;
        let session = self.assignments.connect(connect, place, origin).await?;
        let limits = self.limits.clone();
        world::spawn(self.sessions.track_future(async move {
            match socket.await {
                Some(socket) => acs_session::serve(socket, session, &limits, seat.end()).await,
                None => drop(session),
            }
            // Last: the next session may only begin once this one is gone.
            drop(seat);
        }));
        Ok(())
    }

    /// Begins a TCS session, likewise.
    ///
    /// # Errors
    /// What the caller is refused with.
    pub async fn tcs<S: Frames>(
        &self,
        connect: Connect,
        caller: &Caller,
        place: &Place,
        socket: impl Future<Output = Option<S>> + Send + 'static,
    ) -> Result<(), Refusal> {
        named(&connect)?;
        let seat = self.tcs.take(&self.assignments.identify(&connect, caller, place)?).await?;
        let telemetry = self.assignments.telemetry(connect, place).await?;
        let limits = self.limits.clone();
        world::spawn(self.sessions.track_future(async move {
            if let Some(socket) = socket.await {
                tcs_session::serve(socket, telemetry, &limits, seat.end()).await;
            }
            drop(seat);
        }));
        Ok(())
    }
}

fn named(connect: &Connect) -> Result<(), Refusal> {
    if connect.container_instance.is_empty() {
        return Err(bad_request("the container instance is not named".into()));
    }
    Ok(())
}

fn bad_request(message: String) -> Refusal {
    Refusal { kind: RefusalKind::BadRequest, message }
}

/// Checks the upgrade's headers and answers the key to accept it with.
fn accept_key(headers: &HeaderMap) -> Result<String, Refusal> {
    let has = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name);
        values
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| v.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(bad_request("not an upgrade to a web socket".into()));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(bad_request("the web socket's version is not 13".into()));
    }
    let key =
        headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| bad_request("no Sec-WebSocket-Key".into()))?;
    Ok(derive_accept_key(key.as_bytes()))
}

/// Waits for `101` to be sent, then speaks web socket.
async fn socket(on_upgrade: hyper::upgrade::OnUpgrade, limits: Limits) -> Option<Socket> {
    let upgraded = tokio::time::timeout(limits.send_timeout, on_upgrade).await;
    let upgraded = match upgraded {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an agent's web socket did not come about");
            return None;
        }
        Err(_) => return None,
    };
    let config = Some(limits.sockets());
    Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, config).await)
}

fn switching(key: &str, trust: Option<String>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Ok(value) = header::HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    if let Some(value) = trust.and_then(|trust| header::HeaderValue::from_str(&trust).ok()) {
        headers.insert(TRUST, value);
    }
    response
}

/// A refusal by one of the names that agents know.
fn refused(refusal: &Refusal) -> Response<ReplyBody> {
    tracing::info!(%refusal, "an agent's web socket was refused");
    let body = acs::refusal(refusal.kind.as_str(), &refusal.message);
    let mut response = Response::new(ReplyBody::from(bytes::Bytes::from(body)));
    *response.status_mut() = refusal.kind.status();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
