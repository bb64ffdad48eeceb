//! A signature taken apart: from the `Authorization` header or from the query of a presigned URL.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName};

use super::{ALGORITHM, MAX_EXPIRES_S, MAX_SKEW_MS, Refusal};
use crate::{Timestamp, headers};

/// Where the signature stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the `Authorization` header.
    Header,
    /// In the query; valid for that many seconds.
    Query {
        /// `X-Amz-Expires`.
        expires: u32,
    },
}

/// What a request says it was signed with. Nothing of it is proven until it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Where it stood.
    pub place: Place,
    /// The access key's id.
    pub access_key: String,
    /// `YYYYMMDD` of the credential scope.
    pub date: String,
    /// The region of the credential scope.
    pub region: String,
    /// The service of the credential scope.
    pub service: String,
    /// When it was signed.
    pub time: Timestamp,
    /// The session token, where one was sent.
    pub token: Option<String>,
    /// The whole credential, as sent: access key and scope.
    pub(crate) credential: String,
    /// The names of the signed headers, in small letters, as sent (joined by `;`).
    pub(crate) signed_headers: String,
    /// The time as sent.
    pub(crate) time_text: String,
    /// The signature itself.
    pub(crate) value: [u8; 32],
}

/// The parts before the credential is split.
#[derive(Default)]
struct Parts<'a> {
    credential: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
}

impl Signature {
    /// Reads the signature of a request. [`Refusal::Missing`] when there is none.
    pub fn read(sent: &HeaderMap, query: &str) -> Result<Self, Refusal> {
        let mut all = sent.get_all(AUTHORIZATION).iter();
        match (all.next(), all.next()) {
            (Some(_), Some(_)) => {
                Err(Refusal::Incomplete("The request has more than one Authorization header".into()))
            }
            (Some(value), None) => {
                let text = value
                    .to_str()
                    .map_err(|_| Refusal::Incomplete("The Authorization header is not plain text".into()))?;
                Self::from_header(sent, text)
            }
            (None, _) if query.contains("X-Amz-") => Self::from_query(query),
            (None, _) => Err(Refusal::Missing),
        }
    }

    /// The credential scope, without the access key.
    pub(crate) fn scope(&self) -> &str {
        self.credential.get(self.access_key.len() + 1..).unwrap_or_default()
    }

