//! Go's regular expressions (RE2) on the `regex` crate, which is of the same kind but another dialect. A pattern is
//! translated piece by piece, so that it means here what it means to a program in Go; what Go refuses is refused.
//! <https://pkg.go.dev/regexp/syntax>

use std::{borrow::Cow, collections::BTreeSet, fmt::Write};

use regex::bytes::{Regex, RegexBuilder};

/// The longest pattern, in bytes, and the largest when it is compiled: a long one takes long to compile, too.
const MAX_PATTERN: usize = 8192;
const MAX_COMPILED: usize = 1 << 20;
/// Characters of a pattern that an error shows.
const MAX_SHOWN: usize = 200;
/// The most repetitions that Go counts.
const MAX_REPEAT: u32 = 1000;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Regexp(Regex);

/// Why a text is no pattern, in Go's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {what}: `{part}`")]
pub struct Error {
    what: &'static str,
    part: String,
}

impl Regexp {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What Go refuses, and patterns too large to compile.
    pub fn new(pattern: &str) -> Result<Regexp, Error> {
        if pattern.len() > MAX_PATTERN {
            return Err(failed("expression is too large", pattern));
        }
        let mut translation = Translation::of(pattern);
        while let Some(c) = translation.next() {
            translation.piece(c)?;
        }
        if translation.open > 0 {
            return Err(failed("missing closing )", pattern));
        }
        let built = RegexBuilder::new(&translation.out).size_limit(MAX_COMPILED).build();
        built.map(Regexp).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => failed("expression is too large", pattern),
            _ => failed("invalid syntax", pattern),
        })
    }

    /// Whether the pattern is somewhere in the text. A byte that is not UTF-8 is one U+FFFD, as Go reads it.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(&readable(text))
    }
}

fn failed(what: &'static str, part: &str) -> Error {
    Error { what, part: shown(part) }
}

/// A pattern in a message, cut.
pub(crate) fn shown(pattern: &str) -> String {
    match pattern.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &pattern[..end]),
        None => pattern.to_owned(),
    }
}

