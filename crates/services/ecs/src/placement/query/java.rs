//! The regular expressions of the cluster query language, which are Java's, on `fancy-regex`. A pattern is translated
//! piece by piece, so that it means here what it means to `java.util.regex`; what cannot be said is refused. A value
//! is matched whole, within a bounded number of steps.
//! <https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/regex/Pattern.html>

mod class;

use std::fmt::Write;

use fancy_regex::{Regex, RegexBuilder};

/// The largest compiled part, in bytes, and the longest program.
const MAX_COMPILED: usize = 1 << 18;
const MAX_PROGRAM: usize = 10_000;
/// How often a match may go back. Values are short; what needs more is one of the patterns that never end.
const MAX_STEPS: usize = 5_000;
/// How deep classes may be in each other.
const MAX_DEPTH: usize = 16;

/// The end, or the line terminator that is the last: what `$` and `\Z` stand before.
const END: &str = r"(?=(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)";
/// Between a word and what is none, and elsewhere. Words are of ASCII.
const BOUNDARY: &str = "(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))";
const NO_BOUNDARY: &str = "(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))";

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(pattern: &str) -> Result<Pattern, String> {
        let translated = translate(pattern)?;
        let mut builder = RegexBuilder::new(&format!(r"\A(?:{translated})\z"));
        builder.backtrack_limit(MAX_STEPS).max_prog_size(MAX_PROGRAM);
        builder.delegate_size_limit(MAX_COMPILED).delegate_dfa_size_limit(MAX_COMPILED);
        builder.build().map(Pattern).map_err(|_| "it is not supported, or too large".to_owned())
    }

    /// Whether the whole text matches; `None` when that takes too long to say.
    pub fn matches(&self, text: &str) -> Option<bool> {
        self.0.is_match(text).ok()
    }
}

/// What stands before, as far as a repetition cares.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Operand,
    Repeated,
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
    last: Last,
    /// Whether a dot takes line terminators, here and in each group around.
    dot_all: Vec<bool>,
    /// Capturing groups that have begun, and the names of some.
    groups: usize,
    names: Vec<(&'a str, usize)>,
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut translation = Translation {
        rest: pattern,
        out: String::new(),
        last: Last::Nothing,
        dot_all: vec![false],
        groups: 0,
        names: Vec::new(),
    };
    while let Some(c) = translation.next() {
        translation.piece(c)?;
    }
    if translation.dot_all.len() > 1 {
        return Err("a group is not closed".to_owned());
    }
    Ok(translation.out)
}

