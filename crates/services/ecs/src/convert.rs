//! From the types of the API to those that rows are made of, at the command, and back where something is
//! described. Here alone the two meet: a member that a new model brings does not compile until it is decided
//! whether it is stored, and one that it takes away is still read from the rows that have it.

mod capacity;
mod common;
mod container;
pub mod daemon;
mod definition;
mod instance;
mod linux;
mod service;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use wire::Timestamp;

/// What comes with a request, as it is stored. Nothing is copied.
pub trait Stored {
    /// The type in rows.
    type Row;

    /// Takes it in.
    fn stored(self) -> Self::Row;
}

/// What is stored, as the API shows it.
pub trait Shown {
    /// The type in the API.
    type Api;

    /// Shows it: each text is copied once.
    fn shown(&self) -> Self::Api;
}

/// What is the same on both sides.
macro_rules! same {
    ($($name:ty),+) => {
        $(impl Stored for $name {
            type Row = $name;

            fn stored(self) -> $name {
                self
            }
        }

        impl Shown for $name {
            type Api = $name;

            fn shown(&self) -> $name {
                self.clone()
            }
        })+
    };
}

same!(String, bool, i32, f64, Timestamp, BTreeMap<String, String>);

impl<A: Stored> Stored for Option<A> {
    type Row = Option<A::Row>;

    fn stored(self) -> Self::Row {
        self.map(A::stored)
    }
}

impl<A: Stored> Stored for Vec<A> {
    type Row = Vec<A::Row>;

    fn stored(self) -> Self::Row {
        self.into_iter().map(A::stored).collect()
    }
}

impl<R: Shown> Shown for Option<R> {
    type Api = Option<R::Api>;

    fn shown(&self) -> Self::Api {
        self.as_ref().map(R::shown)
    }
}

impl<R: Shown> Shown for Vec<R> {
    type Api = Vec<R::Api>;

    fn shown(&self) -> Self::Api {
        self.iter().map(R::shown).collect()
    }
}

/// A structure of one name on both sides, with all members of the API's: those that are `always` there once a
/// request has been checked and its defaults filled in, those that may be `given`, and those that are `never`
/// stored, as they are refused.
macro_rules! convert {
    ($name:ident:
        $(always $($always:ident),+;)?
        $(given $($given:ident),+;)?
        $(never $($never:ident),+;)?
    ) => {
        impl Stored for ecs::$name {
            type Row = $name;

            fn stored(self) -> $name {
                let ecs::$name { $($($always,)+)? $($($given,)+)? $($($never: _,)+)? } = self;
                $name {
                    $($($always: $always.unwrap_or_default().stored(),)+)?
                    $($($given: $given.stored(),)+)?
                }
            }
        }

        impl Shown for $name {
            type Api = ecs::$name;

            fn shown(&self) -> ecs::$name {
                ecs::$name {
                    $($($always: Some(self.$always.shown()),)+)?
                    $($($given: self.$given.shown(),)+)?
                    $($($never: None,)+)?
                }
            }
        }
    };
}

/// An enum of one name and the same words on both sides.
macro_rules! convert_enum {
    ($name:ident: $($word:ident),+) => {
        impl Stored for ecs::$name {
            type Row = $name;

            fn stored(self) -> $name {
                match self {
                    $(ecs::$name::$word => $name::$word,)+
                }
            }
        }

        impl Shown for $name {
            type Api = ecs::$name;

            fn shown(&self) -> ecs::$name {
                match self {
                    $($name::$word => ecs::$name::$word,)+
                }
            }
        }
    };
}

use {convert, convert_enum};
