//! How hosts join: an operator's tokens ([`Tokens`]), and the one place where one is traded for an agent's key ([`Desk`]). Nobody
//! signs there, so it takes little, of few at a time and of each source seldom, over TLS alone. Must not register anything:
//! that is the agent's, with the key that it gets.

mod tokens;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_protocol::join::{self, Granted, Reason, Refused, Trade};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wire::Timestamp;

use crate::{
    front_door::{Knock, OpenDoor, ReplyBody},
    keys::OperatorKeys,
    tls::Tls,
};

pub use tokens::{Error, Fate, Listed, Made, Tokens, Wish};

/// Bytes of a trade.
const BODY: usize = 4096;
/// Trades at a time.
const AT_ONCE: usize = 8;
/// Trades of one source in a [`WINDOW`].
const OF_ONE: u32 = 30;
/// How long a source is counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Sources that are counted.
const SOURCES: usize = 4096;

/// Where a token is traded.
pub struct Desk {
    tokens: Tokens,
    keys: OperatorKeys,
    tls: Arc<Tls>,
    /// For tokens that name none.
    cluster: String,
    clock: fn() -> Timestamp,
    room: Arc<Semaphore>,
    sources: Mutex<Sources>,
}

/// How often each source has been here lately.
#[derive(Default)]
struct Sources {
    counts: HashMap<IpAddr, u32>,
    since: Option<Instant>,
}

impl Desk {
    /// Trades these tokens for keys that an operator could have made; who joins is to trust the CAs of `tls`, and goes into
    /// `cluster` where its token names none.
    pub fn new(
        tokens: Tokens,
        keys: OperatorKeys,
        tls: Arc<Tls>,
        cluster: &str,
        clock: fn() -> Timestamp,
    ) -> Desk {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Desk { tokens, keys, tls, cluster: cluster.to_owned(), clock, room, sources: Mutex::default() }
    }

    async fn trade(&self, knock: Knock) -> Result<Granted, Refused> {
        if !knock.tls {
            return Err(refused(Reason::Malformed, "a token is traded over TLS alone"));
        }
        if !self.sources.lock().admits(knock.from, Instant::now()) {
            return Err(refused(Reason::Busy, "too many tries; wait a minute"));
        }
        let Ok(_room) = self.room.try_acquire() else {
            return Err(refused(Reason::Busy, "too many hosts join at this moment; try again"));
        };
        // Without the parser's words: they may quote a secret.
        let trade: Trade = serde_json::from_slice(&knock.body)
            .map_err(|_| refused(Reason::Malformed, "this is no trade"))?;
        let (tokens, keys, now) = (self.tokens.clone(), self.keys.clone(), (self.clock)());
        let trust = self.tls.bundle().to_header();
        let id = trade.id.clone();
        let traded = tokio::task::spawn_blocking(move || {
            let (row, access_key) =
                tokens.trade(&trade, |account| keys.create(account, now).access_key, now)?;
            let pair = keys.pair(&access_key);
            Ok((row, pair))
        });
        let failed = || refused(Reason::Failed, "the control plane could not trade the token; try again");
        let (row, pair) = traded.await.map_err(|_| failed())??;
        tracing::info!(token = id, from = %knock.from, access_key = pair.access_key, "a host joins");
        Ok(Granted {
            access_key_id: pair.access_key,
            secret_access_key: pair.secret,
            region: row.region,
            cluster: row.cluster.unwrap_or_else(|| self.cluster.clone()),
            trust,
        })
    }
}

#[async_trait]
impl OpenDoor for Desk {
    fn path(&self) -> &str {
        join::PATH
    }

    fn body_bytes(&self) -> usize {
        BODY
    }

    async fn answer(&self, knock: Knock) -> Response<ReplyBody> {
        let from = knock.from;
        let (status, json) = match self.trade(knock).await {
            Ok(granted) => (StatusCode::OK, serde_json::to_vec(&granted)),
            Err(refused) => {
                tracing::warn!(%from, reason = ?refused.error, "a host was not let in: {refused}");
                (status(refused.error), serde_json::to_vec(&refused))
            }
        };
        // Texts always are JSON.
        let mut response = Response::new(ReplyBody::from(Bytes::from(json.unwrap_or_default())));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl Sources {
    /// Counts a try, and says whether it is one too many. Where there are more sources than can be counted, those that
    /// are new wait for the next minute.
    fn admits(&mut self, from: IpAddr, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.counts.clear();
        }
        let room = self.counts.len() < SOURCES;
        // Whoever has one address of IPv6 has very many: the network counts.
        match self.counts.get_mut(&network(from)) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= OF_ONE
            }
            None if room => {
                self.counts.insert(network(from), 1);
                true
            }
            None => false,
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Malformed => StatusCode::BAD_REQUEST,
        Reason::Unknown | Reason::Expired | Reason::Revoked | Reason::Used => StatusCode::FORBIDDEN,
        Reason::Clock => StatusCode::CONFLICT,
        Reason::Busy => StatusCode::TOO_MANY_REQUESTS,
        Reason::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(error: Reason, message: &str) -> Refused {
    Refused { error, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_counted_by_the_minute() {
        let mut sources = Sources::default();
        let now = Instant::now();
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        assert!((0..OF_ONE).all(|_| sources.admits(one, now)));
        assert!(!sources.admits("2001:db8::2".parse().unwrap(), now), "the same network");
        assert!(sources.admits("2001:db8:0:1::2".parse().unwrap(), now));
        assert!(sources.admits(one, now + WINDOW));
        let many = (0..2 * SOURCES as u32).filter(|n| sources.admits(IpAddr::V4((*n).into()), now + WINDOW));
        assert_eq!(many.count(), SOURCES - 1);
    }
}
