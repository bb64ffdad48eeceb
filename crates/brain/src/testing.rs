//! What several tests of this crate share.

use crate::ctx::Ctx;

/// A fixed time and the default account.
pub fn ctx() -> Ctx {
    Ctx {
        now: wire::Timestamp(1_700_000_000_000),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        partition: "aws".to_owned(),
        caller_arn: "arn:aws:iam::000000000000:root".to_owned(),
    }
}
