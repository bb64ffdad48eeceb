//! The envelope of the agent protocol: one JSON object `{"type":"<Name>","message":{…}}` in each text frame.
//! What the messages mean is in [`crate::acs`] and [`crate::tcs`].

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The frame is longer than [`MAX_FRAME`].
    #[error("the frame has {0} bytes, over the limit of {MAX_FRAME}")]
    TooLong(usize),
    /// The frame is no envelope.
    #[error("the frame is no envelope")]
    NoEnvelope(#[source] serde_json::Error),
    /// The message's members are not those of its type.
    #[error("{name} cannot be read")]
    BadMessage {
        /// The envelope's type.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A type that this side does not know; it is to be logged and skipped.
    #[error("the message type {0:?} is not known")]
    UnknownType(String),
}

/// The longest frame that is read, in bytes. The agent's own limit for metrics is 1 MiB.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    name: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// Splits a frame into the type and the message's text.
pub(crate) fn open(frame: &str) -> Result<(String, &str), EnvelopeError> {
    if frame.len() > MAX_FRAME {
        return Err(EnvelopeError::TooLong(frame.len()));
    }
    let envelope: Envelope = serde_json::from_str(frame).map_err(EnvelopeError::NoEnvelope)?;
    Ok((envelope.name, envelope.message.map_or("{}", RawValue::get)))
}

/// Reads a message's members.
pub(crate) fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, EnvelopeError> {
    serde_json::from_str(text).map_err(|source| EnvelopeError::BadMessage { name: name.to_owned(), source })
}

/// Writes an envelope.
pub(crate) fn close(name: &str, message: &impl serde::Serialize) -> String {
    let body = serde_json::to_string(message).expect("protocol messages have text keys and finite numbers");
    format!("{{\"type\":\"{name}\",\"message\":{body}}}")
}

/// Lists and maps that are `null` are empty.
pub(crate) fn null_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Messages that say something in words, and no more.
macro_rules! texts {
    ($($name:ident,)*) => {$(
        #[doc = concat!("`", stringify!($name), "`.")]
        #[derive(Debug, Clone, PartialEq, Default, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            #[serde(skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
        }
    )*};
}
pub(crate) use texts;

/// A message's `type`: its name, where none of ours is given.
macro_rules! type_of {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $ours:literal) => {
        $ours
    };
}
pub(crate) use type_of;

/// The enum of a socket's messages, with `encode`, `decode` and `From` for each. `as` gives a message a type that
/// is no name of Rust's: one that AWS's protocol does not have.
macro_rules! messages {
    ($($name:ident $(as $ours:literal)?,)*) => {
        /// Any message of this socket, in either direction.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, clippy::large_enum_variant)]
        pub enum Message { $($name($name),)* }

        impl Message {
            /// The `type` of the envelope.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => crate::envelope::type_of!($name $($ours)?),)* }
            }

            /// The text frame.
            pub fn encode(&self) -> String {
                match self { $(Self::$name(message) => crate::envelope::close(self.name(), message),)* }
            }

            /// Reads a text frame. Members that are not known are skipped; a type that is not known is
            /// [`EnvelopeError::UnknownType`](crate::EnvelopeError::UnknownType).
            pub fn decode(frame: &str) -> Result<Self, crate::EnvelopeError> {
                let (name, text) = crate::envelope::open(frame)?;
                match name.as_str() {
                    $(crate::envelope::type_of!($name $($ours)?) => {
                        crate::envelope::read(&name, text).map(Self::$name)
                    })*
                    _ => Err(crate::EnvelopeError::UnknownType(name)),
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Self::$name(message)
            }
        })*
    };
}
pub(crate) use messages;
