//! JSON paths, as far as EventBridge knows them: names after dots, places in brackets, `*` for all of them, names in
//! brackets too for InputPath.

use serde_json::value::RawValue;

use super::PATH_MAX;
use crate::text::{Members, compact};

/// A way from an event to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    All,
}

impl JsonPath {
    /// `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<JsonPath> {
        if text.chars().count() > PATH_MAX {
            return None;
        }
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(rest) = rest.strip_prefix('[') {
                in_brackets(rest)?
            } else {
                name(rest.strip_prefix('.')?)?
            };
            steps.push(step);
            rest = after;
        }
        Some(JsonPath(steps))
    }

    /// The part as JSON text; all parts, as an array, if the path has a `*`. `None` if there is none of that way.
    pub(super) fn get(&self, event: &str) -> Option<String> {
        let mut found = Vec::new();
        walk(event, &self.0, &mut found);
        if self.0.contains(&Step::All) {
            let all: Vec<String> = found.into_iter().map(compact).collect();
            return Some(format!("[{}]", all.join(",")));
        }
        found.first().map(|part| compact(part))
    }
}

fn name(rest: &str) -> Option<(Step, &str)> {
    if let Some(after) = rest.strip_prefix('*') {
        return Some((Step::All, after));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"*]()?'\"<>".contains(c);
    (!name.is_empty() && name.chars().all(is_plain)).then(|| (Step::Member(name.to_owned()), after))
}

fn in_brackets(rest: &str) -> Option<(Step, &str)> {
    if let Some(quote) = rest.chars().next().filter(|c| ['\'', '"'].contains(c)) {
        let (name, after) = rest[1..].split_once(quote)?;
        return Some((Step::Member(name.to_owned()), after.strip_prefix(']')?));
    }
    let (inside, after) = rest.split_once(']')?;
    if inside == "*" {
        return Some((Step::All, after));
    }
    let is_number = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
    Some((Step::Element(is_number.then(|| inside.parse().ok())??), after))
}

/// Goes as deep as the path has steps.
fn walk<'e>(part: &'e str, steps: &[Step], found: &mut Vec<&'e str>) {
    let Some((step, rest)) = steps.split_first() else {
        return found.push(part);
    };
    match step {
        Step::Member(name) => {
            if let Some(part) = Members::of(part).and_then(|members| members.get(name)) {
                walk(part, rest, found);
            }
        }
        Step::Element(at) => {
            if let Some(part) = elements(part).get(*at) {
                walk(part.get(), rest, found);
            }
        }
        Step::All => {
            for (_, part) in Members::of(part).map(|members| members.0).unwrap_or_default() {
                walk(part, rest, found);
            }
            for part in elements(part) {
                walk(part.get(), rest, found);
            }
        }
    }
}

fn elements(part: &str) -> Vec<&RawValue> {
    serde_json::from_str(part).unwrap_or_default()
}
