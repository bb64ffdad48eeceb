//! What one step of any domain may change, and how long what broke is left alone.

/// Changed rows after which a step leaves the rest to the next one, so that it fits into one commit of the
/// store even behind others of the same batch.
pub const STEP_CHANGES: usize = 1000;
/// Likewise, about how many bytes of them.
pub const STEP_BYTES: usize = 2 << 20;
/// Changed rows of a batch behind which no other step begins: half of what one commit of the store takes.
pub const BATCH_CHANGES: usize = 2048;
/// Likewise, about how many bytes of them.
pub const BATCH_BYTES: usize = 4 << 20;
/// Rows whose time has come that one batch looks at; the next one follows at once while more are due.
pub const DUE: usize = 256;
/// Events of one shard that nobody has taken yet; beyond, the oldest are lost, and counted.
pub const EVENTS_WAITING: usize = 10_000;
/// Likewise, about how many bytes of them.
pub const EVENTS_WAITING_BYTES: usize = 32 << 20;
/// What breaks an assertion is set aside for so long, and then tried again.
pub const ASIDE_MS: i64 = 60_000;
