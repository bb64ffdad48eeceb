//! Calls from inside meet what calls from outside meet.

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use state::api::{Condition, texts};

use super::*;
use crate::keys::administrator;

/// Stands for a service: tells what it was called with.
struct Echo(&'static Support);

static ECHO: Support = Support {
    built: &[
        Built {
            on: |ctx, input| {
                let arn = |id| format!("arn:aws:ecs:{}:{}:task/c/{id}", ctx.region, ctx.account);
                texts(input, "tasks").into_iter().map(arn).collect()
            },
            conditions: &[Condition::Member("ecs:cluster", "cluster")],
            ..Built::whole("DescribeTasks")
        },
        Built { for_all: true, ..Built::whole("ListServices") },
        // One that says nothing is on everything.
        Built { on: |_, _| Vec::new(), ..Built::whole("RunTask").refusing(&["referenceId"]) },
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

/// Lets agents describe tasks alone; writes down what it is asked.
#[derive(Default)]
struct Asks(Mutex<Vec<String>>);

impl Rights for Asks {
    fn allow(&self, asked: &Asked) -> Result<(), Denied> {
        let conditions =
            asked.conditions().into_iter().map(|(key, values)| format!("{key}={}", values.join(",")));
        let conditions = conditions.collect::<Vec<_>>().join(" ");
        self.0.lock().push(format!("{} on {} if {conditions}", asked.action(), asked.resources().join(" ")));
        match asked.built.operation {
            "DescribeTasks" => Ok(()),
            _ => Err(asked.denied(asked.resources().swap_remove(0))),
        }
    }
}

async fn call(
    rights: &Arc<Asks>,
    role: Role,
    operation: &str,
    input: Value,
) -> Result<Value, (String, String)> {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))], rights.clone()).unwrap();
    let caller = Caller { role, ..administrator("aws", "111111111111", "") };
    let at = ("eu-west-1".into(), Timestamp(1));
    let (service, operation) = operation.split_once(':').unwrap();
    let told = gate.call(&caller, (service, operation), input, at).await;
    told.map_err(|error| (error.code().to_owned(), error.message().to_owned()))
}

#[tokio::test]
async fn a_call_from_inside_is_checked_as_one_from_outside() {
    let rights = Arc::default();
    let told = call(&rights, Role::User, "ecs:DescribeTasks", json!({"tasks": ["t"]})).await.unwrap();
    assert_eq!(told["tasks"], json!(["t"]));
    assert_eq!(
        (&told["region"], &told["by"]),
        (&json!("eu-west-1"), &json!("arn:aws:iam::111111111111:root"))
    );
    for (operation, input, code) in [
        ("ecs:DescribeTasks", json!({}), "InvalidParameterException"),
        ("ecs:RunTask", json!({"taskDefinition": "t", "referenceId": "r"}), "UnsupportedFeatureException"),
        ("ecs:CreateTaskSet", json!({}), "UnknownOperationException"),
        ("ecs:Nothing", json!({}), "UnknownOperationException"),
        ("sqs:SendMessage", json!({}), "UnknownOperationException"),
        ("ecs:StopTask", json!({"task": "t"}), "InternalFailure"),
    ] {
        for role in [Role::User, Role::NewAgent] {
            let told = call(&rights, role.clone(), operation, input.clone()).await.unwrap_err();
            let denied = role != Role::User && operation == "ecs:StopTask";
            assert_eq!(told.0, if denied { "AccessDeniedException" } else { code }, "{operation} {role:?}");
        }
    }
    assert_eq!(rights.0.lock().len(), 1, "only of who is no administrator, and of what is right otherwise");
}

#[tokio::test]
async fn who_is_no_administrator_is_asked_about_with_what_the_table_says() {
    let rights = Arc::default();
    let ask = async |operation: &str, input: Value| call(&rights, Role::NewAgent, operation, input).await;
    let arn = |resource: &str| format!("arn:aws:ecs:eu-west-1:111111111111:{resource}");
    ask("ecs:DescribeTasks", json!({"cluster": "c", "tasks": ["t", "u"]})).await.unwrap();
    let refused = ask("ecs:RunTask", json!({"taskDefinition": "t:1"})).await.unwrap_err();
    let text = "User: arn:aws:iam::111111111111:root is not authorized to perform: ecs:RunTask on resource: * because no \
                identity-based policy allows the ecs:RunTask action";
    assert_eq!(refused, ("AccessDeniedException".to_owned(), text.to_owned()));
    // What nobody is asked about.
    ask("ecs:ListServices", json!({})).await.unwrap();
    let asked = [
        format!("ecs:DescribeTasks on {} {} if ecs:cluster=c", arn("task/c/t"), arn("task/c/u")),
        "ecs:RunTask on * if ".to_owned(),
    ];
    assert_eq!(*rights.0.lock(), asked);
}

#[tokio::test]
async fn where_there_is_nobody_to_say_it_others_than_administrators_may_nothing() {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))], Arc::new(Nobody)).unwrap();
    let caller = Caller { role: Role::NewAgent, ..administrator("aws", "111111111111", "") };
    let at = ("eu-west-1".into(), Timestamp(1));
    let input = json!({"cluster": "c", "tasks": ["t"]});
    let told = gate.call(&caller, ("ecs", "DescribeTasks"), input, at).await.unwrap_err();
    let on = "on resource: arn:aws:ecs:eu-west-1:111111111111:task/c/t because";
    assert!(told.code() == "AccessDeniedException" && told.message().contains(on), "{told}");
}

#[tokio::test]
async fn a_call_from_an_outbox_is_the_roles_or_the_services_of_its_account() {
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))], Arc::new(Nobody)).unwrap();
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
    let gate = Gate::new(vec![Arc::new(Echo(&ECHO))], Arc::new(Nobody)).unwrap();
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
    let error = Gate::new(vec![Arc::new(Echo(&WRONG))], Arc::new(Nobody)).err().unwrap();
    assert_eq!(error.to_string(), "the support table of ecs is wrong: no typed operation Nothing");
}
