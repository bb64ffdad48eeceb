//! From the text of a pattern to its branches. Refusals are worded as PutRule words them, which is how
//! <https://github.com/aws/event-ruler> words them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Error, Result};
use super::event::Value;
use super::json::{Reader, Token};
use super::leaf::{Leaf, Scalar, Test};
use super::number::Number;
use super::trie::Symbol;
use super::wildcard;

/// Characters of a pattern, at most. AWS's quota is 2,048 at first and may be raised to this:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>.
pub const PATTERN_MAX: usize = 4096;
/// Ways through the `$or` of a pattern, at most.
pub const BRANCHES_MAX: usize = 1000;
/// Objects and arrays inside each other in a pattern, and keys of a path, at most; as many as an event may have.
pub const DEPTH_MAX: usize = 127;

/// Names that a field inside `$or` may not have: AWS keeps them for operators.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// The keys from the top of an event to a value.
pub(super) type Path = Arc<[Arc<str>]>;

/// Fields that must all match. Sorted by their paths, key by key.
pub(super) type Branch = BTreeMap<Path, Arc<[Leaf]>>;

/// An event pattern that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    branches: Vec<Branch>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What PutRule and TestEventPattern answer with `InvalidEventPatternException`.
    pub fn parse(text: &str) -> Result<Pattern> {
        if text.chars().count() > PATTERN_MAX {
            return Err(Error::new(format!("Event pattern is longer than {PATTERN_MAX} characters")));
        }
        let mut parser =
            Parser { reader: Reader::new(text, DEPTH_MAX), branches: Vec::new(), wildcards: Vec::new() };
        if parser.token()? != Some(Token::ObjectStart) {
            return Err(parser.reader.refuse("Filter is not an object"));
        }
        parser.object(&mut Vec::new(), false)?;
        parser.token()?;
        Ok(Pattern { branches: parser.branches })
    }

    /// Whether an event may match whose field of that name at the top is that text, whatever else it says.
    pub fn may_match(&self, field: &str, text: &str) -> bool {
        let value = Value::Text(text.into());
        let fits = |branch: &Branch| {
            let here = branch.iter().filter(|(path, _)| matches!(&path[..], [key] if **key == *field));
            here.into_iter().all(|(_, leaves)| leaves.iter().any(|leaf| leaf.takes(&value)))
        };
        self.branches.iter().any(fits)
    }

    /// An event matches by any of these. There is at least one, and none is empty.
    pub(super) fn branches(&self) -> &[Branch] {
        &self.branches
    }
}

/// The state of reading one pattern; the operators are in [`operators`](super::operators).
pub(super) struct Parser<'a> {
    pub(super) reader: Reader<'a>,
    branches: Vec<Branch>,
    /// Those of the field that is being read.
    pub(super) wildcards: Vec<Arc<[Symbol]>>,
}

impl Parser<'_> {
    pub(super) fn token(&mut self) -> Result<Option<Token>> {
        self.reader.next()
    }

    pub(super) fn refuse<T>(&self, what: impl AsRef<str>) -> Result<T> {
        Err(self.reader.refuse(what.as_ref()))
    }

    /// The fields of an object whose brace has been read.
    fn object(&mut self, path: &mut Vec<Arc<str>>, in_or: bool) -> Result<()> {
        let mut empty = true;
        while let Some(Token::Name(name)) = self.token()? {
            empty = false;
            if name == "$or" {
                self.or(path)?;
                continue;
            }
            if in_or && RESERVED.contains(&name.as_str()) {
                return self
                    .refuse(format!("{name} is Ruler reserved fieldName which cannot be used inside $or."));
            }
            let above = path.len();
            path.extend(name.split('.').map(Arc::from));
            if path.len() > DEPTH_MAX {
                return self.refuse(format!("Path is longer than {DEPTH_MAX} keys"));
            }
            match self.token()? {
                Some(Token::ObjectStart) => self.object(path, in_or)?,
                Some(Token::ArrayStart) => self.field(path)?,
                _ => return self.refuse(format!("\"{name}\" must be an object or an array")),
            }
            path.truncate(above);
        }
        if empty { self.refuse("Empty objects are not allowed") } else { Ok(()) }
    }

    /// Alternatives: what came before holds in each, and so does what comes after.
    fn or(&mut self, path: &mut Vec<Arc<str>>) -> Result<()> {
        if self.token()? != Some(Token::ArrayStart) {
            return self.refuse("It must be an Array followed with $or.");
        }
        let mut before = std::mem::take(&mut self.branches);
        if before.is_empty() {
            before.push(Branch::new());
        }
        let (mut all, mut alternatives) = (Vec::new(), 0);
        loop {
            match self.token()? {
                Some(Token::ArrayEnd) => break,
                Some(Token::ObjectStart) => {}
                _ => return self.refuse("Only JSON object is allowed in array of $or relationship."),
            }
            alternatives += 1;
            if all.len() + before.len() > BRANCHES_MAX {
                return Err(Error::new(format!(
                    "Event pattern leads to over {BRANCHES_MAX} rule combinations"
                )));
            }
            self.branches.clone_from(&before);
            self.object(path, true)?;
            all.append(&mut self.branches);
        }
        if alternatives < 2 {
            return self.refuse("There must have at least 2 Objects in $or relationship.");
        }
        if all.len() > BRANCHES_MAX {
            return Err(Error::new(format!("Event pattern leads to over {BRANCHES_MAX} rule combinations")));
        }
        self.branches = all;
        Ok(())
    }

    /// The leaves of a field whose bracket has been read. A field that is there twice is what it is last.
    fn field(&mut self, path: &[Arc<str>]) -> Result<()> {
        let mut leaves = Vec::new();
        self.wildcards.clear();
        loop {
            leaves.push(match self.token()? {
                Some(Token::ArrayEnd) => break,
                Some(Token::ObjectStart) => self.operator()?,
                Some(Token::Text(text)) => {
                    self.reader.read_text();
                    Leaf::Is(Test::value(&text))
                }
                Some(Token::Number(number)) => match Number::parse(&number) {
                    Some(number) => Leaf::Is(Test::Exact(Scalar::Number(number))),
                    None => return self.refuse(format!("Cannot compare number : {number}")),
                },
                Some(Token::Bool(value)) => Leaf::Is(Test::Exact(Scalar::Bool(value))),
                Some(Token::Null) => Leaf::Is(Test::Exact(Scalar::Null)),
                _ => return self.refuse("Match value must be String, number, true, false, or null"),
            });
        }
        if leaves.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        if self.wildcards.iter().any(|symbols| wildcard::too_complex(symbols)) {
            return Err(Error::new(
                "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
            ));
        }
        leaves.sort();
        leaves.dedup();
        if self.branches.is_empty() {
            self.branches.push(Branch::new());
        }
        let (path, leaves): (Path, Arc<[Leaf]>) = (path.into(), leaves.into());
        for branch in &mut self.branches {
            branch.insert(Arc::clone(&path), Arc::clone(&leaves));
        }
        Ok(())
    }
}
