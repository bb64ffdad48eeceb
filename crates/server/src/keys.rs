//! The access keys of this control plane: the account's administrator, the key that only brings new agents in,
//! and the key of each container instance's agent.

use std::{collections::BTreeMap, sync::Arc};

use agent_protocol::agent_key;

use crate::{
    front_door::{Key, Keys},
    gate::{Caller, Role},
    runtime::{Identity, now},
    services::ecs::Homes,
};

/// Both halves of the pair that everybody knows.
pub const KNOWN: &str = "test";

/// How long a key that an operator made may wait for its first registration, in seconds: as an activation of
/// AWS's Systems Manager.
const UNBOUND_S: i64 = 24 * 3600;

/// A fixed set of keys, and those of agents; in the mode that accepts any key, every other key is the
/// administrator's too.
pub struct KeyRing {
    keys: BTreeMap<String, Arc<Key>>,
    agents: Option<Agents>,
    administrator: Option<Caller>,
    /// Whether twelve digits are a key: the partition that such accounts are of.
    by_account: Option<String>,
}

struct Agents {
    homes: Arc<Homes>,
    operator: OperatorKeys,
}

/// An access key and its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyPair {
    pub access_key: String,
    pub secret: String,
}

/// Makes key pairs for agents that bring none along. Nothing of them is stored: the access key holds the time,
/// and the secret follows from it.
#[derive(Clone)]
pub struct OperatorKeys {
    master: String,
}

impl OperatorKeys {
    /// `master` is this control plane's own secret.
    pub fn new(master: impl Into<String>) -> OperatorKeys {
        OperatorKeys { master: master.into() }
    }

    /// A new pair, good for a first registration in that account within a day. `account` is twelve digits.
    pub fn create(&self, account: &str, now: wire::Timestamp) -> KeyPair {
        let random = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        let seconds = u32::try_from(now.as_millis() / 1000).unwrap_or_default();
        self.pair(&format!("{}{seconds:08X}{}{account}", agent_key::OF_OPERATOR, &random[..8]))
    }

    /// The pair of an access key that was made here.
    pub fn pair(&self, access_key: &str) -> KeyPair {
        KeyPair { access_key: access_key.to_owned(), secret: self.secret(access_key) }
    }

    fn secret(&self, access_key: &str) -> String {
        wire::sigv4::derived_secret(&self.master, access_key)
    }

    /// Whether the key may still register a container instance for the first time.
    fn is_fresh(access_key: &str, now: wire::Timestamp) -> bool {
        let made = access_key.get(agent_key::OF_OPERATOR.len()..agent_key::OF_OPERATOR.len() + 8);
        let made = made.and_then(|digits| i64::from_str_radix(digits, 16).ok());
        made.is_some_and(|made| now.as_millis() / 1000 - made < UNBOUND_S)
    }
}

/// The account's root, as a caller that signs with `access_key`.
pub fn administrator(partition: &str, account: &str, access_key: &str) -> Caller {
    Caller {
        account: account.into(),
        arn: format!("arn:{partition}:iam::{account}:root").into(),
        user_id: account.into(),
        access_key: access_key.into(),
        role: Role::User,
    }
}

