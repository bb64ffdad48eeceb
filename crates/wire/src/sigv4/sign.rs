//! Signing: what our own agent sends. Header signatures only.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};

use super::signature::{Place, Signature};
use super::{ALGORITHM, Rules, Signed, canonical, key};
use crate::{Timestamp, headers};

/// A key pair to sign with.
#[derive(Clone)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: String,
    /// The secret.
    pub secret: String,
    /// The session token, for keys that have one.
    pub token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Signs a request: adds `x-amz-date`, `x-amz-security-token` where the key has one, and `authorization` to
/// `headers`, replacing what was there. Covers `host` (which must be in `headers`), `content-type` and every
/// `x-amz-` header. `path` and `query` are as they will be sent.
pub fn sign(
    (method, path, query): (&str, &str, &str),
    headers: &mut HeaderMap,
    body: &[u8],
    credentials: &Credentials,
    (region, service): (&str, &str),
    now: Timestamp,
) -> Result<(), http::header::InvalidHeaderValue> {
    let time_text = now.to_amz_date();
    headers.insert(headers::DATE, HeaderValue::from_str(&time_text)?);
    if let Some(token) = &credentials.token {
        let mut value = HeaderValue::from_str(token)?;
        value.set_sensitive(true);
        headers.insert(headers::SECURITY_TOKEN, value);
    }
    let date = time_text[..8].to_owned();
    let credential = format!("{}/{date}/{region}/{service}/aws4_request", credentials.access_key);
    let mut signature = Signature {
        place: Place::Header,
        access_key: credentials.access_key.clone(),
        region: region.to_owned(),
        service: service.to_owned(),
        time: now,
        token: None,
        signed_headers: signed_headers(headers),
        value: [0; 32],
        credential,
        date,
        time_text,
    };
    let request = Signed { method, path, query, headers, body };
    let hash = canonical::payload_hash(body);
    let canonical = canonical::request(&signature, &request, &hash, Rules::default());
    let text = canonical::string_to_sign(&signature, &canonical);
    let key = key::derive(&credentials.secret, &signature.date, region, service);
    signature.value = key::hmac(&key, text.as_bytes());
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization(&signature))?);
    Ok(())
}

fn authorization(signature: &Signature) -> String {
    format!(
        "{ALGORITHM} Credential={}, SignedHeaders={}, Signature={}",
        signature.credential,
        signature.signed_headers,
        hex::encode(signature.value)
    )
}

fn signed_headers(headers: &HeaderMap) -> String {
    let mut names: Vec<&str> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| *name == HOST || *name == "content-type" || name.starts_with("x-amz-"))
        .collect();
    names.sort_unstable();
    names.join(";")
}
