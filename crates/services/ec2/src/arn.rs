//! ARNs.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>

use crate::Ctx;

/// The ARN of a thing: its kind in an ARN, and its identifier.
pub fn of(ctx: &Ctx, kind: &str, id: impl std::fmt::Display) -> String {
    let Ctx { partition, region, account, .. } = ctx;
    format!("arn:{partition}:ec2:{region}:{account}:{kind}/{id}")
}
