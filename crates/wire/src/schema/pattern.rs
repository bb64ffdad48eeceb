//! The regular expressions of the models, in the syntax of the engine that runs them.

use std::sync::OnceLock;

/// A regular expression of a model, compiled when first used. It has to match the whole text.
#[derive(Debug)]
pub struct Pattern {
    source: &'static str,
    compiled: OnceLock<Option<regex::Regex>>,
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

    /// Whether the whole text matches. A pattern that this engine cannot read matches all (a test shows
    /// that there is none in the generated tables).
    pub fn matches(&self, text: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether the pattern can be read at all.
    pub fn is_readable(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> Option<&regex::Regex> {
        self.compiled
            .get_or_init(|| regex::Regex::new(&format!("^(?:{})$", rust_syntax(self.source))).ok())
            .as_ref()
    }
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