    /// Whether the signature's time is near enough to `now`, in AWS's words if not.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let age = now.millis_since(self.time);
        if age < -MAX_SKEW_MS {
            let latest = now.plus_millis(MAX_SKEW_MS).to_amz_date();
            return Err(Refusal::Invalid(format!(
                "Signature not yet current: {} is still later than {latest} ({} + 5 min.)",
                self.time_text,
                now.to_amz_date()
            )));
        }
        let limit = match self.place {
            Place::Header => MAX_SKEW_MS,
            Place::Query { expires } => i64::from(expires) * 1000,
        };
        if age <= limit {
            return Ok(());
        }
        let earliest = now.plus_millis(-limit).to_amz_date();
        let limit = match self.place {
            Place::Header => "5 min.".to_owned(),
            Place::Query { expires } => format!("{expires} sec."),
        };
        Err(Refusal::Invalid(format!(
            "Signature expired: {} is now earlier than {earliest} ({} - {limit})",
            self.time_text,
            now.to_amz_date()
        )))
    }

    /// Refuses a request with a header that tells what is asked for and that the signature does not cover: whoever
    /// saw the request go by could have put it there. As on AWS that is every `x-amz-` header, of presigned
    /// requests too. What `x-amz-content-sha256` says is part of what is signed, whether or not it is listed.
    pub fn check_covered(&self, sent: &HeaderMap) -> Result<(), Refusal> {
        for name in sent.keys().map(HeaderName::as_str) {
            if name.starts_with("x-amz-") && name != headers::CONTENT_SHA256 && !self.is_signed(name) {
                let text = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
                return Err(Refusal::Invalid(text));
            }
        }
        // Signed or not, two of them may mean one thing here and another elsewhere.
        for name in [&headers::TARGET, &headers::CONTENT_SHA256, &CONTENT_TYPE] {
            one_header(sent, name)?;
        }
        Ok(())
    }

    /// Whether the signature covers the headers of that name.
    fn is_signed(&self, name: &str) -> bool {
        is_listed(&self.signed_headers, name)
    }

    fn from_header(sent: &HeaderMap, text: &str) -> Result<Self, Refusal> {
        let (algorithm, fields) = text.split_once(' ').unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(Refusal::Incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(algorithm))));
        }
        let mut parts = Parts::default();
        for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(Refusal::Incomplete(format!(
                    "'{}' not a valid key=value pair (missing equal-sign) in Authorization header.",
                    shown(field)
                )));
            };
            match name {
                "Credential" => parts.credential = Some(value.into()),
                "SignedHeaders" => parts.signed_headers = Some(value.into()),
                "Signature" => parts.signature = Some(value.into()),
                _ => {}
            }
        }
        parts.time = one_header(sent, &headers::DATE)?.map(Cow::from);
        parts.token = one_header(sent, &headers::SECURITY_TOKEN)?.map(Cow::from);
        let date = one_header(sent, &DATE)?.and_then(http_date);
        if parts.time.is_none() {
            parts.time = date.map(|time| Cow::from(time.to_amz_date()));
        }
        missing(&[
            (parts.credential.is_none(), "Authorization header requires 'Credential' parameter."),
            (parts.signature.is_none(), "Authorization header requires 'Signature' parameter."),
            (parts.signed_headers.is_none(), "Authorization header requires 'SignedHeaders' parameter."),
            (
                parts.time.is_none(),
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
            ),
        ])?;
        Self::build(parts, Place::Header)
    }

    fn from_query(query: &str) -> Result<Self, Refusal> {
        let mut parts = Parts::default();
        let mut algorithm = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let part = match name.as_ref() {
                "X-Amz-Algorithm" => &mut algorithm,
                "X-Amz-Credential" => &mut parts.credential,
                "X-Amz-SignedHeaders" => &mut parts.signed_headers,
                "X-Amz-Signature" => &mut parts.signature,
                "X-Amz-Date" => &mut parts.time,
                "X-Amz-Security-Token" => &mut parts.token,
                "X-Amz-Expires" => &mut parts.expires,
                _ => continue,
            };
            if part.replace(value).is_some() {
                return Err(Refusal::Incomplete(format!(
                    "The query-string parameter '{name}' is given twice."
                )));
            }
        }
        match algorithm {
            None => return Err(Refusal::Missing),
            Some(algorithm) if algorithm != ALGORITHM => {
                return Err(Refusal::Incomplete(format!(
                    "Unsupported AWS 'algorithm': '{}'.",
                    shown(&algorithm)
                )));
            }
            Some(_) => {}
        }
        missing(&[
            (parts.credential.is_none(), "AWS query-string parameters must include 'X-Amz-Credential'."),
            (parts.signature.is_none(), "AWS query-string parameters must include 'X-Amz-Signature'."),
            (
                parts.signed_headers.is_none(),
                "AWS query-string parameters must include 'X-Amz-SignedHeaders'.",
            ),
            (parts.time.is_none(), "AWS query-string parameters must include 'X-Amz-Date'."),
        ])?;
        let expires = match parts.expires.as_deref() {
            // Services other than S3 presign without it; the skew is then the life.
            None => (MAX_SKEW_MS / 1000) as u32,
            Some(text) => match text.parse::<u32>() {
                Ok(seconds) if (1..=MAX_EXPIRES_S).contains(&seconds) => seconds,
                _ => {
                    return Err(Refusal::Incomplete(
                        "X-Amz-Expires must be a number between 1 and 604800 seconds".into(),
                    ));
                }
            },
        };
        Self::build(parts, Place::Query { expires })
    }

    fn build(parts: Parts, place: Place) -> Result<Self, Refusal> {
        let credential = parts.credential.unwrap_or_default().into_owned();
        let time_text = parts.time.unwrap_or_default().into_owned();
        let signed_headers = parts.signed_headers.unwrap_or_default().into_owned();
        // An access key may hold slashes in theory; the scope never does.
        let mut fields = credential.rsplitn(5, '/');
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Refusal::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, \
                 got '{}'",
                shown(&credential)
            )));
        };
        let Some(time) = Timestamp::parse_amz_date(&time_text) else {
            return Err(Refusal::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                shown(&time_text)
            )));
        };
        if time_text.get(..8) != Some(date) {
            return Err(Refusal::Invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{}', from '{time_text}'.",
                shown(date),
                time_text.get(..8).unwrap_or_default()
            )));
        }
        if !is_listed(&signed_headers, "host") {
            let text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Refusal::Invalid(text.into()));
        }
        let mut value = [0; 32];
        if hex::decode_to_slice(parts.signature.unwrap_or_default().as_bytes(), &mut value).is_err() {
            return Err(Refusal::DoesNotMatch);
        }
        Ok(Self {
            place,
            access_key: access_key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time,
            token: parts.token.map(Cow::into_owned),
            signed_headers,
            time_text,
            value,
            credential,
        })
    }
}

/// Whether a list joined by `;` has this name. As bytes: such lists are short, and every request has some looked up.
fn is_listed(list: &str, name: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b';').any(|listed| listed == name.as_bytes())
}

/// A header that may stand there once only.
fn one_header<'a>(sent: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut all = sent.get_all(name).iter();
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(Refusal::Incomplete(format!("The request has more than one {name} header"))),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| Refusal::Incomplete(format!("The {name} header is not plain text"))),
        (None, None) => Ok(None),
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    if let Some(time) = Timestamp::parse_amz_date(text) {
        return Some(time);
    }
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp(time.timestamp().as_millisecond()))
}

fn missing(parts: &[(bool, &str)]) -> Result<(), Refusal> {
    let told: Vec<&str> = parts.iter().filter(|(missing, _)| *missing).map(|(_, text)| *text).collect();
    if told.is_empty() { Ok(()) } else { Err(Refusal::Incomplete(told.join(" "))) }
}

/// Client text in a message, cut.
fn shown(text: &str) -> &str {
    text.char_indices().nth(128).map_or(text, |(end, _)| &text[..end])
}
