//! How this host joins: it looks whether the control plane is the one that the token names, and trades the token for a key and
//! all else that it needs, which it keeps. Registers nothing: that is the agent's first step, as ever.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_protocol::join::{self as protocol, Bundle, Granted, Reason, Refused, Token, Trade};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use crate::{api, dial, trust};

/// What this host got, in the agent's folder.
const FILE: &str = "joined.json";
/// The number that it says until it has an answer, in the agent's folder.
const CLAIM: &str = "joining.json";
/// Longest answer that is read.
const MAX_ANSWER: usize = 128 * 1024;
/// Whole round trip, once there is a connection.
const ROUND_TRIP: Duration = Duration::from_secs(30);

/// Why a host did not join. All is as it was then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane said no.
    #[error("{0}")]
    Refused(Refused),
    /// Nothing was heard of it, or nothing that can be read.
    #[error("{endpoint}: {what}")]
    Transport { endpoint: String, what: String },
    #[error(transparent)]
    Kept(#[from] trust::Error),
    #[error("{0}: it cannot be read: put a copy in its place, or move it away and join with a new token")]
    Damaged(PathBuf),
}

impl Error {
    /// What the control plane said no for.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Error::Refused(refused) => Some(refused.error),
            _ => None,
        }
    }
}

/// What a host keeps of having joined.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    v: u32,
    /// The id of the token that it joined with.
    pub token: String,
    /// The control plane, `https://host:port`.
    pub endpoint: String,
    pub region: String,
    /// The cluster that it was told to register into.
    pub cluster: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

#[derive(Serialize, Deserialize)]
struct Claim {
    token: String,
    claim: String,
}

/// What is kept in the agent's folder, if this host has joined.
///
/// # Errors
/// Where it cannot be read.
pub fn joined(dir: &Path) -> Result<Option<Joined>, Error> {
    let path = dir.join(FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(trust::Error::File { path, source }.into()),
        // Without the parser's words: they may quote the key.
        Ok(bytes) => match serde_json::from_slice::<Joined>(&bytes) {
            Ok(joined) if joined.v == 1 => Ok(Some(joined)),
            _ => Err(Error::Damaged(path)),
        },
    }
}

/// Where the CAs are that a host trusts which has joined.
pub fn trusted(dir: &Path) -> PathBuf {
    dir.join(trust::FILE)
}

/// Trades a token, and keeps what it was good for in the agent's folder. An answer that is lost costs nothing: the next attempt
/// with the same folder gets the same.
///
/// # Errors
/// Why not; what was kept before is as it was.
pub async fn join(dir: &Path, token: &Token) -> Result<Joined, Error> {
    let claim = claim(dir, &token.id)?;
    let granted = trade(token, claim).await?;
    let unreadable =
        |what: &str| Error::Transport { endpoint: token.endpoint.clone(), what: what.to_owned() };
    let bundle =
        Bundle::from_header(&granted.trust).map_err(|_| unreadable("it tells no CAs that can be read"))?;
    let joined = Joined {
        v: 1,
        token: token.id.clone(),
        endpoint: token.endpoint.clone(),
        region: granted.region,
        cluster: granted.cluster,
        access_key_id: granted.access_key_id,
        secret_access_key: granted.secret_access_key,
    };
    // With the second file it has joined. Texts always are JSON.
    trust::write_whole(&trusted(dir), bundle.to_pem().as_bytes())?;
    trust::write_whole(&dir.join(FILE), &serde_json::to_vec_pretty(&joined).unwrap_or_default())?;
    // It is good for nothing any more.
    let _ = fs::remove_file(dir.join(CLAIM));
    Ok(joined)
}

/// This host's number for a token: on disk before anybody hears it.
fn claim(dir: &Path, token: &str) -> Result<String, Error> {
    let path = dir.join(CLAIM);
    let before = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Claim>(&bytes).ok());
    if let Some(before) = before.filter(|before| before.token == token) {
        return Ok(before.claim);
    }
    let claim = Claim { token: token.to_owned(), claim: uuid::Uuid::new_v4().simple().to_string() };
    trust::write_whole(&path, &serde_json::to_vec(&claim).unwrap_or_default())?;
    Ok(claim.claim)
}

async fn trade(token: &Token, claim: String) -> Result<Granted, Error> {
    let failed = |what: String| Error::Transport { endpoint: token.endpoint.clone(), what };
    let uri: Uri = format!("{}{}", token.endpoint.trim_end_matches('/'), protocol::PATH)
        .parse()
        .map_err(|_| failed("this is no URL".to_owned()))?;
    let config = trust::pinned(&token.authorities)?;
    let stream = dial::dial_with(&uri, config).await.map_err(|error| failed(error.to_string()))?;
    let trade = Trade { id: token.id.clone(), secret: token.secret.clone(), claim, now: api::now().0 };
    let body = serde_json::to_vec(&trade).unwrap_or_default();
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Whoever waits for the answer hears of its end.
        let connection = tokio::spawn(connection);
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let request = Request::post(protocol::PATH)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        let answer = match request {
            Ok(request) => sender.send_request(request).await?,
            Err(_) => return Ok(None),
        };
        let (status, body) = (answer.status(), Limited::new(answer.into_body(), MAX_ANSWER).collect().await);
        connection.abort();
        Ok::<_, hyper::Error>(Some((status, body.map(|body| body.to_bytes()))))
    };
    let answer = tokio::time::timeout(ROUND_TRIP, exchange).await;
    let answer = answer.map_err(|_| failed("no answer in time".to_owned()))?;
    match answer.map_err(|error| failed(error.to_string()))? {
        Some((StatusCode::OK, Ok(body))) => {
            serde_json::from_slice(&body).map_err(|_| failed("its answer cannot be read".to_owned()))
        }
        Some((status, Ok(body))) => Err(match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => Error::Refused(refused),
            Err(_) => failed(format!("{status}: no host can join there")),
        }),
        _ => Err(failed("its answer cannot be read".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_stays_until_there_is_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("agent");
        let first = claim(&dir, "a").unwrap();
        assert_eq!(claim(&dir, "a").unwrap(), first);
        assert_ne!(claim(&dir, "b").unwrap(), first);
        assert!(joined(&dir).unwrap().is_none());
        fs::write(dir.join(FILE), "{\"secret_access_key\":\"hidden\"").unwrap();
        let error = joined(&dir).err().unwrap().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
}
