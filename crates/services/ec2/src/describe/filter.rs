//! Filters: a thing is shown if it meets each of them, and it meets one if it has one of its values. In a value `*` is any
//! text, `?` any character, and `\` takes the meaning of what follows it.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use ec2_model as model;
use wire::Error;

use crate::{limits, refuse};

/// A filter of a request.
#[derive(Debug, Clone)]
pub struct Filter {
    pub name: String,
    pub values: Vec<Glob>,
}

/// A value of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Exactly(char),
    One,
    Any,
}

impl Glob {
    /// Reads it.
    pub fn new(text: &str) -> Glob {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            parts.push(match next {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Exactly(rest.next().unwrap_or('\\')),
                other => Part::Exactly(other),
            });
        }
        Glob(parts)
    }

    /// The only text that it is, if it is one.
    pub fn text(&self) -> Option<String> {
        let exactly = |part: &Part| match part {
            Part::Exactly(one) => Some(*one),
            Part::One | Part::Any => None,
        };
        self.0.iter().map(exactly).collect()
    }

    /// Whether a text is one. It goes back to the last `*` alone, so it takes at most as many steps as the product of both
    /// lengths.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(part) {
                Some(Part::Any) => {
                    back = Some((at, part));
                    part += 1;
                }
                Some(Part::One) => (at, part) = (at + 1, part + 1),
                Some(Part::Exactly(one)) if text[at] == *one => (at, part) = (at + 1, part + 1),
                _ => match back {
                    Some((from, star)) => {
                        back = Some((from + 1, star));
                        (at, part) = (from + 1, star + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(part).all(|part| *part == Part::Any)
    }
}

impl Filter {
    /// Whether one of the values is meant.
    pub fn meets(&self, mut values: impl Iterator<Item = String>) -> bool {
        values.any(|value| self.values.iter().any(|wanted| wanted.matches(&value)))
    }

    /// Its values, if each is one text.
    pub fn texts(&self) -> Option<Vec<String>> {
        self.values.iter().map(Glob::text).collect()
    }
}

/// The filters of a request. One that asks nothing of a thing but what its kind has is in `known`; the name of a tag stands
/// behind `tag:`.
///
/// # Errors
/// `InvalidParameterValue` for one of another name, or without a value; `FilterLimitExceeded` for too many values.
pub fn read(given: Option<&Vec<model::Filter>>, known: &[&str]) -> Result<Vec<Filter>, Error> {
    let mut filters = Vec::new();
    let mut count = 0;
    for filter in given.into_iter().flatten() {
        let name = filter.name.clone().unwrap_or_default();
        if !known.contains(&name.as_str()) && !name.starts_with("tag:") {
            return Err(refuse::value(format!("The filter '{}' is invalid", refuse::cut(&name))));
        }
        let values: Vec<Glob> = filter.values.iter().flatten().map(|value| Glob::new(value)).collect();
        if values.is_empty() {
            return Err(refuse::value(format!("The filter '{name}' has no value")));
        }
        count += values.len();
        filters.push(Filter { name, values });
    }
    if count > limits::FILTER_VALUES {
        let message =
            format!("The maximum number of filter values on a single call is {}", limits::FILTER_VALUES);
        return Err(refuse::with("FilterLimitExceeded", message));
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        for (glob, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("a", &["a"], &["", "A", "aa"]),
            ("a*", &["a", "ab"], &["ba"]),
            ("*a*b", &["ab", "xaxb", "aab"], &["ba", "abx"]),
            ("?", &["a", "é"], &["", "ab"]),
            ("\\*\\?\\\\", &["*?\\"], &["ab\\"]),
            ("x\\", &["x\\"], &["x"]),
        ] {
            let matches = |text: &&str| Glob::new(glob).matches(text);
            assert!(yes.iter().all(matches) && !no.iter().any(matches), "{glob}");
        }
        assert_eq!(Glob::new("a\\*").text().as_deref(), Some("a*"));
        assert_eq!(Glob::new("a*").text(), None);
    }

    /// As it is said, by trying all ways.
    fn slowly(glob: &[Part], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((Part::Any, rest)) => (0..=text.len()).any(|at| slowly(rest, &text[at..])),
            Some((part, rest)) => {
                let one = text.split_first();
                one.is_some_and(|(first, after)| {
                    (*part == Part::One || *part == Part::Exactly(*first)) && slowly(rest, after)
                })
            }
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_all_ways_together_match(glob in "[ab?*]{0,8}", text in "[ab]{0,8}") {
            let (glob, chars) = (Glob::new(&glob), text.chars().collect::<Vec<_>>());
            prop_assert_eq!(glob.matches(&text), slowly(&glob.0, &chars));
        }
    }
}
