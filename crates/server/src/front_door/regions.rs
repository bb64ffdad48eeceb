//! Which regions this control plane is.

use std::{collections::BTreeSet, sync::Arc};

/// The longest name of a region, in bytes.
const LONGEST: usize = 32;

/// The region of whoever names none, and the others.
#[derive(Debug, Clone)]
pub struct Regions {
    own: Arc<str>,
    others: Others,
}

#[derive(Debug, Clone)]
enum Others {
    Listed(BTreeSet<Arc<str>>),
    Any,
}

impl Regions {
    /// `own` and those that are listed.
    pub fn new(own: &str, listed: impl IntoIterator<Item = String>) -> Regions {
        Regions { own: own.into(), others: Others::Listed(listed.into_iter().map(Arc::from).collect()) }
    }

    /// Every region that there may be.
    pub fn any(own: &str) -> Regions {
        Regions { own: own.into(), others: Others::Any }
    }

    /// Whether a request that was signed for a region is answered.
    pub fn has(&self, region: &str) -> bool {
        match &self.others {
            _ if region == &*self.own => true,
            Others::Listed(listed) => listed.contains(region),
            Others::Any => is_name(region),
        }
    }

    /// The region that a request is for: the one that it was signed for, or the own one where that is none of ours.
    pub fn of(&self, region: &str) -> Arc<str> {
        if region == &*self.own || !self.has(region) { self.own.clone() } else { region.into() }
    }
}

/// Lower-case letters, digits and hyphens: what a region's name is made of. It becomes a part of keys and paths.
pub fn is_name(region: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST).contains(&region.len()) && region.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_region_that_it_was_signed_for_where_that_is_ours() {
        let one = Regions::new("us-east-1", ["eu-west-1".to_owned()]);
        for (region, has, of) in [
            ("us-east-1", true, "us-east-1"),
            ("eu-west-1", true, "eu-west-1"),
            ("eu-west-2", false, "us-east-1"),
        ] {
            assert_eq!((one.has(region), &*one.of(region)), (has, of));
        }
        let any = Regions::any("us-east-1");
        assert!(any.has("ap-south-2") && &*any.of("ap-south-2") == "ap-south-2");
        for bad in ["", "..", "a/b", "US-EAST-1", &"x".repeat(33)] {
            assert!(!any.has(bad) && &*any.of(bad) == "us-east-1", "{bad}");
        }
    }
}