impl<'a> Translation<'a> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes all up to a text, and the text.
    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    fn operand(&mut self, text: &str) {
        self.out.push_str(text);
        self.last = Last::Operand;
    }

    fn literal(&mut self, c: char) {
        let _ = write!(self.out, r"\x{{{:X}}}", u32::from(c));
        self.last = Last::Operand;
    }

    fn piece(&mut self, c: char) -> Result<(), String> {
        match c {
            '\\' => return self.escape(),
            '[' => {
                let class = self.class(0)?;
                self.operand(&class);
            }
            '(' => return self.group(),
            '*' | '+' | '?' => return self.repeat(&c.to_string()),
            '{' => {
                let bounds = self.until("}").filter(|bounds| {
                    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                    bounds.split_once(',').map_or(number(bounds), |(least, most)| {
                        number(least) && (most.is_empty() || number(most))
                    })
                });
                let bounds = bounds.ok_or("'{' begins no repetition")?;
                return self.repeat(&format!("{{{bounds}}}"));
            }
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
            }
            ')' => {
                self.dot_all.pop();
                if self.dot_all.is_empty() {
                    return Err("')' closes no group".to_owned());
                }
                self.operand(")");
            }
            '^' => self.operand(r"\A"),
            // Where nothing can follow, a value that is matched whole has ended.
            '$' => self.operand(if self.rest.bytes().all(|b| b == b')') { r"\z" } else { END }),
            '.' if self.dot_all.last() == Some(&true) => self.operand("(?s:.)"),
            '.' => self.operand(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            _ => self.literal(c),
        }
        Ok(())
    }

    /// Greedy, reluctant (`?`) or possessive (`+`).
    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        match self.last {
            Last::Nothing => return Err(format!("'{operator}' has nothing to repeat")),
            Last::Repeated => return Err(format!("'{operator}' repeats a repetition")),
            Last::Operand => self.out.push_str(operator),
        }
        for kind in ["?", "+"] {
            if self.take(kind) {
                self.out.push_str(kind);
                break;
            }
        }
        self.last = Last::Repeated;
        Ok(())
    }

    /// Behind the parenthesis.
    fn group(&mut self) -> Result<(), String> {
        let dot_all = self.dot_all.last().copied().unwrap_or_default();
        self.last = Last::Nothing;
        if !self.take("?") {
            self.groups += 1;
            self.out.push('(');
            self.dot_all.push(dot_all);
            return Ok(());
        }
        for kind in [":", "=", "!", ">", "<=", "<!"] {
            if self.take(kind) {
                let _ = write!(self.out, "(?{kind}");
                self.dot_all.push(dot_all);
                return Ok(());
            }
        }
        if self.take("<") {
            let name = self.until(">").filter(|name| is_name(name)).ok_or("a group has no proper name")?;
            if self.names.iter().any(|(known, _)| *known == name) {
                return Err(format!("two groups are named '{name}'"));
            }
            self.groups += 1;
            self.names.push((name, self.groups));
            self.out.push('(');
            self.dot_all.push(dot_all);
            return Ok(());
        }
        self.flags(dot_all)
    }

    /// `i` and `s`, on or off, to the end of the group or for a group of their own.
    fn flags(&mut self, mut dot_all: bool) -> Result<(), String> {
        let (mut on, mut case) = (true, "");
        while let Some(c) = self.next() {
            match c {
                '-' if on => on = false,
                'i' => case = if on { "i" } else { "-i" },
                's' => dot_all = on,
                ':' => {
                    let _ = write!(self.out, "(?{case}:");
                    self.dot_all.push(dot_all);
                    return Ok(());
                }
                ')' => {
                    if !case.is_empty() {
                        let _ = write!(self.out, "(?{case})");
                    }
                    if let Some(here) = self.dot_all.last_mut() {
                        *here = dot_all;
                    }
                    return Ok(());
                }
                _ => return Err(format!("'(?{c}' is not supported; flags are i and s")),
            }
        }
        Err("a group is not closed".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        let at = self.rest;
        let c = self.next().ok_or("a backslash stands at the end")?;
        match c {
            'A' => self.operand(r"\A"),
            'z' => self.operand(r"\z"),
            'Z' => self.operand(END),
            'b' => self.operand(BOUNDARY),
            'B' => self.operand(NO_BOUNDARY),
            'R' => self.operand(r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])"),
            'Q' => {
                let quoted = self.until(r"\E").unwrap_or_else(|| std::mem::take(&mut self.rest));
                quoted.chars().for_each(|c| self.literal(c));
            }
            'k' => {
                let name = if self.take("<") { self.until(">") } else { None };
                let group = self.names.iter().find(|(known, _)| Some(*known) == name);
                let (_, group) = group.ok_or("'\\k' names no group before it")?;
                let reference = format!(r"(?:\{group})");
                self.operand(&reference);
            }
            '1'..='9' => {
                // As many digits as name a group that has begun.
                let digits = at.bytes().take_while(u8::is_ascii_digit).count();
                let known = |length: &usize| at[..*length].parse().is_ok_and(|n: usize| n <= self.groups);
                let length =
                    (1..=digits).rev().find(known).ok_or_else(|| format!("'\\{c}' names no group"))?;
                self.rest = &at[length..];
                self.operand(&format!(r"(?:\{})", &at[..length]));
            }
            _ => {
                if let Some(class) = self.class_escape(c)? {
                    self.operand(&class);
                } else {
                    let c = self.character(c)?;
                    self.literal(c);
                }
            }
        }
        Ok(())
    }

    /// The character that an escape stands for, behind its letter.
    fn character(&mut self, c: char) -> Result<char, String> {
        let number = |digits: Option<&str>, radix| {
            let plain = digits.filter(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)));
            plain.and_then(|digits| u32::from_str_radix(digits, radix).ok()).and_then(char::from_u32)
        };
        let found = match c {
            'a' => Some('\x07'),
            'e' => Some('\x1b'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'c' => self.next().filter(char::is_ascii).map(|c| char::from(c as u8 ^ 64)),
            'x' if self.take("{") => number(self.until("}"), 16),
            'x' | 'u' => number(self.digits(if c == 'x' { 2 } else { 4 }), 16),
            '0' => {
                let most = if self.rest.starts_with(|c| matches!(c, '0'..='3')) { 3 } else { 2 };
                let count = self.rest.chars().take(most).take_while(|c| c.is_digit(8)).count();
                number(self.digits(count), 8)
            }
            c if !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        found.ok_or_else(|| format!("the escape '\\{c}' is not supported"))
    }

    fn digits(&mut self, count: usize) -> Option<&'a str> {
        let digits = self.rest.get(..count)?;
        self.rest = &self.rest[count..];
        Some(digits)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
