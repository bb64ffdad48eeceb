//! Enums whose values are strings on the wire. The generated code gives names and values; all behaviour
//! is here, once.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Visitor};

/// An enum of the service models.
pub trait StringEnum: Sized + Copy + 'static {
    /// The enum's name in the model.
    const NAME: &'static str;
    /// Every value, in the model's order.
    const ALL: &'static [Self];
    /// The exact value on the wire.
    fn as_str(self) -> &'static str;
    /// The enum value of exactly that wire value.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == text)
    }
}

/// A text that is no value of the enum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {name}")]
pub struct UnknownValue {
    /// The enum's name.
    pub name: &'static str,
    /// What was found.
    pub text: String,
}

/// Reads a [`StringEnum`] from any serde format.
pub fn deserialize<'de, E: StringEnum, D: Deserializer<'de>>(deserializer: D) -> Result<E, D::Error> {
    struct Value<E>(PhantomData<E>);
    impl<E: StringEnum> Visitor<'_> for Value<E> {
        type Value = E;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a value of {}", E::NAME)
        }
        fn visit_str<F: serde::de::Error>(self, text: &str) -> Result<E, F> {
            E::parse(text).ok_or_else(|| F::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Value(PhantomData))
}

/// An enum of a model. `Default` is the first value of the model: it only fills a required member that is
/// missing, which validation has refused before any handler runs.
#[macro_export]
macro_rules! string_enum {
    ($name:ident { $first:ident = $first_text:literal, $($value:ident = $text:literal,)* }) => {
        #[doc = concat!("`", stringify!($name), "` of the model. `Default` is its first value, and only fills a gap that validation refuses.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[allow(missing_docs)]
        pub enum $name { #[default] $first, $($value,)* }

        impl $name {
            /// The exact value on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { Self::$first => $first_text, $(Self::$value => $text,)* }
            }
        }

        impl $crate::StringEnum for $name {
            const NAME: &'static str = stringify!($name);
            const ALL: &'static [Self] = &[Self::$first, $(Self::$value,)*];
            fn as_str(self) -> &'static str {
                $name::as_str(self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownValue;
            fn from_str(text: &str) -> Result<Self, $crate::UnknownValue> {
                let unknown = || $crate::UnknownValue { name: stringify!($name), text: text.to_owned() };
                <Self as $crate::StringEnum>::parse(text).ok_or_else(unknown)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::string_enum::deserialize(deserializer)
            }
        }
    };
}