/// An agent, as a caller that signs with `access_key`.
fn agent(partition: &str, account: &str, access_key: &str, role: Role) -> Caller {
    Caller {
        account: account.into(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/roadstead-agent/{access_key}").into(),
        user_id: format!("ROADSTEADAGENT:{access_key}").into(),
        access_key: access_key.into(),
        role,
    }
}

impl KeyRing {
    /// No keys at all.
    pub fn new() -> KeyRing {
        KeyRing { keys: BTreeMap::new(), agents: None, administrator: None, by_account: None }
    }

    /// Adds a key of an administrator.
    pub fn with(self, pair: &KeyPair, caller: Caller) -> KeyRing {
        self.add(pair, caller)
    }

    /// Adds a key of an administrator that everybody knows: it serves only whom the kernel vouches for.
    pub fn with_known(mut self, pair: &KeyPair, caller: Caller) -> KeyRing {
        let key = Key { known: true, ..key(pair.secret.clone(), caller) };
        self.keys.insert(pair.access_key.clone(), Arc::new(key));
        self
    }

    /// Takes twelve digits as the key of that account's administrator, with the secret of the known pair: it serves
    /// only whom the kernel vouches for, too.
    pub fn with_accounts(mut self, partition: &str) -> KeyRing {
        self.by_account = Some(partition.to_owned());
        self
    }

    /// Adds the key that agents share, which only brings new ones in.
    pub fn with_new_agents(self, pair: &KeyPair, identity: &Identity) -> KeyRing {
        let caller = agent(&identity.partition, &identity.account, &pair.access_key, Role::NewAgent);
        self.add(pair, caller)
    }

    /// Adds the keys that are bound to container instances, and those that an operator made for some.
    pub fn with_agents(mut self, homes: Arc<Homes>, operator: OperatorKeys) -> KeyRing {
        self.agents = Some(Agents { homes, operator });
        self
    }

    fn add(mut self, pair: &KeyPair, caller: Caller) -> KeyRing {
        let key = key(pair.secret.clone(), caller);
        self.keys.insert(pair.access_key.clone(), Arc::new(key));
        self
    }

    /// Takes any other key, whatever its signature, as this administrator's.
    pub fn accepting_any(mut self, administrator: Caller) -> KeyRing {
        self.administrator = Some(administrator);
        self
    }
}

fn key(secret: String, caller: Caller) -> Key {
    Key { secret: Some(secret), session_token: None, expires: None, caller, known: false, region: None }
}

impl Agents {
    fn find(&self, access_key: &str) -> Option<Arc<Key>> {
        let home = self.homes.of_agent_key(access_key);
        let by_operator = access_key.starts_with(agent_key::OF_OPERATOR);
        let Identity { account, partition, .. } = self.homes.runtime().identity();
        let bound = home.as_ref().and_then(|home| home.account().state.agent_key(access_key).cloned());
        let place = home.as_ref().map(|home| home.place());
        let (account, role, secret) = match bound {
            Some(row) => {
                let secret = row.secret.clone().unwrap_or_else(|| self.operator.secret(access_key));
                let (cluster, instance) = (row.cluster.as_str().into(), row.instance.to_string().into());
                let account = place.map_or(account.as_str(), |place| &place.0);
                (account, Role::Agent { cluster, instance }, secret)
            }
            None if by_operator && OperatorKeys::is_fresh(access_key, now()) => {
                let account = agent_key::account_of(access_key).unwrap_or(account);
                (account, Role::NewAgentOfOperator, self.operator.secret(access_key))
            }
            None => return None,
        };
        let key = key(secret, agent(partition, account, access_key, role));
        Some(Arc::new(Key { region: place.map(|place| place.1.clone()), ..key }))
    }
}

impl Default for KeyRing {
    fn default() -> Self {
        KeyRing::new()
    }
}

impl Keys for KeyRing {
    fn find(&self, access_key: &str) -> Option<Arc<Key>> {
        if let Some(key) = self.keys.get(access_key) {
            return Some(key.clone());
        }
        if agent_key::is_of_agent(access_key) {
            return self.agents.as_ref()?.find(access_key);
        }
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        if is_account && let Some(partition) = &self.by_account {
            let caller = administrator(partition, access_key, access_key);
            let secret = self.administrator.is_none().then(|| KNOWN.to_owned());
            return Some(Arc::new(Key { secret, known: true, ..key(String::new(), caller) }));
        }
        let caller = self.administrator.clone()?;
        let caller = Caller { access_key: access_key.into(), ..caller };
        Some(Arc::new(Key { secret: None, known: true, ..key(String::new(), caller) }))
    }
}

#[cfg(test)]
mod tests;
