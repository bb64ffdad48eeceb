//! Calls from inside meet what calls from outside meet.

use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::keys::administrator;

/// Stands for a service: tells what it was called with.
struct Echo(&'static Support);

static ECHO: Support = Support {
    built: &[
        Built::whole("DescribeTasks"),
        Built::whole("RunTask").refusing(&["referenceId"]),
        Built::whole("StopTask"),
    ],
    absent: &[],
};

#[async_trait]
impl Service for Echo {
    fn schema(&self) -> &'static schema::Service {
        &ecs_model::SERVICE
    }

    fn support(&self) -> &'static Support {
        self.0
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        assert!(call.operation.name != "StopTask", "an operation that breaks an assertion");
        let told = json!({"tasks": call.input["tasks"], "region": &*call.region, "by": &*call.caller.arn});
        Ok(told.to_string().into())
    }
}

async fn call(may: Option<&'static [&'static str]>, operation: &str, input: Value) -> Result<Value, String> {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))]).unwrap();
    let principal = Principal { caller: administrator("aws", "111111111111", ""), may };
    let at = ("eu-west-1".into(), Timestamp(1));
    let (service, operation) = operation.split_once(':').unwrap();
    gate.call(&principal, (service, operation), input, at).await.map_err(|error| error.code().to_owned())
}

#[tokio::test]
async fn a_call_from_inside_is_checked_as_one_from_outside() {
    let told = call(None, "ecs:DescribeTasks", json!({"tasks": ["t"]})).await.unwrap();
    assert_eq!(told["tasks"], json!(["t"]));
    assert_eq!(
        (&told["region"], &told["by"]),
        (&json!("eu-west-1"), &json!("arn:aws:iam::111111111111:root"))
    );
    for (may, operation, input, code) in [
        (None, "ecs:DescribeTasks", json!({}), "InvalidParameterException"),
        (
            None,
            "ecs:RunTask",
            json!({"taskDefinition": "t", "referenceId": "r"}),
            "UnsupportedFeatureException",
        ),
        (None, "ecs:CreateTaskSet", json!({}), "UnknownOperationException"),
        (None, "ecs:Nothing", json!({}), "UnknownOperationException"),
        (None, "sqs:SendMessage", json!({}), "UnknownOperationException"),
        (None, "ecs:StopTask", json!({"task": "t"}), "InternalFailure"),
        (Some(["StopTask"].as_slice()), "ecs:DescribeTasks", json!({"tasks": []}), "AccessDeniedException"),
    ] {
        assert_eq!(call(may, operation, input).await, Err(code.to_owned()), "{operation}");
    }
}

#[tokio::test]
async fn a_call_from_an_outbox_is_the_roles_or_the_services_of_its_account() {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))]).unwrap();
    let role = |account: &str| format!("arn:aws:iam::{account}:role/path/runs");
    for (principal, told) in [
        (role("111111111111"), Ok(role("111111111111"))),
        ("events.amazonaws.com".to_owned(), Ok("events.amazonaws.com".to_owned())),
        (role("222222222222"), Err("AccessDeniedException")),
        ("arn:aws:iam::111111111111:user/u".to_owned(), Err("AccessDeniedException")),
        ("arn:aws:iam::111111111111:role/".to_owned(), Err("AccessDeniedException")),
    ] {
        let input = json!({"tasks": ["t"]});
        let (service, operation) = ("ecs".to_owned(), "DescribeTasks".to_owned());
        let call = outbox::Call { principal: principal.clone(), service, operation, input };
        let place: Place = ("111111111111".into(), "eu-west-1".into());
        let answer = Calls::call(&gate, &place, call).await;
        let by = answer.map(|told| told["by"].as_str().unwrap().to_owned());
        assert_eq!(
            by.as_deref().map_err(|error| error.code()),
            told.as_deref().map_err(|code| *code),
            "{principal}"
        );
    }
}

#[test]
fn universal_targets_find_what_is_built() {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))]).unwrap();
    let known = |service: &str, action: &str| gate.offered(service, action).map(|known| known.operation.name);
    assert_eq!(known("ecs", "runTask"), Some("RunTask"));
    for (service, action) in
        [("ecs", "RunTask"), ("ecs", "createTaskSet"), ("ecs", ""), ("ECS", "runTask"), ("", "runTask")]
    {
        assert_eq!(known(service, action), None, "{service}:{action}");
    }
}

#[test]
fn a_wrong_support_table_is_found_at_start() {
    static WRONG: Support = Support { built: &[Built::whole("Nothing")], absent: &[] };
    let error = Gate::new(vec![Arc::new(Echo(&WRONG))]).err().unwrap();
    assert_eq!(error.to_string(), "the support table of ecs is wrong: no typed operation Nothing");
}
