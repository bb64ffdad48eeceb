//! The key pair of one container instance. Roadstead's own agent makes its pair itself and brings it along at
//! its first registration, in the instance identity document: what a machine says there of itself is its own
//! affair, other agents send something else or nothing, and an answer that is lost costs nothing, as the agent
//! already has what it asked for. An operator makes the pair for an agent that cannot.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the access key ids begin that agents make themselves.
pub const OF_AGENT: &str = "RSAG";
/// How those begin that an operator made.
pub const OF_OPERATOR: &str = "RSOP";

/// Characters of an access key id, as AWS's have.
const ID_LENGTH: usize = 20;
/// Digits behind those, in a key that an operator made: the account that it is for. Earlier ones have none.
const ACCOUNT_LENGTH: usize = 12;
/// Characters of a secret, at least and at most.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 40..=128;

/// An access key id and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentKey {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// An instance identity document that brings a pair along; unlike EC2's, it has this one member.
#[derive(Serialize, Deserialize)]
struct Document {
    roadstead: AgentKey,
}

impl AgentKey {
    /// The pair as an instance identity document.
    pub fn to_document(&self) -> String {
        let document = Document { roadstead: self.clone() };
        serde_json::to_string(&document).expect("two texts always are JSON")
    }

    /// The pair that an instance identity document brings along, if it is one of ours and well made.
    pub fn from_document(text: &str) -> Option<AgentKey> {
        let Document { roadstead: key } = serde_json::from_str(text).ok()?;
        let secret = key.secret_access_key.as_str();
        let fits = is(&key.access_key_id, OF_AGENT)
            && SECRET_LENGTH.contains(&secret.len())
            && secret.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(key)
    }
}

impl fmt::Debug for AgentKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentKey").field(&self.access_key_id).finish()
    }
}

/// Whether it is an access key id of an agent, of either origin.
pub fn is_of_agent(access_key_id: &str) -> bool {
    is(access_key_id, OF_AGENT) || is(access_key_id, OF_OPERATOR) || account_of(access_key_id).is_some()
}

/// The account that an operator's key names.
pub fn account_of(access_key_id: &str) -> Option<&str> {
    let (id, account) = access_key_id.split_at_checked(ID_LENGTH)?;
    let is_account = account.len() == ACCOUNT_LENGTH && account.bytes().all(|b| b.is_ascii_digit());
    (is(id, OF_OPERATOR) && is_account).then_some(account)
}

fn is(access_key_id: &str, prefix: &str) -> bool {
    let rest = access_key_id.strip_prefix(prefix).filter(|_| access_key_id.len() == ID_LENGTH);
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(access_key_id: &str, secret: &str) -> AgentKey {
        AgentKey { access_key_id: access_key_id.to_owned(), secret_access_key: secret.to_owned() }
    }

    #[test]
    fn a_document_brings_a_pair_along_and_nothing_else_does() {
        let good = key("RSAG0123456789ABCDEF", &"s".repeat(40));
        assert_eq!(AgentKey::from_document(&good.to_document()), Some(good));
        for bad in [
            key("AKIA0123456789ABCDEF", &"s".repeat(40)),
            key("RSOP0123456789ABCDEF", &"s".repeat(40)),
            key("RSAG0123456789abcdef", &"s".repeat(40)),
            key("RSAG0123", &"s".repeat(40)),
            key("RSAG0123456789ABCDEF", "short"),
            key("RSAG0123456789ABCDEF", &"s".repeat(129)),
            key("RSAG0123456789ABCDEF", &" ".repeat(40)),
        ] {
            assert_eq!(AgentKey::from_document(&bad.to_document()), None, "{bad:?}");
        }
        for other in ["", "{}", "x", r#"{"accountId":"1","instanceId":"i-1"}"#, r#"{"roadstead":{}}"#] {
            assert_eq!(AgentKey::from_document(other), None, "{other}");
        }
    }

    #[test]
    fn an_operators_key_names_its_account() {
        let id = "RSOP0123456789ABCDEF";
        assert!(is_of_agent(id) && account_of(id).is_none());
        assert_eq!(account_of(&format!("{id}012345678901")), Some("012345678901"));
        assert!(is_of_agent(&format!("{id}012345678901")));
        for bad in [
            "RSAG0123456789ABCDEF012345678901",
            "RSOP0123456789ABCDEF01234567890A",
            "RSOP0123456789ABCDEF0",
            "é",
        ] {
            assert!(!is_of_agent(bad) && account_of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(
            format!("{:?}", key("RSAG0123456789ABCDEF", "secret")),
            "AgentKey(\"RSAG0123456789ABCDEF\")"
        );
    }
}
