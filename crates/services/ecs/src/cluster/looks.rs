//! How many rows are looked at: what a step costs, told without a clock. Counted in tests alone, where rows are
//! handed out; elsewhere it is nothing at all.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static ROWS: Cell<usize> = const { Cell::new(0) };
}

/// A row, or an entry of an index, is looked at.
pub fn one() {
    #[cfg(test)]
    ROWS.with(|rows| rows.set(rows.get() + 1));
}

/// How many were looked at since this was asked for the last time.
#[cfg(test)]
pub fn taken() -> usize {
    ROWS.with(|rows| rows.replace(0))
}
