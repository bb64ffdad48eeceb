//! Shards: whose rows stand together. A key in the store is `<account>/<region>/<service>/<shard>/<kind>/<id>`.

use std::{fmt, sync::Arc};

/// The shard of a service that has one for each account and region, or of what such a service keeps beside its
/// named shards. No cluster, bus or group can have this name.
pub const MAIN: &str = "@";

/// One domain's state for one account and region: the unit that has one writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// Twelve digits.
    pub account: Arc<str>,
    /// For example `us-east-1`.
    pub region: Arc<str>,
    /// The service's name in the models, for example `ecs`.
    pub service: &'static str,
    /// [`MAIN`], or for ECS the cluster's name.
    pub name: Arc<str>,
}

/// The parts of a key in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    pub shard: &'a str,
    /// `<kind>/<id>`, or a kind alone.
    pub row: &'a str,
}

impl ShardId {
    /// Where all its keys begin, `/` included.
    pub fn prefix(&self) -> String {
        let ShardId { account, region, service, name } = self;
        format!("{account}/{region}/{service}/{name}/")
    }

    /// The key of a row in the store.
    pub fn key(&self, row: &str) -> String {
        let ShardId { account, region, service, name } = self;
        format!("{account}/{region}/{service}/{name}/{row}")
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShardId { account, region, service, name } = self;
        write!(f, "{account}/{region}/{service}/{name}")
    }
}

impl<'a> KeyParts<'a> {
    /// Takes a key apart; `None` if it is none of a shard's row.
    pub fn parse(key: &'a str) -> Option<KeyParts<'a>> {
        let mut parts = key.splitn(5, '/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (account, region, service, shard, row) = (part()?, part()?, part()?, part()?, part()?);
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account.then_some(KeyParts { account, region, service, shard, row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_as_they_were_put_together() {
        let shard = ShardId {
            account: "000000000000".into(),
            region: "eu-west-1".into(),
            service: "ecs",
            name: "default".into(),
        };
        let key = shard.key("task/1");
        assert_eq!(key, "000000000000/eu-west-1/ecs/default/task/1");
        assert!(key.starts_with(&shard.prefix()));
        let parts = KeyParts::parse(&key).unwrap();
        let rest = (parts.account, parts.region, parts.service, parts.shard, parts.row);
        assert_eq!(rest, ("000000000000", "eu-west-1", "ecs", "default", "task/1"));
        for bad in ["", "c/default/task/1", "a/td/x/1", "000000000000/r/ecs/@", "00000000000x/r/ecs/@/k"] {
            assert_eq!(KeyParts::parse(bad), None, "{bad}");
        }
    }
}
