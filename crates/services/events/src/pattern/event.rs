//! An event, as far as patterns look at it: its leaves by path, and which elements of arrays they lie in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::number::Number;
use super::paths::{PathId, Place};

/// A leaf's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'e> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'e, str>),
}

/// A leaf whose path some pattern names.
#[derive(Debug)]
pub(super) struct Item<'e> {
    pub(super) path: PathId,
    pub(super) value: Value<'e>,
    /// The innermost element of an array that it lies below; see [`Event::elements`].
    pub(super) element: usize,
}

/// An object or an array that is an element of an array. What is below it is below no other.
#[derive(Debug)]
pub(super) struct Element {
    /// The element around it.
    pub(super) parent: usize,
    /// How many keys lead to its array.
    pub(super) depth: usize,
    /// Which items lie below it, in the order of the event.
    pub(super) first: usize,
    pub(super) end: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Event<'e> {
    /// In the order of the event.
    pub(super) items: Vec<Item<'e>>,
    /// The first stands for the event itself.
    pub(super) elements: Vec<Element>,
    /// The items' places, by their path and then in order.
    pub(super) by_path: Vec<(PathId, usize)>,
}

impl<'e> Event<'e> {
    /// Reads what the places below `root` name.
    ///
    /// # Errors
    ///
    /// As the deserializer says; and if the event is no object.
    pub(super) fn read<D: Deserializer<'e>>(deserializer: D, root: &Place) -> Result<Event<'e>, D::Error> {
        let whole = Element { parent: 0, depth: 0, first: 0, end: 0 };
        let mut event = Event { items: Vec::new(), elements: vec![whole], by_path: Vec::new() };
        deserializer.deserialize_map(Inside {
            event: &mut event,
            place: root,
            element: 0,
            of_array: false,
        })?;
        event.elements[0].end = event.items.len();
        event.by_path = event.items.iter().enumerate().map(|(at, item)| (item.path, at)).collect();
        event.by_path.sort_unstable();
        Ok(event)
    }

    /// The items at a path, as places in `items`, in order.
    pub(super) fn at(&self, path: PathId) -> &[(PathId, usize)] {
        let first = self.by_path.partition_point(|(other, _)| *other < path);
        let rest = &self.by_path[first..];
        &rest[..rest.partition_point(|(other, _)| *other == path)]
    }

    /// Whether the path has a leaf in every element: one that is below no array.
    pub(super) fn is_surely_at(&self, path: PathId) -> bool {
        self.at(path).iter().any(|(_, at)| self.items[*at].element == 0)
    }

    /// Whether array consistency is a question at all.
    pub(super) fn has_elements(&self) -> bool {
        self.elements.len() > 1
    }
}

/// Reads a value at a place.
struct Inside<'a, 'e> {
    event: &'a mut Event<'e>,
    place: &'a Place,
    element: usize,
    /// Whether the value is an element of an array.
    of_array: bool,
}

impl<'e> Inside<'_, 'e> {
    fn item<E>(self, value: Value<'e>) -> Result<(), E> {
        if let Some(path) = self.place.id() {
            self.event.items.push(Item { path, value, element: self.element });
        }
        Ok(())
    }

    /// The element that what is inside this value lies in.
    fn enter(&mut self) -> usize {
        if !self.of_array {
            return self.element;
        }
        let first = self.event.items.len();
        let depth = self.place.depth();
        self.event.elements.push(Element { parent: self.element, depth, first, end: first });
        self.event.elements.len() - 1
    }

    fn leave(&mut self, element: usize) {
        if self.of_array {
            self.event.elements[element].end = self.event.items.len();
        }
    }
}

impl<'e> DeserializeSeed<'e> for Inside<'_, 'e> {
    type Value = ();

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'e> Visitor<'e> for Inside<'_, 'e> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'e>>(mut self, mut map: A) -> Result<(), A::Error> {
        let element = self.enter();
        while let Some(place) = map.next_key_seed(Key(self.place))? {
            match place {
                Some(place) => {
                    map.next_value_seed(Inside { event: &mut *self.event, place, element, of_array: false })?
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.leave(element);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'e>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let element = self.enter();
        let place = self.place;
        while seq
            .next_element_seed(Inside { event: &mut *self.event, place, element, of_array: true })?
            .is_some()
        {}
        self.leave(element);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.item(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.item(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.item(Value::Number(Number::unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.item(Value::Number(Number::signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.item(Value::Number(Number::double(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'e str) -> Result<(), E> {
        self.item(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        // What no pattern names is not copied.
        if self.place.id().is_some() { self.item(Value::Text(Cow::Owned(value.to_owned()))) } else { Ok(()) }
    }
}

/// Reads a key to the place it leads to.
struct Key<'a>(&'a Place);

impl<'e, 'a> DeserializeSeed<'e> for Key<'a> {
    type Value = Option<&'a Place>;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.below(key))
    }
}
