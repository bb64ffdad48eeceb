//! Reads all rows from the store at start.

use std::collections::BTreeMap;

use brain::{
    Cluster,
    account::{self, Account},
    cluster::{Change, Row, change::Unreadable},
};
use store::{Entry, Span, Store};

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the state cannot be read")]
    Store(#[from] store::Error),
    #[error("the state holds a row that this version cannot read")]
    Row(#[from] Unreadable),
    #[error("the state holds rows of cluster {0}, but not the cluster")]
    NoCluster(String),
}

/// All rows.
pub struct Rows {
    pub account: Account,
    pub clusters: BTreeMap<String, Cluster>,
}

/// Reads them.
pub fn load(store: &dyn Store) -> Result<Rows, Error> {
    let mut account = Account::default();
    let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut failed = None;
    store.scan(&Span::all(), &mut |entry: Entry| {
        if let Err(error) = take(&entry, &mut account, &mut rows) {
            failed.get_or_insert(error);
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Rows { account, clusters: clusters(rows)? }),
    }
}

fn take(
    entry: &Entry,
    account: &mut Account,
    rows: &mut BTreeMap<String, Vec<Row>>,
) -> Result<(), Unreadable> {
    let Some(rest) = entry.key.strip_prefix("c/") else {
        account.apply(&account::Change::Put(account::Row::decode(&entry.key, &entry.value)?));
        return Ok(());
    };
    let cluster = rest.split('/').next().unwrap_or_default().to_owned();
    rows.entry(cluster).or_default().push(Row::decode(&entry.key, &entry.value)?);
    Ok(())
}

fn clusters(rows: BTreeMap<String, Vec<Row>>) -> Result<BTreeMap<String, Cluster>, Error> {
    let mut clusters = BTreeMap::new();
    for (name, rows) in rows {
        let own = rows.iter().find_map(|row| match row {
            Row::Cluster(row) => Some(row.as_ref().clone()),
            _ => None,
        });
        let mut cluster = Cluster::new(own.ok_or_else(|| Error::NoCluster(name.clone()))?);
        for row in rows {
            cluster.apply(&Change::Put(row));
        }
        clusters.insert(name, cluster);
    }
    Ok(clusters)
}
