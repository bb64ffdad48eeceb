//! Rows: what is stored, and all that is stored. A row's value in the store is JSON in a versioned envelope,
//! `{"v":1,"row":{…}}`; its key within the shard is `<kind>/<id>`. Row types are a service's own storage types:
//! what an API's model says of a thing may change from one release to the next, what lies on a disk does not.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

/// A stored row that cannot be read: it is damaged, or was written by something else.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its key names no kind of row that the domain has.
    #[error("its key is no row's")]
    Kind,
    /// Its value has no envelope.
    #[error("its value has no version")]
    Envelope,
    /// A newer program wrote it.
    #[error("its version {found} is newer than {known}, the newest that this program reads")]
    Newer {
        /// The row's.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// A row of an older version that nothing reads any more.
    #[error("its version {0} is not read any more")]
    Older(u32),
    /// Its value is not what its kind holds.
    #[error("its value cannot be read: {0}")]
    Value(#[from] serde_json::Error),
    /// It names another key than the one that it is stored under.
    #[error("it is the row of {0}")]
    Misplaced(String),
}

/// One kind of row.
pub trait Row: Clone + Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Rises whenever rows that were written before would be read wrongly or not at all.
    const VERSION: u32 = 1;

    /// About how many bytes the store takes for it, from the lengths of its texts: what a step may change is
    /// bounded by it, and writing each row out to find out would cost as much as storing it.
    fn weight(&self) -> usize;

    /// Reads the JSON of an older version.
    ///
    /// # Errors
    /// [`Unreadable::Older`] where nothing reads it.
    fn upgrade(version: u32, _json: &str) -> Result<Self, Unreadable> {
        Err(Unreadable::Older(version))
    }
}

/// All rows of a domain: an enum of row kinds, made by [`rows!`](crate::rows).
pub trait Table: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Names a row within its shard.
    type Key: Clone + Debug + Ord + Send + Sync + 'static;

    /// The row's key.
    fn key(&self) -> Self::Key;

    /// About how many bytes the store takes for it.
    fn weight(&self) -> usize;

    /// The value in the store.
    fn encode(&self) -> Vec<u8>;

    /// The key within the shard: `<kind>/<id>`.
    fn path(key: &Self::Key) -> String;

    /// Reads a stored row back; `path` is its key within the shard. With it comes its path of today, where an earlier
    /// version stored it under another one.
    ///
    /// # Errors
    /// What is wrong with it.
    fn decode_at(path: &str, value: &[u8]) -> Result<(Self, Option<String>), Unreadable>;

    /// The same, wherever it is stored.
    ///
    /// # Errors
    /// What is wrong with it.
    fn decode(path: &str, value: &[u8]) -> Result<Self, Unreadable> {
        Self::decode_at(path, value).map(|(row, _)| row)
    }
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change<T: Table> {
    Put(T),
    Delete(T::Key),
}

impl<T: Table> Change<T> {
    /// The key of the row that changes.
    pub fn key(&self) -> T::Key {
        match self {
            Change::Put(row) => row.key(),
            Change::Delete(key) => key.clone(),
        }
    }

    /// About how many bytes the store takes for it.
    pub fn weight(&self) -> usize {
        match self {
            Change::Put(row) => row.weight(),
            Change::Delete(_) => 128,
        }
    }
}

const HEAD: &str = "{\"v\":";
const ROW: &str = ",\"row\":";

/// Writes a row in its envelope.
pub fn encode<R: Row>(row: &R) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.weight() + HEAD.len() + ROW.len() + 8);
    out.extend_from_slice(HEAD.as_bytes());
    out.extend_from_slice(R::VERSION.to_string().as_bytes());
    out.extend_from_slice(ROW.as_bytes());
    serde_json::to_writer(&mut out, row).expect("rows have string keys and finite numbers only");
    out.push(b'}');
    out
}

/// Reads a row out of its envelope.
///
/// # Errors
/// What is wrong with it.
pub fn decode<R: Row>(value: &[u8]) -> Result<R, Unreadable> {
    let (version, json) = open(value).ok_or(Unreadable::Envelope)?;
    match version.cmp(&R::VERSION) {
        std::cmp::Ordering::Equal => Ok(serde_json::from_str(json)?),
        std::cmp::Ordering::Less => R::upgrade(version, json),
        std::cmp::Ordering::Greater => Err(Unreadable::Newer { found: version, known: R::VERSION }),
    }
}

