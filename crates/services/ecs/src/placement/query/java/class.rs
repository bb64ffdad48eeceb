//! Classes of characters: in brackets, with unions and intersections, and by escapes.

use std::fmt::Write;

use super::{MAX_DEPTH, Translation};

/// POSIX classes, of ASCII, and what the crate calls them.
const POSIX: &[(&str, &str)] = &[
    ("ASCII", "ascii"),
    ("Alnum", "alnum"),
    ("Alpha", "alpha"),
    ("Blank", "blank"),
    ("Cntrl", "cntrl"),
    ("Digit", "digit"),
    ("Graph", "graph"),
    ("Lower", "lower"),
    ("Print", "print"),
    ("Punct", "punct"),
    ("Space", "space"),
    ("Upper", "upper"),
    ("XDigit", "xdigit"),
];

impl Translation<'_> {
    /// A class in brackets, behind the first of them.
    pub(super) fn class(&mut self, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err("classes nest too deep".to_owned());
        }
        let mut out = String::from(if self.take("^") { "[^" } else { "[" });
        // Whether there is anything since the bracket, or since the last `&&`.
        let mut some = false;
        loop {
            if self.take("&&") {
                if !some {
                    return Err("'&&' has nothing on one side".to_owned());
                }
                out.push_str("&&");
                some = false;
                continue;
            }
            match self.next() {
                None => return Err("a class is not closed".to_owned()),
                Some(']') if some => break,
                // Nothing before it: a plain character.
                Some(']') if out.ends_with("&&") => return Err("'&&' has nothing on one side".to_owned()),
                Some('[') => out.push_str(&self.class(depth + 1)?),
                Some(c) => self.member(c, &mut out)?,
            }
            some = true;
        }
        out.push(']');
        Ok(out)
    }

    /// A character, a range, or a class by its escape.
    fn member(&mut self, c: char, out: &mut String) -> Result<(), String> {
        let low = if c == '\\' {
            let c = self.next().ok_or("a backslash stands at the end")?;
            if let Some(class) = self.class_escape(c)? {
                out.push_str(&class);
                return Ok(());
            }
            self.character(c)?
        } else {
            c
        };
        let mut high = low;
        let after =
            self.rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with([']', '[']));
        if let Some(after) = after {
            self.rest = after;
            high = match self.next() {
                Some('\\') => {
                    let c = self.next().ok_or("a backslash stands at the end")?;
                    self.character(c)?
                }
                Some(c) => c,
                None => low,
            };
            if high < low {
                return Err(format!("the range '{low}-{high}' is empty"));
            }
        }
        let _ = write!(out, r"\x{{{:X}}}-\x{{{:X}}}", u32::from(low), u32::from(high));
        Ok(())
    }

    /// The class that an escape stands for, behind its letter; good in brackets too.
    pub(super) fn class_escape(&mut self, c: char) -> Result<Option<String>, String> {
        let class = match c.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\x20\t\n\x0B\x0C\r",
            'w' => "0-9A-Za-z_",
            'h' => r"\x20\t\xA0\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}",
            'v' => r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}",
            'p' => return self.property(c == 'P').map(Some),
            _ => return Ok(None),
        };
        Ok(Some(format!("[{}{class}]", if c.is_ascii_uppercase() { "^" } else { "" })))
    }

    /// `\pL`, `\p{Lower}`, `\p{Lu}`, `\p{IsLatin}`.
    fn property(&mut self, negated: bool) -> Result<String, String> {
        let rest = self.rest;
        let name = if self.take("{") { self.until("}") } else { self.next().map(|c| &rest[..c.len_utf8()]) };
        let name = name.unwrap_or_default();
        if let Some((_, posix)) = POSIX.iter().find(|(java, _)| *java == name) {
            return Ok(format!("[[:{}{posix}:]]", if negated { "^" } else { "" }));
        }
        // Categories, scripts and binary properties have the same names; blocks and Java's own have none here.
        let bare = name.strip_prefix("Is").unwrap_or(name);
        let plain = bare.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        if bare.is_empty() || !plain || bare.starts_with("In") || bare.starts_with("java") {
            return Err(format!("the property '{name}' is not supported"));
        }
        Ok(format!(r"\{}{{{bare}}}", if negated { 'P' } else { 'p' }))
    }
}
