//! What operations are authorised on: ARNs from inputs alone. Nothing here knows whether a resource exists.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>

use serde_json::Value;
use state::{Ctx, api::texts};

use crate::{arn, rows::Resource};

/// The ARNs of resources: of each kind those that a member names, or any where there is no member, as of what is made.
pub fn each(ctx: &Ctx, input: &Value, of: &[(&str, &str)]) -> Vec<String> {
    let mut all = Vec::new();
    for (kind, member) in of {
        match *member {
            "" => all.push(arn::of(ctx, kind, "*")),
            member => all.extend(texts(input, member).iter().map(|id| arn::of(ctx, kind, id))),
        }
    }
    if all.is_empty() {
        all.push("*".to_owned());
    }
    all
}

/// What is tagged, or has its tags taken.
pub fn tagged(ctx: &Ctx, input: &Value) -> Vec<String> {
    let one = |id: String| {
        let named: Option<Resource> = id.parse().ok();
        named.map_or_else(|| "*".to_owned(), |resource| arn::of(ctx, resource.kind(), id))
    };
    texts(input, "Resources").into_iter().map(one).collect()
}
