//! Events as rules and targets see them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::text::Members;

/// An event: what was sent, and what EventBridge puts around it. Its members are in this order in the JSON.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// A UUID.
    pub id: &'a str,
    /// What kind of event it is.
    pub detail_type: &'a str,
    /// Who sent it.
    pub source: &'a str,
    /// The sender's account.
    pub account: &'a str,
    /// Seconds since 1970: of the entry, else of the call.
    pub time: i64,
    /// Where it was sent.
    pub region: &'a str,
    /// ARNs of what it is about.
    pub resources: &'a [String],
    /// A JSON object.
    pub detail: &'a str,
}

/// A time that is none of years -9999 to 9999, or a detail that is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Parameter Time is not valid.")]
pub struct OutOfRange;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Json<'a> {
    version: &'static str,
    id: &'a str,
    detail_type: &'a str,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: &'a [String],
    detail: &'a RawValue,
}

impl Envelope<'_> {
    /// The event's JSON, in one line if the detail is.
    ///
    /// # Errors
    ///
    /// See [`OutOfRange`].
    pub fn to_json(&self) -> Result<String, OutOfRange> {
        let event = Json {
            version: "0",
            id: self.id,
            detail_type: self.detail_type,
            source: self.source,
            account: self.account,
            time: Timestamp::from_second(self.time).map_err(|_| OutOfRange)?.to_string(),
            region: self.region,
            resources: self.resources,
            detail: serde_json::from_str(self.detail).map_err(|_| OutOfRange)?,
        };
        serde_json::to_string(&event).map_err(|_| OutOfRange)
    }
}

/// Whether a text is an event that TestEventPattern takes: it says `Parameter Event is not valid.` of others. The guide
/// names `resources` too among what must be there; AWS was seen to do without.
pub fn is_event(text: &str) -> bool {
    let wanted = ["id", "account", "source", "time", "region", "detail-type"];
    Members::of(text).is_some_and(|members| wanted.iter().all(|key| members.get(key).is_some()))
}
