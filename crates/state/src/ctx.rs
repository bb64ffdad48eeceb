//! What a command may know of the world: the time, whose account it is, and identifiers drawn from a seed.
//! No clock and no source of randomness is read here.

use std::sync::Arc;

use wire::Timestamp;

use crate::Id128;

/// The time and the caller of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct Ctx {
    /// When the command is carried out.
    pub now: Timestamp,
    /// Twelve digits.
    pub account: Arc<str>,
    /// For example `us-east-1`.
    pub region: Arc<str>,
    /// For example `aws`.
    pub partition: Arc<str>,
    /// Who calls, as an IAM or STS ARN.
    pub caller_arn: Arc<str>,
    /// The container instance whose agent calls; none when a user does.
    pub agent: Option<Id128>,
}

/// Draws identifiers. The same seed gives the same ones; two seeds of good randomness never the same.
#[derive(Debug, Clone)]
pub struct Ids {
    high: SplitMix64,
    low: SplitMix64,
}

impl Ids {
    /// Starts from a seed, which the caller draws from a good source for each command.
    pub fn new(seed: u128) -> Ids {
        Ids { high: SplitMix64((seed >> 64) as u64), low: SplitMix64(seed as u64) }
    }

    /// 128 bits: a container instance.
    pub fn id(&mut self) -> Id128 {
        Id128(u128::from(self.high.next()) << 64 | u128::from(self.low.next()))
    }

    /// 128 bits, of which the last 48 are the time in milliseconds: a task.
    pub fn id_at(&mut self, now: Timestamp) -> Id128 {
        Id128(self.id().0 << 48 | u128::from(now.0.cast_unsigned() & 0xffff_ffff_ffff))
    }

    /// A version 4 UUID: a container, an event, a message.
    pub fn uuid(&mut self) -> String {
        let high = self.high.next() & 0xffff_ffff_ffff_0fff | 0x4000;
        let low = self.low.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        let text = format!("{high:016x}{low:016x}");
        let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
        format!("{a}-{b}-{c}-{d}-{e}")
    }

    /// A number of 19 decimal digits: a revision of a service.
    pub fn number19(&mut self) -> u64 {
        const FIRST: u64 = 1_000_000_000_000_000_000;
        FIRST + (self.high.next() ^ self.low.next()) % (9 * FIRST)
    }

    /// 21 characters of base64url: a deployment of a service.
    pub fn base64url21(&mut self) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bits = self.id().0;
        (0..21).map(|at| char::from(DIGITS[(bits >> (6 * at) & 63) as usize])).collect()
    }

    /// 43 characters of base64url: a hook that a deployment came to.
    pub fn base64url43(&mut self) -> String {
        let mut text = self.base64url21() + &self.base64url21() + &self.base64url21();
        text.truncate(43);
        text
    }

    /// 64 bits, the seed of one choice.
    pub fn seed(&mut self) -> u64 {
        self.low.next()
    }

    /// A number below `bound`, or 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.low.next()) * bound as u128) >> 64) as usize
    }
}

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014).
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_form_and_follow_the_seed() {
        let (mut one, mut same, mut other) = (Ids::new(7), Ids::new(7), Ids::new(7 << 64));
        for _ in 0..1000 {
            let (id, uuid, digits) = (one.id(), one.uuid(), one.number19().to_string());
            assert_eq!((id, &uuid, &digits), (same.id(), &same.uuid(), &same.number19().to_string()));
            let short = one.base64url21();
            assert_eq!(short, same.base64url21());
            assert_ne!(id, other.id());
            assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
            let is_url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(short.len() == 21 && short.chars().all(is_url), "{short}");
            assert!(digits.len() == 19 && !digits.starts_with('0'), "{digits}");
            assert!(one.below(3) < 3 && same.below(3) < 3);
        }
        assert_eq!(one.below(0), 0);
    }
}
