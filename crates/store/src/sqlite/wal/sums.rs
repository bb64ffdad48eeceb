//! The checksum of SQLite's write-ahead log (<https://www.sqlite.org/fileformat2.html#checksum_algorithm>), and what
//! it tells beyond right and wrong: which single byte is not as it was written. Pure.

/// Both halves of a checksum.
pub(super) type Sums = (u32, u32);

fn word(big: bool, bytes: &[u8]) -> u32 {
    let bytes = bytes.try_into().unwrap_or_default();
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// Goes on from `sums` over `bytes`, a multiple of eight. `big`: words begin with their highest byte.
pub(super) fn over(big: bool, sums: Sums, bytes: &[u8]) -> Sums {
    bytes.chunks_exact(8).fold(sums, |(a, b), pair| {
        let a = a.wrapping_add(word(big, &pair[..4])).wrapping_add(b);
        (a, b.wrapping_add(word(big, &pair[4..])).wrapping_add(a))
    })
}

/// The bytes of `bytes`, and their values, each of which alone gives them the checksum `wanted` in the place of
/// `found`. None where more than a byte is wrong.
///
/// The checksum is linear: a word that is off by `d` is off by `d` in both halves right after it (in the second
/// alone, if it is the second of its pair), and each pair behind it multiplies that by one and the same matrix. Going
/// back from the end by its inverse, the difference shows itself at its place. Two halves of 32 bits must agree on
/// one byte, so what a power cut leaves does not pass for this; few wrong bytes that are alike may. But the powers of the matrix repeat themselves
/// soon in their lowest bits: where it is the highest byte of a word that is wrong, others would do as well, and
/// what is said of such bytes is no more than that something is wrong.
pub(super) fn one_byte(big: bool, found: Sums, wanted: Sums, bytes: &[u8]) -> Vec<(usize, u8)> {
    let (mut a, mut b) = (wanted.0.wrapping_sub(found.0), wanted.1.wrapping_sub(found.1));
    let mut culprits = Vec::new();
    for at in (0..bytes.len() / 8).rev().map(|pair| pair * 8) {
        let place = match (a, b) {
            (0, by) => Some((at + 4, by)),
            (a, b) if a == b => Some((at, a)),
            _ => None,
        };
        culprits.extend(place.and_then(|(at, by)| {
            let old: [u8; 4] = bytes[at..at + 4].try_into().ok()?;
            let new = word(big, &old).wrapping_add(by);
            let new = if big { new.to_be_bytes() } else { new.to_le_bytes() };
            only_difference(&old, &new).map(|nth| (at + nth, new[nth]))
        }));
        (a, b) = (a.wrapping_mul(2).wrapping_sub(b), b.wrapping_sub(a));
    }
    culprits
}

/// Where two texts of one length differ, if that is in one place.
pub(super) fn only_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let mut differ = one.iter().zip(other).enumerate().filter(|(_, (a, b))| a != b).map(|(nth, _)| nth);
    let first = differ.next()?;
    differ.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_changed_byte_is_found(
            mut bytes in proptest::collection::vec(any::<u8>(), 4104),
            seed: Sums,
            at in 0..4104usize,
            by in 1..=255u8,
            big: bool,
        ) {
            let wanted = over(big, seed, &bytes);
            let was = bytes[at];
            bytes[at] ^= by;
            let found = one_byte(big, over(big, seed, &bytes), wanted, &bytes);
            prop_assert!(found.contains(&(at, was)), "{found:?}");
            let is_high = at % 4 >= 2 && !big || at % 4 < 2 && big;
            prop_assert!(found.len() == 1 || is_high, "{found:?}");
        }

        /// As a power cut leaves it.
        #[test]
        fn a_page_that_is_half_another_is_not_taken_for_one_with_a_wrong_byte(
            mut bytes in proptest::collection::vec(any::<u8>(), 4104),
            other in proptest::collection::vec(any::<u8>(), 512),
            seed: Sums,
            sector in 0..8usize,
        ) {
            let wanted = over(false, seed, &bytes);
            bytes[8 + sector * 512..][..512].copy_from_slice(&other);
            prop_assert_eq!(one_byte(false, over(false, seed, &bytes), wanted, &bytes), []);
        }
    }
}
