//! How much there can be of what.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

/// Bytes of what a function is given, and of what it answers, where it is waited for.
pub const PAYLOAD: usize = 6 * 1024 * 1024;
/// Seconds for which a function may run at the most.
pub const TIMEOUT_SECONDS: u64 = 900;
/// Functions that may be configured (ours: each call looks through them).
pub const FUNCTIONS: usize = 1000;
/// Calls of all functions at a time, as an account of Lambda has them.
pub const TOGETHER: usize = 1000;