fn readable(text: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut all = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        all.push_str(chunk.valid());
        all.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(all.into_bytes())
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
    /// Groups that are not closed yet.
    open: usize,
    /// Of groups.
    names: BTreeSet<&'a str>,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Self {
        Self { rest: pattern, out: String::new(), last: Last::Nothing, open: 0, names: BTreeSet::new() }
    }

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
        self.operand(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn piece(&mut self, c: char) -> Result<(), Error> {
        match c {
            '\\' => return self.escape(),
            '[' => return self.class(),
            '(' if self.rest.starts_with('?') => return self.special_group(),
            '*' | '+' | '?' => return self.repeat(c.encode_utf8(&mut [0; 4])),
            '{' => match bounds(self.rest) {
                Some((text, least, most)) => {
                    let part = format!("{{{text}");
                    if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least) {
                        return Err(failed("invalid repeat count", &part));
                    }
                    self.rest = &self.rest[text.len()..];
                    return self.repeat(&part);
                }
                None => self.literal(c),
            },
            '(' | '|' => {
                self.open += usize::from(c == '(');
                self.out.push(c);
                self.last = Last::Nothing;
            }
            ')' => {
                let after = format!("){}", self.rest);
                self.open = self.open.checked_sub(1).ok_or_else(|| failed("unexpected )", &after))?;
                self.operand(")");
            }
            '^' | '$' | '.' => self.operand(c.encode_utf8(&mut [0; 4])),
            _ => self.literal(c),
        }
        Ok(())
    }

    fn repeat(&mut self, operator: &str) -> Result<(), Error> {
        match self.last {
            Last::Nothing => return Err(failed("missing argument to repetition operator", operator)),
            Last::Repeated => return Err(failed("invalid nested repetition operator", operator)),
            Last::Operand => self.out.push_str(operator),
        }
        if self.take("?") {
            self.out.push('?');
        }
        self.last = Last::Repeated;
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` and `(?flags:`, at the question mark.
    fn special_group(&mut self) -> Result<(), Error> {
        let at = self.rest;
        if self.take("?P<") || self.take("?<") {
            let name = self.until(">").filter(|name| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            });
            let Some(name) = name else { return Err(failed("invalid named capture", at)) };
            if !self.names.insert(name) {
                return Err(failed("duplicate capture group name", name));
            }
            // Nobody asks for what a group holds.
            self.out.push_str("(?:");
            self.open += 1;
            self.last = Last::Nothing;
            return Ok(());
        }
        let end = at.find([')', ':']).ok_or_else(|| failed("missing closing )", at))?;
        if !at[1..end].chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-')) {
            return Err(failed("invalid or unsupported Perl syntax", &at[..=end]));
        }
        self.out.push('(');
        self.out.push_str(&at[..=end]);
        self.open += usize::from(at[end..].starts_with(':'));
        self.rest = &at[end + 1..];
        self.last = Last::Nothing;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Error> {
        let at = self.rest;
        let Some(c) = self.next() else { return Err(failed("trailing backslash at end of expression", "")) };
        match c {
            'A' | 'z' => self.operand(if c == 'A' { r"\A" } else { r"\z" }),
            // Words are of ASCII.
            'b' | 'B' => self.operand(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" }),
            'Q' => {
                let quoted = self.until(r"\E").unwrap_or_else(|| std::mem::take(&mut self.rest));
                quoted.chars().for_each(|c| self.literal(c));
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.operand(perl_class(c)),
            'p' | 'P' => {
                let class = self.unicode_class(c == 'P')?;
                self.operand(&class);
            }
            _ => {
                let rune = self.rune(c, at)?;
                self.literal(rune);
            }
        }
        Ok(())
    }

    /// What `\c` stands for, behind the letter.
    fn rune(&mut self, c: char, at: &str) -> Result<char, Error> {
        let invalid =
            || failed("invalid escape sequence", &format!("\\{}", at.chars().next().unwrap_or(' ')));
        let octal = |text: &str| text.starts_with(|c: char| c.is_digit(8));
        match c {
            // One digit alone would be a reference to a group.
            '0' | '1'..='7' if c == '0' || octal(self.rest) => {
                let more = self.rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                let digits = &at[..=more];
                self.rest = &self.rest[more..];
                u32::from_str_radix(digits, 8).ok().and_then(char::from_u32).ok_or_else(invalid)
            }
            'x' => {
                let digits = if self.take("{") {
                    self.until("}")
                } else {
                    let two = self.rest.get(..2);
                    self.rest = two.map_or(self.rest, |two| &self.rest[two.len()..]);
                    two
                };
                let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                number.and_then(char::from_u32).ok_or_else(invalid)
            }
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => Err(invalid()),
        }
    }

    /// `\pN`, `\p{Greek}`, `\p{^Greek}`, behind the `p`.
    fn unicode_class(&mut self, mut negated: bool) -> Result<String, Error> {
        let at = self.rest;
        let bad = || failed("invalid character class range", at);
        let name = if self.take("{") {
            negated ^= self.take("^");
            self.until("}").ok_or_else(bad)?
        } else {
            let c = self.next().ok_or_else(bad)?;
            &at[..c.len_utf8()]
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(bad());
        }
        Ok(format!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' }))
    }

    /// A class, behind its bracket. Brackets, `&&`, `--` and `~~` inside are plain characters.
    fn class(&mut self) -> Result<(), Error> {
        let at = self.rest;
        let missing = || failed("missing closing ]", &format!("[{at}"));
        let mut class = String::from(if self.take("^") { "[^" } else { "[" });
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.starts_with("[:")
                && let Some((name, after)) = self.rest[2..].split_once(":]")
            {
                if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                    return Err(failed("invalid character class range", &format!("[:{name}:]")));
                }
                let _ = write!(class, "[:{name}:]");
                self.rest = after;
                continue;
            }
            let escaped = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            match escaped {
                Some(c @ ('d' | 'D' | 's' | 'S' | 'w' | 'W')) => {
                    self.rest = &self.rest[2..];
                    class.push_str(perl_class(c));
                }
                Some(c @ ('p' | 'P')) => {
                    self.rest = &self.rest[2..];
                    class.push_str(&self.unicode_class(c == 'P')?);
                }
                _ => {
                    let start = self.rest;
                    let low = self.class_rune()?.ok_or_else(missing)?;
                    let mut high = low;
                    if self.rest.starts_with('-') && self.rest.len() > 1 && !self.rest[1..].starts_with(']') {
                        self.next();
                        high = self.class_rune()?.ok_or_else(missing)?;
                    }
                    if high < low {
                        let part = &start[..start.len() - self.rest.len()];
                        return Err(failed("invalid character class range", part));
                    }
                    let _ = write!(class, r"\x{{{:X}}}-\x{{{:X}}}", u32::from(low), u32::from(high));
                }
            }
        }
        self.next();
        class.push(']');
        self.operand(&class);
        Ok(())
    }

    fn class_rune(&mut self) -> Result<Option<char>, Error> {
        let Some(c) = self.next() else { return Ok(None) };
        if c != '\\' {
            return Ok(Some(c));
        }
        let at = self.rest;
        match self.next() {
            Some(c) => self.rune(c, at).map(Some),
            None => Err(failed("trailing backslash at end of expression", "")),
        }
    }
}

const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// Perl's classes are of ASCII, and a space is no vertical tab. Good inside of a class too.
fn perl_class(letter: char) -> &'static str {
    match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0C\r\x20]",
        'S' => r"[^\t\n\x0C\r\x20]",
        'w' => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// `n}`, `n,}` or `n,m}` at the beginning of a text, with its numbers; any other brace is a plain one. A number
/// too large to read is one too large to repeat.
fn bounds(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let end = text.find('}')?;
    let (least, most) = text[..end].split_once(',').map_or((&text[..end], None), |(a, b)| (a, Some(b)));
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let zeroes = digits.len() > 1 && digits.starts_with('0');
        (plain && !zeroes).then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let least = number(least)?;
    let most = match most {
        None => Some(least),
        Some("") => None,
        Some(digits) => Some(number(digits)?),
    };
    Some((&text[..=end], least, most))
}

#[cfg(test)]
mod tests;
