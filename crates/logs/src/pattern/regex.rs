//! The regular expressions between percent signs: what AWS documents, and no more, said to the `regex` crate so that
//! nothing of its own dialect comes in. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/regex-expressions.html>

use std::{fmt::Write, iter::Peekable, str::Chars};

use regex::{Regex, RegexBuilder};

use super::{Error, cursor::DEPTH_MAX};

/// The largest compiled expression, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Symbols that stand for themselves. A space is not in the list of the guide, but in its examples.
const SYMBOLS: &str = ":_#=@/;,- ";

/// Compiles an expression.
pub(super) fn compile(source: &str) -> Result<Regex, Error> {
    if source.is_empty() {
        return Err(Error::syntax("a regular expression is empty"));
    }
    let mut out = String::new();
    let mut rest = source.chars().peekable();
    let mut before = None;
    while let Some(c) = rest.next() {
        let repeated = matches!(before, Some('*' | '+' | '?' | '}'));
        if repeated && matches!(c, '*' | '+' | '{') {
            return Err(Error::syntax(format!("'{c}' repeats a repetition")));
        }
        before = (c != '\\').then_some(c);
        match c {
            '\\' => out.push_str(&escape(&mut rest)?.map_or_else(str::to_owned, plain)),
            '[' => class(&mut rest, &mut out)?,
            // The least may be left out.
            '{' if rest.peek() == Some(&',') => out.push_str("{0"),
            '^' | '$' | '?' | '{' | '}' | '|' | '*' | '+' | '.' => out.push(c),
            // A bracket that closes nothing, as all symbols.
            c => out.push_str(&plain(supported(c)?)),
        }
    }
    let mut builder = RegexBuilder::new(&out);
    builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).nest_limit(DEPTH_MAX as u32);
    builder.build().map_err(|_| Error::syntax(format!("%{source}% is not a regular expression")))
}

fn supported(c: char) -> Result<char, Error> {
    if c.is_ascii_alphanumeric() || SYMBOLS.contains(c) || "^$?[]{}|*+.".contains(c) {
        return Ok(c);
    }
    Err(Error::syntax(format!("'{c}' is not supported in a regular expression")))
}

/// A character that stands for itself.
fn plain(c: char) -> String {
    if c.is_ascii_alphanumeric() || c == ',' {
        return c.to_string();
    }
    format!(r"\x{{{:X}}}", u32::from(c))
}

/// What follows a backslash: a class of ASCII (good in brackets too), or a character.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<Result<char, &'static str>, Error> {
    let c = rest.next().ok_or_else(|| Error::syntax("a backslash stands at the end"))?;
    Ok(match c {
        'd' => Err("[0-9]"),
        'D' => Err("[^0-9]"),
        's' => Err(r"[\t\n\x0B\x0C\r\x20]"),
        'S' => Err(r"[^\t\n\x0B\x0C\r\x20]"),
        'w' => Err("[a-zA-Z_0-9]"),
        'W' => Err("[^a-zA-Z_0-9]"),
        't' => Ok('\t'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        'x' => {
            let mut digit = || rest.next().and_then(|c| c.to_digit(16));
            let code = digit().zip(digit()).map(|(high, low)| high * 16 + low).filter(|code| *code < 128);
            Ok(code
                .and_then(char::from_u32)
                .ok_or_else(|| Error::syntax(r"\x needs the two digits of an ASCII character"))?)
        }
        c if c.is_ascii_punctuation() || c == ' ' => Ok(c),
        _ => return Err(Error::syntax(format!(r"'\{c}' is not supported in a regular expression"))),
    })
}

/// Characters and ranges up to the closing bracket. Inside, everything but `\`, `]`, a leading `^` and a hyphen between
/// two characters stands for itself.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), Error> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let open = || Error::syntax("a class of characters is not closed");
    let member = |rest: &mut Peekable<Chars<'_>>| match rest.next() {
        Some('\\') => escape(rest),
        Some(c) => supported(c).map(Ok),
        None => Err(open()),
    };
    let mut first = true;
    while first || rest.peek() != Some(&']') {
        first = false;
        let low = match member(rest)? {
            Ok(low) => low,
            Err(class) => {
                out.push_str(class);
                continue;
            }
        };
        let mut ahead = rest.clone();
        let ranged = ahead.next() == Some('-') && !matches!(ahead.peek(), None | Some(']'));
        let mut high = low;
        if ranged {
            rest.next();
            high = member(rest)?.map_err(|_| Error::syntax("a range of characters has no end"))?;
        }
        if high < low {
            return Err(Error::syntax(format!("the range '{low}-{high}' is empty")));
        }
        let _ = write!(out, "{}-{}", plain(low), plain(high));
    }
    rest.next();
    out.push(']');
    Ok(())
}
