//! Names of members as the model has them. In the input of a universal target they begin with a capital letter,
//! whatever the operation's own protocol writes.

use serde_json::{Map, Value};
use wire::schema::{Kind, Shape};

/// Gives members the names of the model where they differ from it by the first letter's case alone.
pub fn fit(shape: &Shape, value: &mut Value) {
    match (&shape.kind, value) {
        (Kind::Structure { members, .. }, Value::Object(given)) => {
            for (name, mut value) in std::mem::take(given) {
                let exact = members.iter().find(|member| member.name == name);
                let Some(member) = exact.or_else(|| members.iter().find(|member| same(member.name, &name)))
                else {
                    given.entry(name).or_insert(value);
                    continue;
                };
                fit(member.shape, &mut value);
                put(given, member.name, value, exact.is_some());
            }
        }
        (Kind::List { member, .. }, Value::Array(items)) => {
            items.iter_mut().for_each(|item| fit(member.shape, item));
        }
        (Kind::Map { value: inner, .. }, Value::Object(entries)) => {
            entries.values_mut().for_each(|value| fit(inner.shape, value));
        }
        _ => {}
    }
}

/// What is written as the model has it goes before what is not.
fn put(given: &mut Map<String, Value>, name: &str, value: Value, exact: bool) {
    if exact || !given.contains_key(name) {
        given.insert(name.to_owned(), value);
    }
}

/// Whether two names are the same but for the case of their first letter.
fn same(model: &str, name: &str) -> bool {
    let (a, b) = (model.as_bytes(), name.as_bytes());
    a.len() == b.len()
        && a.first().zip(b.first()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        && a.get(1..) == b.get(1..)
}
