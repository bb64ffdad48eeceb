//! The regular expressions of the models, in the syntax of the engine that runs them.

use std::sync::OnceLock;

/// How often a match may go back, where a pattern needs that. What the models look ahead for is at the beginning of a
/// text or at a dot, and the texts are short.
const MAX_STEPS: usize = 100_000;

/// A regular expression of a model, compiled when first used. It has to match the whole text.
#[derive(Debug)]
pub struct Pattern {
    source: &'static str,
    compiled: OnceLock<Option<Compiled>>,
}

/// In time that grows with the text alone, wherever that can be.
#[derive(Debug)]
enum Compiled {
    Linear(regex::Regex),
    /// With lookahead.
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// The pattern as the model writes it.
    pub const fn new(source: &'static str) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    /// The pattern as the model writes it.
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// Whether the whole text matches; not if that takes too long to say. A pattern that no engine can read matches
    /// all (a test shows that there is none in the generated tables).
    pub fn matches(&self, text: &str) -> bool {
        match self.compiled() {
            None => true,
            Some(Compiled::Linear(regex)) => regex.is_match(text),
            Some(Compiled::Backtracking(regex)) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// Whether the pattern can be read at all.
    pub fn is_readable(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get_or_init(|| compile(self.source)).as_ref()
    }
}

fn compile(source: &str) -> Option<Compiled> {
    let whole = format!("^(?:{})$", rust_syntax(source));
    if let Ok(regex) = regex::Regex::new(&whole) {
        return Some(Compiled::Linear(regex));
    }
    let regex = fancy_regex::RegexBuilder::new(&whole).backtrack_limit(MAX_STEPS).build();
    regex.ok().map(|regex| Compiled::Backtracking(Box::new(regex)))
}

/// The models write `\uXXXX`, this engine `\u{XXXX}`; the models' class `[\w-_]` ends in a plain hyphen.
fn rust_syntax(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("\\u") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match after.get(2..6).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(hex) => {
                out.push_str(&format!("\\u{{{hex}}}"));
                rest = &after[6..];
            }
            None => {
                out.push_str("\\u");
                rest = &after[2..];
            }
        }
    }
    out.push_str(rest);
    out.replace("[\\w-_]", "[\\w\\-_]")
}