/// The version and the JSON in an envelope. No reader of JSON is needed to find where the row begins.
fn open(value: &[u8]) -> Option<(u32, &str)> {
    let text = std::str::from_utf8(value).ok()?;
    let rest = text.strip_prefix(HEAD)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let version = rest[..digits].parse().ok()?;
    let json = rest[digits..].strip_prefix(ROW)?.strip_suffix('}')?;
    Some((version, json))
}

/// An identifier as a part of a key. It holds no character that would end the part before its time.
pub trait KeyPart: Clone + Ord + Debug + Send + Sync + 'static {
    /// Writes it behind `<kind>/`; nothing where a kind has one row only.
    fn write(&self, out: &mut String);

    /// As earlier versions wrote it, where that was otherwise.
    fn earlier(&self) -> Option<String> {
        None
    }
}

impl KeyPart for () {
    fn write(&self, _out: &mut String) {}
}

impl KeyPart for String {
    fn write(&self, out: &mut String) {
        out.push_str(self);
    }
}

impl KeyPart for u64 {
    /// In digits that sort as the numbers do.
    fn write(&self, out: &mut String) {
        out.push_str(&format!("{self:020}"));
    }
}

impl KeyPart for crate::Id128 {
    fn write(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl<A: KeyPart, B: KeyPart> KeyPart for (A, B) {
    fn write(&self, out: &mut String) {
        self.0.write(out);
        out.push('/');
        self.1.write(out);
    }
}

/// Writes a key within a shard.
pub fn path(kind: &str, id: &impl KeyPart) -> String {
    let mut out = String::with_capacity(kind.len() + 40);
    out.push_str(kind);
    let bare = out.len();
    out.push('/');
    id.write(&mut out);
    if out.len() == bare + 1 {
        out.truncate(bare);
    }
    out
}

/// Declares the rows of a domain: for each kind its name in the keys, its type, and how a row tells its id.
///
/// ```ignore
/// state::rows! {
///     /// Rows of one bus.
///     "rule" Rule(RuleRow, String): |row| row.name.clone(),
/// }
/// ```
/// gives `enum Row { Rule(Arc<RuleRow>), … }` and `enum Key { Rule(String), … }`.
#[macro_export]
macro_rules! rows {
    ($(#[$doc:meta])* $($kind:literal $variant:ident($row:ty, $id:ty): |$this:ident| $key:expr,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum Row {
            $(#[doc = concat!("`", $kind, "`.")] $variant(std::sync::Arc<$row>),)+
        }

        /// Names a row within its shard.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Key {
            $(#[doc = concat!("`", $kind, "`.")] $variant($id),)+
        }

        $(impl From<$row> for Row {
            fn from(row: $row) -> Row {
                Row::$variant(std::sync::Arc::new(row))
            }
        })+

        impl $crate::Table for Row {
            type Key = Key;

            fn key(&self) -> Key {
                match self {
                    $(Row::$variant($this) => Key::$variant($key),)+
                }
            }

            fn weight(&self) -> usize {
                match self {
                    $(Row::$variant(row) => $crate::Row::weight(row.as_ref()),)+
                }
            }

            fn encode(&self) -> Vec<u8> {
                match self {
                    $(Row::$variant(row) => $crate::row::encode(row.as_ref()),)+
                }
            }

            fn path(key: &Key) -> String {
                match key {
                    $(Key::$variant(id) => $crate::row::path($kind, id),)+
                }
            }

            fn decode_at(path: &str, value: &[u8]) -> Result<(Row, Option<String>), $crate::Unreadable> {
                let kind = path.split('/').next().unwrap_or_default();
                let row = match kind {
                    $($kind => Row::$variant(std::sync::Arc::new($crate::row::decode(value)?)),)+
                    _ => return Err($crate::Unreadable::Kind),
                };
                // A row that names another key than its own would be found under neither.
                let key = $crate::Table::key(&row);
                let own = <Row as $crate::Table>::path(&key);
                if own == path {
                    return Ok((row, None));
                }
                let earlier = match &key {
                    $(Key::$variant(id) => $crate::row::KeyPart::earlier(id),)+
                };
                let is_earlier = earlier.is_some_and(|id| path == format!("{kind}/{id}"));
                if is_earlier { Ok((row, Some(own))) } else { Err($crate::Unreadable::Misplaced(own)) }
            }
        }
    };
}

#[cfg(test)]
mod tests;
