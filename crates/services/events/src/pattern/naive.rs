//! The plainest reading of a pattern, to hold the matcher against: each branch by itself, every choice of values
//! tried, array consistency by the elements' own names.

use serde_json::Value as Json;

use super::event::Value;
use super::leaf::Leaf;
use super::number::Number;
use super::parse::Pattern;

/// A leaf: its keys, its value, and in which elements of which arrays it lies.
struct Field {
    path: Vec<String>,
    value: Value<'static>,
    inside: Vec<(usize, usize)>,
}

pub(super) fn matches(pattern: &Pattern, event: &Json) -> bool {
    let (mut fields, mut arrays) = (Vec::new(), 0);
    flatten(event, &mut Vec::new(), &mut Vec::new(), &mut arrays, &mut fields);
    pattern.branches().iter().any(|branch| {
        let wanted: Vec<(Vec<String>, &[Leaf])> = branch
            .iter()
            .map(|(path, leaves)| (path.iter().map(|key| key.to_string()).collect(), &**leaves))
            .collect();
        choose(&wanted, &fields, &[])
    })
}

fn choose(wanted: &[(Vec<String>, &[Leaf])], fields: &[Field], inside: &[(usize, usize)]) -> bool {
    let Some(((path, leaves), rest)) = wanted.split_first() else { return true };
    let mut there = false;
    for field in fields.iter().filter(|field| field.path == *path) {
        let Some(both) = consistent(inside, &field.inside) else { continue };
        there = true;
        if leaves.iter().any(|leaf| leaf.takes(&field.value)) && choose(rest, fields, &both) {
            return true;
        }
    }
    !there && leaves.contains(&Leaf::Absent) && choose(rest, fields, inside)
}

fn consistent(one: &[(usize, usize)], other: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
    let mut both = one.to_vec();
    for (array, element) in other {
        match both.iter().find(|(known, _)| known == array) {
            Some((_, known)) if known != element => return None,
            Some(_) => {}
            None => both.push((*array, *element)),
        }
    }
    Some(both)
}

fn flatten(
    json: &Json,
    path: &mut Vec<String>,
    inside: &mut Vec<(usize, usize)>,
    arrays: &mut usize,
    fields: &mut Vec<Field>,
) {
    let value = match json {
        Json::Object(members) => {
            for (key, member) in members {
                let above = path.len();
                path.extend(key.split('.').map(str::to_owned));
                flatten(member, path, inside, arrays, fields);
                path.truncate(above);
            }
            return;
        }
        Json::Array(elements) => {
            let array = *arrays;
            *arrays += 1;
            for (at, element) in elements.iter().enumerate() {
                let container = element.is_object() || element.is_array();
                if container {
                    inside.push((array, at));
                }
                flatten(element, path, inside, arrays, fields);
                if container {
                    inside.pop();
                }
            }
            return;
        }
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(Number::parse(&number.to_string()).expect("a number")),
        Json::String(text) => Value::Text(text.clone().into()),
    };
    fields.push(Field { path: path.clone(), value, inside: inside.clone() });
}
