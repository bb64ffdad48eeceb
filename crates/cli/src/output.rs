//! What commands say on standard output. Whoever reads it may leave early (`| head -1`), or never be there:
//! the command's work is done all the same, so a line that nobody takes is no error.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};

/// `println!` that never panics.
macro_rules! say {
    ($($words:tt)*) => { $crate::output::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// See [`say!`].
pub fn line(words: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{words}");
}

/// Whether standard error is a terminal, and nobody asked for plain text (`NO_COLOR`, a terminal that can
/// nothing else): colours in a file or in a journal are noise.
pub fn stderr_takes_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let dumb = set("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal() && set("NO_COLOR").is_none() && !dumb
}
