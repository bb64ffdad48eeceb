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

#[test]
fn a_wrong_support_table_is_found_at_start() {
    static WRONG: Support = Support { built: &[Built::whole("Nothing")], absent: &[] };
    let error = Gate::new(vec![Arc::new(Echo(&WRONG))]).err().unwrap();
    assert_eq!(error.to_string(), "the support table of ecs is wrong: no typed operation Nothing");
}
