//! CloudWatch Logs, as its API has it: the table of operations, and each of them from input to output on the store
//! (`logs`) that keeps the data. No executor and no clock: what waits for the disk is run by whoever may wait.
//!
//! [`api`] is what it offers; the store does the work. Here only the API's types become the store's, and back.

pub mod api;
mod arn;
mod error;
mod events;
mod groups;
#[cfg(test)]
mod tests;

use logs::Logs as Store;
use state::Ctx;
use wire::{Error, schema};

pub use error::of as failed;

/// What a call works on.
#[derive(Clone)]
pub struct Context {
    /// That of the caller's account and region.
    pub store: Store,
    /// Who asks, and when.
    pub ctx: Ctx,
    /// Which errors there are depends on it.
    pub operation: &'static schema::Operation,
}

impl Context {
    /// When the call came in, in milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.ctx.now.as_millis()
    }

    /// A store's failure as this operation says it.
    fn failed(&self, error: logs::Error) -> Error {
        failed(self.operation, error)
    }
}
