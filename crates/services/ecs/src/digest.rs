//! A number for texts by which indexes and slots know them: short, of one size, and the same in every build.

/// A number for some texts, never 0 (FNV-1a). Two that differ may have the same one, though hardly ever by chance:
/// whoever must be certain looks at the row as well.
pub fn digest(texts: &[&str]) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    // What no text holds stands between two of them.
    let bytes = texts
        .iter()
        .enumerate()
        .flat_map(|(at, text)| (at > 0).then_some(0xff).into_iter().chain(text.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, mix).max(1)
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn texts_are_told_apart_by_where_one_ends() {
        let all: [&[&str]; 5] = [&[""], &["", ""], &["ab"], &["a", "b"], &["", "ab"]];
        let numbers: std::collections::BTreeSet<u64> = all.into_iter().map(digest).collect();
        assert_eq!(numbers.len(), all.len());
        assert_eq!(digest(&["a"]), 0xaf63_dc4c_8601_ec8c, "as FNV-1a is defined");
    }
}
