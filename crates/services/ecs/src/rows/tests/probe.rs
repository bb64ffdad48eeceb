//! Reads a row as its type does, and writes down which members the type knows and which of them were there.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

type Members = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// The members of the structures that were read, and those of them that were never there.
#[derive(Default)]
pub struct Seen {
    known: RefCell<Members>,
    there: RefCell<Members>,
}

impl Seen {
    /// Reads a value as a `T`.
    pub fn read<T: DeserializeOwned>(&mut self, value: &Value) {
        T::deserialize(Probe { value, seen: self }).unwrap();
    }

    /// The members that no value had, by structure.
    pub fn missing(&self) -> Members {
        let mut missing = self.known.borrow().clone();
        for (structure, there) in self.there.borrow().iter() {
            missing.entry(structure).or_default().retain(|member| !there.contains(member));
        }
        missing.retain(|_, members| !members.is_empty());
        missing
    }
}

/// One value on its way.
#[derive(Clone, Copy)]
struct Probe<'a> {
    value: &'a Value,
    seen: &'a Seen,
}

impl<'de> IntoDeserializer<'de, Error> for Probe<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Probe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let on = |value| Probe { value, seen: self.seen };
        match self.value {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(on))),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), on(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let there = fields.iter().copied().filter(|field| self.value.get(field).is_some());
        self.seen.there.borrow_mut().entry(name).or_default().extend(there);
        self.seen.known.borrow_mut().entry(name).or_default().extend(fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}
