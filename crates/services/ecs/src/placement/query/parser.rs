//! The parser of the cluster query language: bounded in length, terms and depth, and never panics.

use std::cmp::Ordering;

use wire::Timestamp;

use super::{Node, Subject, Test, Value, java::Pattern, version};

/// The longest expression, in characters.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementConstraint.html>
const MAX_LENGTH: usize = 2000;
/// The deepest nesting of parentheses and negations.
const MAX_DEPTH: usize = 32;
/// The most comparisons in one expression, and arguments in one list.
const MAX_TERMS: usize = 200;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid expression: {0}")]
pub struct Error(String);

impl From<Error> for wire::Error {
    fn from(error: Error) -> wire::Error {
        ecs_model::errors::invalid_parameter(error.to_string())
    }
}

pub(super) fn parse(text: &str) -> Result<Node, Error> {
    if text.chars().nth(MAX_LENGTH).is_some() {
        return Err(Error(format!("it is longer than {MAX_LENGTH} characters")));
    }
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0 };
    let node = parser.either()?;
    parser.space();
    match parser.rest() {
        "" => Ok(node),
        _ => Err(parser.error("unexpected text")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn error(&self, what: &str) -> Error {
        Error(format!("{what} at position {}", self.at))
    }

    /// Takes a symbol, if it comes next.
    fn symbol(&mut self, symbol: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    /// Takes a word, in any case, if it comes next and ends there.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let rest = self.rest();
        let Some(head) = rest.get(..word.len()) else { return false };
        let ends = !rest[word.len()..].starts_with(is_subject);
        let found = ends && head.eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn either(&mut self) -> Result<Node, Error> {
        let mut nodes = vec![self.both()?];
        while self.symbol("||") || self.word("or") {
            nodes.push(self.both()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes) })
    }

    fn both(&mut self) -> Result<Node, Error> {
        let mut nodes = vec![self.negation()?];
        while self.symbol("&&") || self.word("and") {
            nodes.push(self.negation()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes) })
    }

    fn negation(&mut self) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("too deep nesting"));
        }
        let node = if self.symbol("!") || self.word("not") {
            Node::Not(Box::new(self.negation()?))
        } else if self.symbol("(") {
            let node = self.either()?;
            if !self.symbol(")") {
                return Err(self.error("expected )"));
            }
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Error> {
        self.term()?;
        let subject = self.subject()?;
        self.space();
        let operator_at = self.at;
        let operator = self.operator()?;
        if !allowed(&subject, operator) {
            self.at = operator_at;
            return Err(self.error("an operator that this subject does not take"));
        }
        let test = match operator {
            Operator::Exists(wanted) => Test::Exists(wanted),
            Operator::In(wanted) => Test::In(wanted, self.list(&subject)?),
            Operator::Matches(wanted) => Test::Matches(wanted, self.regex()?),
            Operator::Equals(wanted) => Test::Equals(wanted, self.value(&subject)?),
            Operator::Compares(orders) => Test::Compares(orders, self.value(&subject)?),
        };
        Ok(Node::Is(subject, test))
    }

    fn term(&mut self) -> Result<(), Error> {
        self.terms += 1;
        if self.terms > MAX_TERMS { Err(self.error("too many terms")) } else { Ok(()) }
    }

    fn subject(&mut self) -> Result<Subject, Error> {
        self.space();
        let rest = self.rest();
        let length = rest.find(|c| !is_subject(c)).unwrap_or(rest.len());
        let name = &rest[..length];
        let subject = match name {
            "agentConnected" => Subject::AgentConnected,
            "agentVersion" => Subject::AgentVersion,
            "ec2InstanceId" => Subject::Ec2InstanceId,
            "registeredAt" => Subject::RegisteredAt,
            "runningTasksCount" => Subject::RunningTasksCount,
            "task:group" => Subject::TaskGroup,
            _ => match name.strip_prefix("attribute:") {
                Some(name) if !name.is_empty() => Subject::Attribute(name.to_owned()),
                _ => return Err(self.error("unknown subject")),
            },
        };
        self.at += length;
        Ok(subject)
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        for (symbol, operator) in SYMBOLS {
            if self.symbol(symbol) {
                return Ok(*operator);
            }
        }
        for (word, operator) in WORDS {
            let at = self.at;
            let bare = word.strip_prefix('!');
            if bare.is_none() || self.symbol("!") {
                if self.word(bare.unwrap_or(word)) {
                    return Ok(*operator);
                }
                self.at = at;
            }
        }
        Err(self.error("unknown operator"))
    }

    fn list(&mut self, subject: &Subject) -> Result<Vec<Value>, Error> {
        if !self.symbol("[") {
            return Err(self.error("expected ["));
        }
        let mut values = Vec::new();
        loop {
            self.term()?;
            values.push(self.value(subject)?);
            if self.symbol("]") {
                return Ok(values);
            }
            if !self.symbol(",") {
                return Err(self.error("expected , or ]"));
            }
        }
    }

    fn value(&mut self, subject: &Subject) -> Result<Value, Error> {
        self.space();
        let at = self.at;
        let text = self.literal(|c| matches!(c, ',' | '[' | ']' | '(' | ')'))?;
        let value = match subject {
            Subject::AgentVersion => version(&text).map(Value::Version),
            Subject::RegisteredAt => time(&text).map(Value::Time),
            Subject::RunningTasksCount => text.parse::<u32>().ok().map(|n| Value::Number(n.into())),
            _ => Some(Value::Text(text)),
        };
        value.ok_or_else(|| {
            self.at = at;
            self.error("an argument that this subject does not take")
        })
    }

    fn regex(&mut self) -> Result<Pattern, Error> {
        self.space();
        let at = self.at;
        let pattern = self.pattern()?;
        Pattern::new(&pattern).map_err(|why| {
            self.at = at;
            self.error(&format!("the regular expression '{pattern}' cannot be used ({why})"))
        })
    }

    /// A bare pattern may hold balanced parentheses and brackets; it ends at a space.
    fn pattern(&mut self) -> Result<String, Error> {
        if self.rest().starts_with(['"', '\'']) {
            return self.literal(|_| false);
        }
        let (mut open, mut class, mut length, mut escaped) = (0, false, 0, false);
        for c in self.rest().chars() {
            match c {
                c if c.is_whitespace() => break,
                _ if escaped => {}
                '[' => class = true,
                ']' => class = false,
                '(' if !class => open += 1,
                ')' if !class && open == 0 => break,
                ')' if !class => open -= 1,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            length += c.len_utf8();
        }
        self.take(length)
    }

    /// A quoted text, or all up to a space, `&&`, `||` or one of `ends`.
    fn literal(&mut self, ends: fn(char) -> bool) -> Result<String, Error> {
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let Some(length) = rest[1..].find(quote) else {
                return Err(self.error("an open quotation"));
            };
            self.at += length + 2;
            return Ok(rest[1..=length].to_owned());
        }
        let stop = |(at, c): (usize, char)| {
            let tail = &rest[at..];
            c.is_whitespace() || ends(c) || tail.starts_with("&&") || tail.starts_with("||")
        };
        let length = rest.char_indices().find(|found| stop(*found)).map_or(rest.len(), |(at, _)| at);
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<String, Error> {
        if length == 0 {
            return Err(self.error("expected an argument"));
        }
        let text = self.rest()[..length].to_owned();
        self.at += length;
        Ok(text)
    }
}

fn is_subject(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '\\')
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Exists(bool),
    Equals(bool),
    In(bool),
    Matches(bool),
    Compares(&'static [Ordering]),
}

const GREATER: Operator = Operator::Compares(&[Ordering::Greater]);
const GREATER_EQUAL: Operator = Operator::Compares(&[Ordering::Greater, Ordering::Equal]);
const LESS: Operator = Operator::Compares(&[Ordering::Less]);
const LESS_EQUAL: Operator = Operator::Compares(&[Ordering::Less, Ordering::Equal]);

/// A symbol stands before the ones that it begins with.
const SYMBOLS: &[(&str, Operator)] = &[
    ("==", Operator::Equals(true)),
    ("!=", Operator::Equals(false)),
    ("=~", Operator::Matches(true)),
    ("!~", Operator::Matches(false)),
    (">=", GREATER_EQUAL),
    ("<=", LESS_EQUAL),
    (">", GREATER),
    ("<", LESS),
];

const WORDS: &[(&str, Operator)] = &[
    ("equals", Operator::Equals(true)),
    ("not_equals", Operator::Equals(false)),
    ("matches", Operator::Matches(true)),
    ("not_matches", Operator::Matches(false)),
    ("greater_than", GREATER),
    ("greater_than_equal", GREATER_EQUAL),
    ("less_than", LESS),
    ("less_than_equal", LESS_EQUAL),
    ("in", Operator::In(true)),
    ("!in", Operator::In(false)),
    ("not_in", Operator::In(false)),
    ("exists", Operator::Exists(true)),
    ("!exists", Operator::Exists(false)),
    ("not_exists", Operator::Exists(false)),
];

/// Which operators a subject takes, as its description lists them.
fn allowed(subject: &Subject, operator: Operator) -> bool {
    let set = matches!(operator, Operator::In(_) | Operator::Matches(_));
    let order = matches!(operator, Operator::Compares(_));
    let equality = matches!(operator, Operator::Equals(_));
    match subject {
        Subject::Attribute(_) => true,
        Subject::AgentConnected | Subject::Ec2InstanceId | Subject::TaskGroup => equality || set,
        Subject::AgentVersion | Subject::RegisteredAt | Subject::RunningTasksCount => equality || order,
    }
}

/// `2018-06-18T22:28:28+00:00`, `2018-06-18T22:28:28Z`, `2018-06-18T22:28:28`, `2018-06-18`.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_iso8601(text)
        .or_else(|| Timestamp::parse_iso8601(&format!("{text}Z")))
        .or_else(|| Timestamp::parse_iso8601(&format!("{text}T00:00:00Z")))
}
