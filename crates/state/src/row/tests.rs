//! Rows come back as they were written, and what is not a row is told apart.

use serde::Deserialize;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thing {
    name: String,
    count: u32,
}

impl Row for Thing {
    const VERSION: u32 = 2;

    fn weight(&self) -> usize {
        self.name.len()
    }

    fn upgrade(version: u32, json: &str) -> Result<Thing, Unreadable> {
        match version {
            1 => Ok(Thing { name: serde_json::from_str(json)?, count: 0 }),
            other => Err(Unreadable::Older(other)),
        }
    }
}

mod table {
    use super::Thing;

    crate::rows! {
        /// Rows of the tests.
        "thing" Thing(Thing, String): |row| row.name.clone(),
    }
}
use table::{Key, Row as Any};

#[test]
fn a_row_comes_back_as_it_was_written() {
    let row = Any::from(Thing { name: "a".to_owned(), count: 7 });
    let path = Any::path(&row.key());
    assert_eq!((path.as_str(), row.key()), ("thing/a", Key::Thing("a".to_owned())));
    assert_eq!(String::from_utf8(row.encode()).unwrap(), r#"{"v":2,"row":{"name":"a","count":7}}"#);
    assert_eq!(Any::decode(&path, &row.encode()).unwrap(), row);
}

#[test]
fn older_rows_are_read_and_everything_else_is_told_apart() {
    let older = Any::decode("thing/a", br#"{"v":1,"row":"a"}"#).unwrap();
    assert_eq!(older, Any::from(Thing { name: "a".to_owned(), count: 0 }));
    for (path, value, why) in [
        ("thing/a", r#"{"v":0,"row":"a"}"#, "its version 0 is not read any more"),
        ("thing/a", r#"{"v":3,"row":{}}"#, "its version 3 is newer than 2"),
        ("thing/a", r#"{"name":"a"}"#, "its value has no version"),
        ("thing/a", r#"{"v":2,"row":{"name":"a"}}"#, "its value cannot be read"),
        ("thing/b", r#"{"v":1,"row":"a"}"#, "it is the row of thing/a"),
        ("other/a", r#"{"v":1,"row":"a"}"#, "its key is no row's"),
    ] {
        let error = Any::decode(path, value.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turned {
    id: Name,
}

impl Row for Turned {
    fn weight(&self) -> usize {
        8
    }
}

/// Was stored as it reads, and is stored from behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name(String);

impl KeyPart for Name {
    fn write(&self, out: &mut String) {
        out.extend(self.0.chars().rev());
    }

    fn earlier(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

mod turned {
    use super::{Name, Turned};

    crate::rows! {
        /// Rows whose keys were others.
        "turned" Turned(Turned, Name): |row| row.id.clone(),
    }
}

#[test]
fn a_row_is_read_under_the_key_that_it_had_and_says_which_one_it_has() {
    let value = br#"{"v":1,"row":{"id":"abc"}}"#;
    let at = |path| turned::Row::decode_at(path, value).map(|(_, moved)| moved);
    assert_eq!(at("turned/cba").unwrap(), None);
    assert_eq!(at("turned/abc").unwrap().as_deref(), Some("turned/cba"));
    for path in ["turned/bac", "turned/abc/", "turnedabc", "turned"] {
        assert!(at(path).is_err(), "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>) {
        let _ = Any::decode("thing/a", &bytes);
    }
}
