//! Cuts a stream of bytes into lines. Pure.

/// Longest line in one record, in bytes, as Docker cuts them.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;

/// The part of a stream after its last line's end. Takes memory only while there is such a part.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Calls `line(data, partial)` for every line that `bytes` ends, and for every full piece of one
    /// that is too long.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8], bool)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.add(head, &mut line);
            line(&self.rest, false);
            self.rest.clear();
            bytes = &tail[1..];
        }
        self.add(bytes, &mut line);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }

    /// The stream has ended: what is left is a line too.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8], bool)) {
        if !self.rest.is_empty() {
            line(&self.rest, false);
            self.rest = Vec::new();
        }
    }

    /// Adds a piece without a line's end. A full buffer goes only when more comes, so that a line of
    /// exactly the limit is whole.
    fn add(&mut self, mut piece: &[u8], line: &mut impl FnMut(&[u8], bool)) {
        while !piece.is_empty() {
            if self.rest.len() == LINE_BYTES_MAX {
                line(&self.rest, true);
                self.rest.clear();
            }
            let take = piece.len().min(LINE_BYTES_MAX - self.rest.len());
            self.rest.extend_from_slice(&piece[..take]);
            piece = &piece[take..];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |data, partial| out.push((data.to_vec(), partial)));
        }
        lines.finish(|data, partial| out.push((data.to_vec(), partial)));
        out
    }

    #[test]
    fn lines_empty_lines_and_a_last_line_without_end() {
        let want = [(b"a".to_vec(), false), (b"".to_vec(), false), (b"bc".to_vec(), false)];
        assert_eq!(cut(&[b"a\n\nb", b"c"]), want);
        assert_eq!(cut(&[b"a\n\nbc\n"]), want);
    }

    #[test]
    fn a_line_of_the_limit_is_whole_and_a_longer_one_is_cut() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(cut(&[&text, b"\n"]), [(text.clone(), false)]);
        text.push(b'y');
        assert_eq!(cut(&[&text, b"\n"]), [(text[..LINE_BYTES_MAX].to_vec(), true), (b"y".to_vec(), false)]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_however_the_stream_is_cut(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a')], 0..200),
            at in 0usize..200,
        ) {
            let (head, tail) = text.split_at(at.min(text.len()));
            let cut = cut(&[head, tail]);
            let mut joined = Vec::new();
            for (data, partial) in &cut {
                joined.extend_from_slice(data);
                if !partial { joined.push(b'\n'); }
            }
            let mut want = text.clone();
            if want.last().is_some_and(|b| *b != b'\n') { want.push(b'\n'); }
            prop_assert_eq!(joined, want);
        }
    }
}
