//! Tokens, each a file of its own in the data directory: written by `roadstead token` and by the trade alone, under a lock, so
//! that one is good once, whoever dies in between. A secret is there as its hash.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_protocol::join::{Reason, Refused, SKEW_MS, Trade, hash, is_id};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use wire::Timestamp;

use crate::kept::{self, Lock};

/// The longest that a token is good.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tokens that there may be, with those that are kept to say what became of them.
const MOST: usize = 1000;
/// How long it is remembered what became of a token, in milliseconds.
const REMEMBERED: i64 = 7 * 24 * 3600 * 1000;
/// How long whoever traded a token may ask again, in milliseconds: its key has to be used within a day.
const AGAIN: i64 = 24 * 3600 * 1000;
/// Bytes of a token's file.
const BYTES: u64 = 4096;

/// Why something cannot be done with tokens.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("there are {MOST} tokens already")]
    Full,
    #[error("a token is good for a second at least, and for seven days at most")]
    Ttl,
    #[error("there is no token {0}")]
    Unknown(String),
    #[error("the token was traded already: the host that has it joined as {0}")]
    Used(String),
}

/// All tokens of a data directory.
#[derive(Debug, Clone)]
pub struct Tokens {
    dir: PathBuf,
}

/// What a new token is for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub account: String,
    pub region: String,
    /// The cluster that the host is told to register into; the control plane's own without one.
    pub cluster: Option<String>,
    /// How long it is good.
    pub ttl: Duration,
}

/// A new token. The secret is nowhere else.
pub struct Made {
    pub id: String,
    pub secret: String,
    pub expires: Timestamp,
}

/// A token, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    /// That it names, if it names one.
    pub cluster: Option<String>,
    pub made: Timestamp,
    pub expires: Timestamp,
    pub fate: Fate,
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It may be traded.
    Waits,
    Expired,
    Revoked,
    /// Traded, for that access key.
    Used(String),
}

/// A token, as it is stored. Times are milliseconds since 1970.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Row {
    v: u32,
    id: String,
    /// Of the secret.
    hash: String,
    account: String,
    pub region: String,
    pub cluster: Option<String>,
    made: i64,
    expires: i64,
    #[serde(default)]
    revoked: Option<i64>,
    #[serde(default)]
    used: Option<Used>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Used {
    at: i64,
    /// Of the number that the host said.
    claim: String,
    access_key: String,
}

impl Tokens {
    /// Those in this folder, which is made with the first one.
    pub fn new(dir: PathBuf) -> Tokens {
        Tokens { dir }
    }

    /// Makes one.
    ///
    /// # Errors
    /// Where there are too many, it would be good for too long, or the disk does not take it.
    pub fn create(&self, wish: &Wish, now: Timestamp) -> Result<Made, Error> {
        if wish.ttl < Duration::from_secs(1) || wish.ttl > LONGEST {
            return Err(Error::Ttl);
        }
        let _lock = self.lock()?;
        self.sweep(now)?;
        if self.ids()?.len() >= MOST {
            return Err(Error::Full);
        }
        let random = || uuid::Uuid::new_v4().simple().to_string();
        // 244 random bits.
        let (id, secret) = (random()[..16].to_owned(), format!("{}{}", random(), random()));
        let expires = now.0.saturating_add(i64::try_from(wish.ttl.as_millis()).unwrap_or_default());
        let row = Row {
            v: 1,
            id: id.clone(),
            hash: hash(secret.as_bytes()),
            account: wish.account.clone(),
            region: wish.region.clone(),
            cluster: wish.cluster.clone(),
            made: now.0,
            expires,
            revoked: None,
            used: None,
        };
        self.write(&row)?;
        Ok(Made { id, secret, expires: Timestamp(expires) })
    }

