//! PAX records: `<length> <key>=<value>\n`, where the value may hold any byte.

use crate::{Error, Result};

/// The records that matter for a layer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

/// What the records say of a sparse file, in one of GNU's three ways.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    /// The way's number; the first two had none.
    pub version: (Option<u64>, Option<u64>),
    /// The file's name: that of the entry is made up, for readers that know nothing of this.
    pub name: Option<Vec<u8>>,
    /// The file's size, holes included.
    pub size: Option<u64>,
    /// Offset and length of each piece, in turn.
    pub map: Vec<u64>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Records {
    /// Reads an extended header's content.
    pub fn parse(mut content: &[u8]) -> Result<Self> {
        let mut records = Self::default();
        while !content.is_empty() {
            let (key, value, rest) = split_record(content).ok_or_else(bad)?;
            records.take(key, value)?;
            content = rest;
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            // An empty value takes the header's word back.
            b"path" => self.path = text(value)?,
            b"linkpath" => self.link = text(value)?,
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(bad)?),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    return self.sparse.take(key, value);
                }
                if let Some(name) =
                    key.strip_prefix(XATTR).filter(|name| !name.is_empty() && !name.contains(&0))
                {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"major" => self.version.0 = Some(number(value)?),
            b"minor" => self.version.1 = Some(number(value)?),
            b"name" => self.name = text(value)?,
            b"size" | b"realsize" => self.size = Some(number(value)?),
            // A piece to a pair of records, which come in turn.
            b"offset" if self.map.len().is_multiple_of(2) => self.map.push(number(value)?),
            b"numbytes" if !self.map.len().is_multiple_of(2) => self.map.push(number(value)?),
            b"offset" | b"numbytes" => return Err(bad()),
            b"map" if value.is_empty() => self.map.clear(),
            b"map" => self.map = value.split(|&b| b == b',').map(number).collect::<Result<_>>()?,
            // The count of pieces, which are there to be counted.
            _ => {}
        }
        Ok(())
    }
}

fn bad() -> Error {
    Error::invalid("the layer is damaged: a tar header has a malformed PAX record")
}

/// Key and value of the first record, and what follows it.
fn split_record(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = content.iter().take(20).position(|&b| b == b' ')?;
    let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
    if length <= space + 1 || length > content.len() {
        return None;
    }
    let (record, rest) = content.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    (equals > 0).then(|| (&record[..equals], &record[equals + 1..], rest))
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>> {
    if value.contains(&0) {
        return Err(bad());
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn number(value: &[u8]) -> Result<u64> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)
}

/// `[-]seconds[.fraction]`.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = nanos.parse().ok()?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let length = (1..).map(|digits| body + digits).find(|l| l.to_string().len() == l - body);
        let mut record = format!("{} {key}=", length.expect("a length exists")).into_bytes();
        record.extend_from_slice(value);
        record.push(b'\n');
        record
    }

    #[test]
    fn binary_values_pass_whole() {
        let value = b"\x01\0\0\x02\n=\n 12 a=b\n\0";
        let mut content = record("SCHILY.xattr.security.capability", value);
        content.extend(record("mtime", b"1700000000.25"));
        content.extend(record("path", "grün/x".as_bytes()));
        let records = Records::parse(&content).expect("well formed");
        assert_eq!(records.xattrs, [(b"security.capability".to_vec(), value.to_vec())]);
        assert_eq!(records.mtime, Some((1_700_000_000, 250_000_000)));
        assert_eq!(records.path.as_deref(), Some("grün/x".as_bytes()));
    }

    #[test]
    fn times_are_exact() {
        for (text, time_is) in [
            ("0", Some((0, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("1.1234567899", Some((1, 123_456_789))),
            ("1.x", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(time(text.as_bytes()), time_is, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_content_is_parsed_or_refused(content: Vec<u8>) {
            let _ = Records::parse(&content);
        }

        #[test]
        fn what_is_written_is_read(key in "[a-z]{1,20}", value: Vec<u8>) {
            let content = record(&format!("SCHILY.xattr.user.{key}"), &value);
            let records = Records::parse(&content).expect("well formed");
            proptest::prop_assert_eq!(&records.xattrs, &[(format!("user.{key}").into_bytes(), value)]);
        }
    }
}
