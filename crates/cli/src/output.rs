//! What commands say on standard output. Whoever reads it may leave early (`| head -1`), or never be there:
//! the command's work is done all the same, so a line that nobody takes is no error.

use std::fmt::Arguments;
use std::io::Write;

/// `println!` that never panics.
macro_rules! say {
    ($($words:tt)*) => { $crate::output::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// See [`say!`].
pub fn line(words: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{words}");
}
