//! What a target gets of an event: all of it, a part, a constant, or a template filled with parts.
//!
//! As <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html> and the members `Input`,
//! `InputPath` and `InputTransformer` of
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html> have it.

mod error;
mod path;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use error::Error;

use crate::text::{Members, compact};
use path::JsonPath;
use template::Template;

/// Characters of `Input`, and of `InputTemplate`, at most.
pub const TEXT_MAX: usize = 8192;
/// Bytes of what a template makes of an event, about, at most: it may name the event many times.
pub const RENDERED_MAX: usize = 256 * 1024;
/// Variables of an `InputPathsMap`, at most.
pub const VARIABLES_MAX: usize = 100;
/// Characters of a variable's name, and of a JSON path, at most.
pub const PATH_MAX: usize = 256;

/// The three members of a target of which it may have one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `Input`.
    pub input: Option<&'a str>,
    /// `InputPath`.
    pub input_path: Option<&'a str>,
    /// `InputTransformer`: `InputPathsMap`, which may be empty, and `InputTemplate`.
    pub input_transformer: Option<(&'a BTreeMap<String, String>, &'a str)>,
}

/// What a target gets, ready to be made for each event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input(Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Event,
    Constant(Arc<str>),
    Part(JsonPath),
    Template(Arc<Template>),
}

/// What templates may name that is not in the event.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rule's ARN.
    pub rule_arn: &'a str,
    /// The rule's name.
    pub rule_name: &'a str,
    /// When the event arrived, as ISO 8601 has it.
    pub ingestion_time: &'a str,
}

impl Input {
    /// Reads what PutTargets is given for the target of that id.
    ///
    /// # Errors
    ///
    /// What PutTargets answers with `ValidationException`.
    pub fn new(target: &str, wanted: Wanted<'_>) -> Result<Input, Error> {
        let target = || target.to_owned();
        Ok(Input(match (wanted.input, wanted.input_path, wanted.input_transformer) {
            (None, None, None) => Kind::Event,
            (Some(input), None, None) => {
                let is_json = serde_json::from_str::<serde::de::IgnoredAny>(input).is_ok();
                if !is_json || input.chars().count() > TEXT_MAX {
                    return Err(Error::Input(target()));
                }
                Kind::Constant(input.into())
            }
            (None, Some(path), None) => {
                Kind::Part(JsonPath::parse(path).ok_or_else(|| Error::InputPath(target()))?)
            }
            (None, None, Some((paths, template))) => {
                Kind::Template(Arc::new(Template::new(&target(), paths, template)?))
            }
            _ => return Err(Error::Several(target())),
        }))
    }

    /// What the target gets of an event, which is JSON text as [`envelope`](crate::envelope) makes it.
    ///
    /// A part that the event does not have is `null`, and in a template nothing: an empty text, or no text at all.
    /// A template stops once it has made more than [`RENDERED_MAX`] bytes: what is longer is not whole.
    pub fn of(&self, event: &str, context: &Context<'_>) -> String {
        match &self.0 {
            Kind::Event => event.to_owned(),
            Kind::Constant(text) => text.as_ref().to_owned(),
            Kind::Part(path) => path.get(event).unwrap_or_else(|| "null".to_owned()),
            Kind::Template(template) => template.fill(event, context),
        }
    }
}

/// The event as `<aws.events.event>` has it: without its detail, in an order of AWS's own, and with a name of its own
/// for the detail type.
fn without_detail(event: &str) -> String {
    const ORDER: [(&str, &str); 8] = [
        ("id", "id"),
        ("account", "account"),
        ("detail-type", "detailType"),
        ("time", "time"),
        ("source", "source"),
        ("region", "region"),
        ("resources", "resources"),
        ("version", "version"),
    ];
    let members = Members::of(event);
    let member = |(key, name): (&str, &str)| {
        let value = members.as_ref()?.get(key)?;
        Some(format!("\"{name}\":{}", compact(value)))
    };
    let members: Vec<String> = ORDER.into_iter().filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}
