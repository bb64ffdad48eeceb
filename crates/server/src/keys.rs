//! The access keys of this control plane: the account's administrator, and this host's agent.

use std::{collections::BTreeMap, sync::Arc};

use crate::front_door::{Caller, Key, Keys};

/// What an agent calls (agent protocol, section a.2), and what its awslogs driver does.
const AGENT: &[&str] = &[
    "RegisterContainerInstance",
    "DiscoverPollEndpoint",
    "SubmitTaskStateChange",
    "SubmitContainerStateChange",
    "SubmitAttachmentStateChanges",
    "UpdateContainerInstancesState",
    "ListTagsForResource",
    "CreateLogGroup",
    "CreateLogStream",
    "PutLogEvents",
];

/// A fixed set of keys; in the mode that accepts any key, every other key is the administrator's too.
pub struct KeyRing {
    keys: BTreeMap<String, Arc<Key>>,
    administrator: Option<Caller>,
}

/// An access key and its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyPair {
    pub access_key: String,
    pub secret: String,
}

/// The account's root, as a caller that signs with `access_key`.
pub fn administrator(partition: &str, account: &str, access_key: &str) -> Caller {
    Caller {
        account: account.into(),
        arn: format!("arn:{partition}:iam::{account}:root").into(),
        user_id: account.into(),
        access_key: access_key.into(),
    }
}

/// An agent, as a caller that signs with `access_key`.
pub fn agent(partition: &str, account: &str, access_key: &str) -> Caller {
    Caller {
        account: account.into(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/roadstead-agent/{access_key}").into(),
        user_id: format!("ROADSTEADAGENT:{access_key}").into(),
        access_key: access_key.into(),
    }
}

impl KeyRing {
    /// No keys at all.
    pub fn new() -> KeyRing {
        KeyRing { keys: BTreeMap::new(), administrator: None }
    }

    /// Adds a key of an administrator.
    pub fn with(self, pair: &KeyPair, caller: Caller) -> KeyRing {
        self.add(pair, caller, None)
    }

    /// Adds a key of an agent, which may call what agents call and nothing else.
    pub fn with_agent(self, pair: &KeyPair, caller: Caller) -> KeyRing {
        self.add(pair, caller, Some(AGENT))
    }

    fn add(mut self, pair: &KeyPair, caller: Caller, may: Option<&'static [&'static str]>) -> KeyRing {
        let secret = Some(pair.secret.clone());
        let key = Key { secret, session_token: None, expires: None, caller, may };
        self.keys.insert(pair.access_key.clone(), Arc::new(key));
        self
    }

    /// Takes any other key, whatever its signature, as this administrator's.
    pub fn accepting_any(mut self, administrator: Caller) -> KeyRing {
        self.administrator = Some(administrator);
        self
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
        let caller = self.administrator.clone()?;
        let caller = Caller { access_key: access_key.into(), ..caller };
        Some(Arc::new(Key { secret: None, session_token: None, expires: None, caller, may: None }))
    }
}
