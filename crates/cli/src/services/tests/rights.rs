//! What agents may of all that is built, and on what.

use server::{
    gate::{Asked, Caller, Rights, Role},
    services::support,
};
use state::api::Built;
use wire::schema;

use super::*;

const NOBODYS: &str = "00000000000000000000000000000000";

/// Every operation of every table.
fn all() -> impl Iterator<Item = (&'static schema::Service, &'static Built)> {
    let hosted = hosted();
    let hosted: Vec<_> = hosted.iter().map(|host| host.support()).collect();
    let all = support().into_iter().chain(hosted);
    all.flat_map(|(schema, support)| support.built.iter().map(move |built| (schema, built)))
}

/// Whether somebody of this kind may do this.
fn may(
    plane: &Plane,
    rights: &Agents,
    role: &Role,
    (schema, built): (&schema::Service, &Built),
    input: &Value,
) -> bool {
    let who = Caller { role: role.clone(), ..administrator("aws", ACCOUNT, "test") };
    let ctx = plane.homes.own().ctx(&who, now());
    rights.allow(&Asked { who: &who, ctx: &ctx, service: schema.signing_name, built, input }).is_ok()
}

/// A container instance of the cluster `c` with a task that logs to `group`: their ids.
async fn host(plane: &Plane, group: &str) -> (String, String) {
    let resource = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 1000});
    let able = ["logging-driver.awslogs", "docker-remote-api.1.19"];
    let able = able.map(|name| json!({"name": format!("com.amazonaws.ecs.capability.{name}")}));
    let host =
        json!({"cluster": "c", "totalResources": [resource("CPU"), resource("MEMORY")], "attributes": able});
    let host = plane.ok("ecs", "RegisterContainerInstance", host).await;
    let last = |arn: &Value| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let instance = last(&host["containerInstance"]["containerInstanceArn"]);
    let id = ::ecs::cluster::InstanceId::parse(&instance).unwrap();
    let connect = move |txn: &mut ::ecs::Txn| {
        ::ecs::instance::state::connection(txn, &id, Some(Default::default()));
        Ok(())
    };
    plane.homes.own().cluster_by_name("c").unwrap().execute("", connect).await.unwrap();
    let log = json!({"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-region": REGION}});
    let container = json!({"name": "app", "image": "busybox", "memory": 10, "logConfiguration": log});
    let definition = json!({"family": "web", "containerDefinitions": [container]});
    plane.ok("ecs", "RegisterTaskDefinition", definition).await;
    let start = json!({"cluster": "c", "taskDefinition": "web", "containerInstances": [instance]});
    let started = plane.ok("ecs", "StartTask", start).await;
    (instance, last(&started["tasks"][0]["taskArn"]))
}

