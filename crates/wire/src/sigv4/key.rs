//! Signing keys: four HMACs from a secret to the key of one day, region and service, and a bounded memory of
//! the results, because every request of a client needs the same one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hmac::{Hmac, Mac};
use parking_lot::RwLock;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::signature::Signature;

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// The signing key of one day (`YYYYMMDD`), region and service.
pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let secret = format!("AWS4{secret}");
    [date, region, service, "aws4_request"]
        .iter()
        .fold(None, |key: Option<[u8; 32]>, part| {
            let key = key.as_ref().map_or(secret.as_bytes(), |key| key.as_slice());
            Some(hmac(key, part.as_bytes()))
        })
        .unwrap_or_default()
}

/// Signing keys that were derived lately. At most [`KeyCache::MAX`] of them; when full it starts anew.
#[derive(Default)]
pub struct KeyCache {
    hasher: RandomState,
    keys: RwLock<HashMap<u64, Entry>>,
}

struct Entry {
    scope: String,
    secret: String,
    key: [u8; 32],
}

impl KeyCache {
    /// The most keys kept.
    pub const MAX: usize = 4096;

    /// The signing key for a signature's scope. The secret is compared too, so a key that was replaced is
    /// never used again.
    pub(crate) fn get(&self, secret: &str, signature: &Signature) -> [u8; 32] {
        let scope = &signature.credential;
        let slot = self.hasher.hash_one(scope);
        if let Some(entry) = self.keys.read().get(&slot)
            && entry.scope == *scope
            && bool::from(entry.secret.as_bytes().ct_eq(secret.as_bytes()))
        {
            return entry.key;
        }
        let key = derive(secret, &signature.date, &signature.region, &signature.service);
        let mut keys = self.keys.write();
        if keys.len() >= Self::MAX {
            keys.clear();
        }
        keys.insert(slot, Entry { scope: scope.clone(), secret: secret.to_owned(), key });
        key
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "KeyCache({} keys)", self.keys.read().len())
    }
}
