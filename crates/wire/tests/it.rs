//! What `wire` does against other implementations: the signing test suite, the AWS SDK's signer, botocore.

// Helpers of tests are not in `#[test]` functions, where unwrap is allowed.
#![allow(clippy::unwrap_used)]

#[path = "it/golden.rs"]
mod golden;
#[path = "it/oracle.rs"]
mod oracle;
#[path = "it/probe.rs"]
mod probe;
#[path = "it/signing_suite.rs"]
mod signing_suite;