#[tokio::test]
async fn an_agent_may_what_its_own_container_instance_needs_and_nothing_else() {
    let plane = Plane::open(&Arc::new(Memory::new())).await;
    for cluster in ["c", "other"] {
        plane.ok("ecs", "CreateCluster", json!({"clusterName": cluster})).await;
    }
    let ((own, task), (other, others_task)) = (host(&plane, "/own").await, host(&plane, "/other").await);
    let instance = |id: &str| json!(arn("ecs", &format!("container-instance/c/{id}")));
    let task_arn = |id: &str| json!(arn("ecs", &format!("task/c/{id}")));
    let stream = |id: &str| json!(format!("prefix/app/{id}"));
    // What a call may name: its own, another's, nobody's.
    let names = [
        ("cluster", json!("c"), json!("other"), json!("nowhere")),
        ("cluster", json!(arn("ecs", "cluster/c")), json!(arn("ecs", "cluster/other")), json!("no name")),
        ("containerInstance", json!(own), json!(other), json!(NOBODYS)),
        ("containerInstanceArn", instance(&own), instance(&other), instance(NOBODYS)),
        ("containerInstances", json!([own]), json!([own, other]), json!([own, NOBODYS])),
        ("task", json!(task), json!(others_task), json!(NOBODYS)),
        ("task", task_arn(&task), task_arn(&others_task), task_arn(NOBODYS)),
        ("resourceArn", instance(&own), instance(&other), instance(NOBODYS)),
        ("resourceArn", task_arn(&task), task_arn(&others_task), task_arn(NOBODYS)),
        ("logGroupName", json!("/own"), json!("/other"), json!("/nowhere")),
        ("logStreamName", stream(&task), stream(&others_task), stream(NOBODYS)),
        ("logStreamName", json!("container"), stream(&others_task), json!("other")),
    ];
    let agent = Role::Agent { cluster: "c".into(), instance: own.as_str().into() };
    let rights = Agents::new(plane.homes.clone());
    let mut told = Vec::new();
    for (schema, built) in all() {
        let model = schema.operation(built.operation).unwrap();
        let may = |input: &Value| may(&plane, &rights, &agent, (schema, built), input);
        let has = |name: &str| model.input_members().iter().any(|member| member.name == name);
        let names: Vec<_> = names.iter().filter(|(name, ..)| has(name)).collect();
        // All that is its own, each in its first form.
        let own: serde_json::Map<String, Value> =
            names.iter().rev().map(|(name, own, ..)| ((*name).to_owned(), own.clone())).collect();
        let with = |name: &str, value: &Value| {
            let mut input = own.clone();
            input.insert(name.to_owned(), value.clone());
            may(&Value::Object(input))
        };
        if !may(&Value::Object(own.clone())) {
            // Nor does it matter in which form its own is named.
            assert!(names.iter().all(|(name, own, ..)| !with(name, own)), "{}", built.operation);
            continue;
        }
        let mut refused: Vec<String> = Vec::new();
        for (name, own, others, nobodys) in names {
            assert!(with(name, own), "{} {own}", built.operation);
            let only = match (with(name, others), with(name, nobodys)) {
                (false, false) => (*name).to_owned(),
                (false, true) => format!("{name} of another"),
                (others, nobodys) => format!("{name}: {others} {nobodys}"),
            };
            if !refused.contains(&only) {
                refused.push(only);
            }
        }
        told.push(format!("{}:{}, but not {}", schema.signing_name, built.operation, refused.join(", ")));
    }
    told.sort();
    // A report of what is forgotten is taken, and its own log groups it shares with others, but not the streams of their tasks.
    let expected = [
        "ecs:DiscoverPollEndpoint, but not cluster, containerInstance",
        "ecs:ListTagsForResource, but not resourceArn",
        "ecs:RegisterContainerInstance, but not cluster, containerInstanceArn",
        "ecs:SubmitAttachmentStateChanges, but not cluster",
        "ecs:SubmitContainerStateChange, but not cluster, task of another",
        "ecs:SubmitTaskStateChange, but not cluster, task of another",
        "ecs:UpdateContainerInstancesState, but not cluster, containerInstances",
        "logs:CreateLogGroup, but not logGroupName",
        "logs:CreateLogStream, but not logGroupName, logStreamName of another",
        "logs:PutLogEvents, but not logGroupName, logStreamName of another",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_agent_that_is_not_registered_may_register_and_everybody_may_ask_who_they_are() {
    let plane = Plane::open(&Arc::new(Memory::new())).await;
    let rights = Agents::new(plane.homes.clone());
    let mut for_all = Vec::new();
    for (schema, built) in all() {
        for (role, allowed) in [
            (Role::User, true),
            (Role::NewAgent, built.operation == "RegisterContainerInstance"),
            (Role::NewAgentOfOperator, built.operation == "RegisterContainerInstance"),
            // Of a container instance that there is not.
            (Role::Agent { cluster: "c".into(), instance: NOBODYS.into() }, false),
        ] {
            let told = may(&plane, &rights, &role, (schema, built), &json!({}));
            assert_eq!(told, allowed, "{role:?} {}", built.operation);
        }
        for_all.extend(built.for_all.then_some(built.operation));
    }
    assert_eq!(for_all, ["GetCallerIdentity"]);
}
