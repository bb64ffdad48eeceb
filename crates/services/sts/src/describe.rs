//! What is shown: who asks.

use sts_model::{GetCallerIdentityRequest, GetCallerIdentityResponse};

/// Who asks, by the key that signed.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// The principal's ARN.
    pub arn: &'a str,
    /// The principal's unique id; of an account's root, the account.
    pub user_id: &'a str,
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
pub fn get_caller_identity(who: &Who, _request: &GetCallerIdentityRequest) -> GetCallerIdentityResponse {
    GetCallerIdentityResponse {
        user_id: Some(who.user_id.to_owned()),
        account: Some(who.account.to_owned()),
        arn: Some(who.arn.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::OPERATIONS;

    #[test]
    fn the_caller_is_told_who_it_is() {
        let who =
            Who { account: "000000000000", arn: "arn:aws:iam::000000000000:root", user_id: "000000000000" };
        let told = (OPERATIONS[0].handler)(&who, json!({})).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        let expected = json!({"UserId": who.user_id, "Account": who.account, "Arn": who.arn});
        assert_eq!(told, expected);
    }
}