    /// All of them, the oldest first, with those that are over and still remembered.
    ///
    /// # Errors
    /// As the disk has them. What cannot be read is none.
    pub fn list(&self, now: Timestamp) -> Result<Vec<Listed>, Error> {
        let mut rows: Vec<Row> = self.ids()?.iter().filter_map(|id| self.read(id).ok().flatten()).collect();
        rows.sort_by(|a, b| (a.made, &a.id).cmp(&(b.made, &b.id)));
        let listed = |row: Row| Listed {
            fate: row.fate(now),
            made: Timestamp(row.made),
            expires: Timestamp(row.expires),
            id: row.id,
            cluster: row.cluster,
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Has a token be good no more.
    ///
    /// # Errors
    /// Where there is none, or it was traded: then there is a host, which is another matter.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let _lock = self.lock()?;
        let row = if is_id(id) { self.read(id)? } else { None };
        let mut row = row.ok_or_else(|| Error::Unknown(id.to_owned()))?;
        if let Some(used) = row.used {
            return Err(Error::Used(used.access_key));
        }
        row.revoked.get_or_insert(now.0);
        self.write(&row)
    }

    /// Trades a token, for the key that `make` makes for its account; who has traded it already, and says the same number, gets
    /// the same key.
    pub(super) fn trade(
        &self,
        trade: &Trade,
        make: impl FnOnce(&str) -> String,
        now: Timestamp,
    ) -> Result<(Row, String), Refused> {
        let refuse = |error, message: String| Err(Refused { error, message });
        check_clock(trade, now)?;
        if !(16..=128).contains(&trade.claim.len()) {
            return refuse(Reason::Malformed, "this is no trade".to_owned());
        }
        let _lock = self.lock().map_err(failed)?;
        let row = if is_id(&trade.id) { self.read(&trade.id).map_err(failed)? } else { None };
        let is_secret =
            |row: &Row| bool::from(row.hash.as_bytes().ct_eq(hash(trade.secret.as_bytes()).as_bytes()));
        let Some(mut row) = row.filter(is_secret) else {
            let text = "the control plane does not know the token: it was made elsewhere, or ended more than a week ago";
            return refuse(Reason::Unknown, text.to_owned());
        };
        let claim = hash(trade.claim.as_bytes());
        match row.used.clone() {
            Some(used) if used.claim == claim && (0..AGAIN).contains(&(now.0 - used.at)) => {
                return Ok((row, used.access_key));
            }
            Some(used) => {
                let at = Timestamp(used.at).to_iso8601();
                return refuse(
                    Reason::Used,
                    format!("the token was used at {at}: a token brings in one host"),
                );
            }
            None => {}
        }
        match row.fate(now) {
            Fate::Revoked => return refuse(Reason::Revoked, "the token was revoked".to_owned()),
            Fate::Expired => {
                let at = Timestamp(row.expires).to_iso8601();
                return refuse(Reason::Expired, format!("the token ended at {at}"));
            }
            Fate::Waits | Fate::Used(_) => {}
        }
        let access_key = make(&row.account);
        row.used = Some(Used { at: now.0, claim, access_key: access_key.clone() });
        self.write(&row).map_err(failed)?;
        Ok((row, access_key))
    }

    /// Forgets those that have been over for long.
    fn sweep(&self, now: Timestamp) -> Result<(), Error> {
        for id in self.ids()? {
            // One that cannot be read is good for nothing, and nobody else's.
            let over = self.read(&id).ok().flatten().is_none_or(|row| row.over_at() + REMEMBERED < now.0);
            if over {
                let path = self.path(&id);
                fs::remove_file(&path).map_err(|source| Error::File { path, source })?;
            }
        }
        Ok(())
    }

    fn ids(&self) -> Result<Vec<String>, Error> {
        let told = |source| Error::File { path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(told)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(told)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.filter(|id| is_id(id)).map(str::to_owned));
        }
        Ok(ids)
    }

    /// `None` where there is none, or none that can be read.
    fn read(&self, id: &str) -> Result<Option<Row>, Error> {
        let path = self.path(id);
        match kept::read(&path, BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { path, source }),
            Ok(bytes) => {
                Ok(serde_json::from_slice::<Row>(&bytes).ok().filter(|row| row.v == 1 && row.id == id))
            }
        }
    }

    fn write(&self, row: &Row) -> Result<(), Error> {
        let path = self.path(&row.id);
        // Numbers and texts always are JSON.
        let json = serde_json::to_vec(row).unwrap_or_default();
        kept::write(&path, &json, 0o600).map_err(|source| Error::File { path, source })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.dir).map_err(|source| Error::File { path: Path::to_owned(&self.dir), source })
    }
}

impl Row {
    fn fate(&self, now: Timestamp) -> Fate {
        match &self.used {
            Some(used) => Fate::Used(used.access_key.clone()),
            None if self.revoked.is_some() => Fate::Revoked,
            None if self.expires <= now.0 => Fate::Expired,
            None => Fate::Waits,
        }
    }

    fn over_at(&self) -> i64 {
        self.used.as_ref().map(|used| used.at).or(self.revoked).unwrap_or(self.expires)
    }
}

/// Before anything else: with such a clock the host could not sign anything either.
fn check_clock(trade: &Trade, now: Timestamp) -> Result<(), Refused> {
    let ahead = trade.now.saturating_sub(now.0);
    if ahead.unsigned_abs() <= SKEW_MS.unsigned_abs() {
        return Ok(());
    }
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!(
        "this host's clock is {} s {which} the control plane's, which says {}: set the one that is wrong",
        ahead.unsigned_abs() / 1000,
        now.to_iso8601()
    );
    Err(Refused { error: Reason::Clock, message })
}

fn failed(error: Error) -> Refused {
    tracing::error!(%error, "a token could not be traded");
    let message = "the control plane could not read or write its tokens; its log says why".to_owned();
    Refused { error: Reason::Failed, message }
}

#[cfg(test)]
mod tests;
