//! RunTask, StartTask, StopTask, DescribeTasks and ListTasks on a small cluster.

use serde_json::{Value, json};

use super::{describe, list, run, stop};
use crate::{
    instance,
    testing::{World, refusal},
};

fn run_task(world: &mut World, request: Value) -> ecs_model::RunTaskResponse {
    world.call(run::run_task, request).unwrap()
}

fn listed(world: &World, request: Value) -> usize {
    world.look(list::list_tasks, request).unwrap().task_arns.unwrap().len()
}

#[test]
fn run_task_shows_what_was_asked_for() {
    let mut world = World::new();
    world.host(1000);
    let request = json!({
        "taskDefinition": "web", "count": 2, "group": "batch", "startedBy": "AWS Step Functions",
        "propagateTags": "TASK_DEFINITION", "enableECSManagedTags": true,
        "tags": [{"key": "mine", "value": "1"}],
        "overrides": {"containerOverrides": [{"name": "app", "command": ["x"], "memory": 200}]},
    });
    let reply = run_task(&mut world, request);
    assert_eq!(reply.failures.unwrap(), vec![]);
    let tasks = reply.tasks.unwrap();
    assert_eq!(tasks.len(), 2);
    let task = &tasks[0];
    assert_eq!(task.group.as_deref(), Some("batch"));
    assert_eq!(task.started_by.as_deref(), Some("AWS Step Functions"));
    assert_eq!(
        (task.last_status.as_deref(), task.desired_status.as_deref()),
        (Some("PENDING"), Some("RUNNING"))
    );
    assert!(task.task_definition_arn.as_ref().unwrap().ends_with(":task-definition/web:2"));
    assert_eq!(task.memory.as_deref(), Some("200"));
    assert_eq!(task.version, Some(1));
    let keys: Vec<_> = task.tags.iter().flatten().filter_map(|tag| tag.key.as_deref()).collect();
    assert_eq!(keys, ["mine", "from", "aws:ecs:clusterName"]);
    let overrides = &task.overrides.as_ref().unwrap().container_overrides.as_ref().unwrap()[0];
    assert_eq!(overrides.command, Some(vec!["x".to_owned()]));
}

#[test]
fn the_group_is_the_family_unless_it_is_given() {
    let mut world = World::new();
    world.host(1000);
    let task = run_task(&mut world, json!({"taskDefinition": "web:1"})).tasks.unwrap().remove(0);
    assert_eq!(task.group.as_deref(), Some("family:web"));
}

#[test]
fn what_cannot_be_placed_is_among_the_failures_with_its_reason() {
    for (definition, count, want) in [("web", 5, (2, "RESOURCE:MEMORY")), ("port", 2, (1, "RESOURCE:PORTS"))]
    {
        let mut world = World::new();
        world.host(250);
        let reply = run_task(&mut world, json!({"taskDefinition": definition, "count": count}));
        let failures = reply.failures.unwrap();
        let reason = failures[0].reason.as_deref().unwrap();
        assert_eq!((reply.tasks.unwrap().len(), reason), want);
        assert!(failures[0].arn.as_ref().unwrap().contains(":container-instance/c/"));
    }
}

#[test]
fn run_task_refuses_what_ecs_refuses() {
    let mut world = World::new();
    let bare = refusal(world.call(run::run_task, json!({"taskDefinition": "web"})));
    assert_eq!(bare.1, "No Container Instances were found in your cluster.");
    world.host(1000);
    for (request, code) in [
        (json!({"taskDefinition": "web", "count": 0}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "count": 11}), "InvalidParameterException"),
        (json!({"taskDefinition": "absent"}), "ClientException"),
        (json!({"taskDefinition": "web", "group": "service:x"}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "startedBy": "x".repeat(129)}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "startedBy": "a\nb"}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "overrides": {"cpu": "64"}}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "overrides": {"memory": "0"}}), "InvalidParameterException"),
        (
            json!({"taskDefinition": "web", "tags": [{"key": "x", "value": "aws:x"}]}),
            "InvalidParameterException",
        ),
        (json!({"taskDefinition": "web", "propagateTags": "SERVICE"}), "InvalidParameterException"),
        (
            json!({"taskDefinition": "web", "tags": [{"key": "aws:x", "value": ""}]}),
            "InvalidParameterException",
        ),
        (json!({"taskDefinition": "web", "launchType": "EXTERNAL"}), "UnsupportedFeatureException"),
        (json!({"taskDefinition": "web", "clientToken": "x".repeat(65)}), "InvalidParameterException"),
        (json!({"taskDefinition": "web", "clientToken": "a b"}), "InvalidParameterException"),
        (
            json!({"taskDefinition": "web", "overrides": {"containerOverrides": [{"name": "absent"}]}}),
            "InvalidParameterException",
        ),
    ] {
        let shown = request.to_string();
        assert_eq!(refusal(world.call(run::run_task, request)).0, code, "{shown}");
    }
    assert_eq!(world.state.tasks().count(), 0);
}

#[test]
fn each_task_has_gpus_of_its_own() {
    let mut world = World::new();
    let instance = world.host_with_gpus(10_000, &["GPU-c", "GPU-a", "GPU-b"]);
    world.host(10_000);
    world.define("two", json!({"resourceRequirements": [{"type": "GPU", "value": "2"}]}));
    let gpus = |task: &ecs_model::Task| task.containers.as_ref().unwrap()[0].gpu_ids.clone();
    let ids = |all: &[&str]| Some(all.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>());
    let first = run_task(&mut world, json!({"taskDefinition": "two", "count": 2}));
    let failures = first.failures.unwrap();
    assert_eq!(failures.len(), 2);
    assert!(failures.iter().all(|failure| failure.reason.as_deref() == Some("RESOURCE:GPU")));
    let [task] = &first.tasks.unwrap()[..] else { panic!("one has room") };
    assert_eq!(gpus(task), ids(&["GPU-a", "GPU-b"]));
    let without = run_task(&mut world, json!({"taskDefinition": "web"})).tasks.unwrap().remove(0);
    assert_eq!(gpus(&without), None);

    let look = |world: &World| {
        let request = json!({"containerInstances": [instance]});
        let told = world.look(crate::instance::describe::describe_container_instances, request).unwrap();
        let told = told.container_instances.unwrap().remove(0);
        let of = |all: Option<Vec<ecs_model::Resource>>| {
            let mut all = all.unwrap().into_iter();
            all.find(|one| one.name.as_deref() == Some("GPU")).unwrap().string_set_value
        };
        (of(told.registered_resources), of(told.remaining_resources))
    };
    assert_eq!(look(&world), (ids(&["GPU-a", "GPU-b", "GPU-c"]), ids(&["GPU-c"])));
    let arn = task.task_arn.clone().unwrap();
    world.call(stop::stop_task, json!({"task": arn})).unwrap();
    world.report(arn.rsplit('/').next().unwrap(), "STOPPED", Some(0));
    assert_eq!(look(&world).1, ids(&["GPU-a", "GPU-b", "GPU-c"]));
    let next =
        world.call(run::start_task, json!({"taskDefinition": "two", "containerInstances": [instance]}));
    assert_eq!(gpus(&next.unwrap().tasks.unwrap()[0]), ids(&["GPU-a", "GPU-b"]));
}

#[test]
fn a_task_for_windows_finds_no_host() {
    let mut world = World::new();
    world.host(1000);
    let windows = json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}});
    world.define_task("win", windows, json!({}));
    let failures = run_task(&mut world, json!({"taskDefinition": "win"})).failures.unwrap();
    assert_eq!(failures[0].reason.as_deref(), Some("ATTRIBUTE"));
}

#[test]
fn a_client_token_gives_the_same_tasks_for_a_day() {
    let mut world = World::new();
    world.host(1000);
    let request = json!({"taskDefinition": "web", "clientToken": "t"});
    let arn = |reply: ecs_model::RunTaskResponse| reply.tasks.unwrap()[0].task_arn.clone().unwrap();
    let first = arn(run_task(&mut world, request.clone()));
    assert_eq!(arn(run_task(&mut world, request.clone())), first);
    assert_eq!(world.state.tasks().count(), 1);
    let other = json!({"taskDefinition": "web", "clientToken": "t", "count": 2});
    let conflict = world.call(run::run_task, other).unwrap_err();
    assert_eq!(conflict.code(), "ConflictException");
    assert_eq!(conflict.fields().collect::<Vec<_>>(), [(&"resourceIds".to_owned(), &json!([first]))]);
    world.pass(86_400_000);
    assert_ne!(arn(run_task(&mut world, request)), first);
}

#[test]
fn start_task_goes_where_it_is_told() {
    let mut world = World::new();
    let (one, two) = (world.host(1000), world.host(50));
    let gone = "0".repeat(32);
    let request = json!({"taskDefinition": "web", "containerInstances": [one, two, gone]});
    let reply = world.call(run::start_task, request).unwrap();
    let tasks = reply.tasks.unwrap();
    assert_eq!(tasks.len(), 1);
    assert!(tasks[0].container_instance_arn.as_ref().unwrap().ends_with(&one));
    let reasons: Vec<_> = reply.failures.iter().flatten().filter_map(|f| f.reason.as_deref()).collect();
    assert_eq!(reasons, ["RESOURCE:MEMORY", "MISSING"]);
    let request = json!({"taskDefinition": "web", "containerInstances": [one], "startedBy": "x".repeat(37)});
    assert_eq!(refusal(world.call(run::start_task, request)).0, "InvalidParameterException");
    for instances in [json!([]), json!(vec![one; 11])] {
        let request = json!({"taskDefinition": "web", "containerInstances": instances});
        assert_eq!(refusal(world.call(run::start_task, request)).0, "InvalidParameterException");
    }
}

#[test]
fn stop_task_answers_with_the_task_as_it_still_is() {
    let mut world = World::new();
    world.host(1000);
    let tags = json!([{"key": "mine", "value": "1"}]);
    let run = run_task(&mut world, json!({"taskDefinition": "web", "tags": tags}));
    let arn = run.tasks.unwrap()[0].task_arn.clone().unwrap();
    world.obey();
    let reply = world.call(stop::stop_task, json!({"task": arn, "reason": "enough"})).unwrap().task.unwrap();
    assert_eq!(
        (reply.last_status.as_deref(), reply.desired_status.as_deref()),
        (Some("RUNNING"), Some("STOPPED"))
    );
    assert_eq!(reply.stopped_reason.as_deref(), Some("enough"));
    let id = arn.rsplit('/').next().unwrap();
    assert_eq!(world.task(id).last_status.as_deref(), Some("STOPPING"));
    assert_eq!(world.task(id).tags, Some(Vec::new()), "StopTask deletes the task's tags");
    world.call(stop::stop_task, json!({"task": arn, "reason": "again"})).unwrap();
    world.obey();
    let task = world.task(id);
    assert_eq!(task.last_status.as_deref(), Some("STOPPED"));
    assert_eq!(task.stopped_reason.as_deref(), Some("enough"));
    assert_eq!(task.stop_code, Some(ecs_model::TaskStopCode::UserInitiated));
    assert_eq!(task.containers.unwrap()[0].exit_code, Some(143));
    let absent = refusal(world.call(stop::stop_task, json!({"task": "0".repeat(32)})));
    assert_eq!(absent, ("InvalidParameterException".into(), "The referenced task was not found.".into()));
}

#[test]
fn a_stopped_task_can_be_described_for_an_hour() {
    let mut world = World::new();
    world.host(1000);
    run_task(&mut world, json!({"taskDefinition": "web"}));
    let id = world.live().remove(0);
    world.call(stop::stop_task, json!({"task": id})).unwrap();
    world.obey();
    world.pass(3_599_000);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("STOPPED"));
    world.pass(2_000);
    let reply = world.look(describe::describe_tasks, json!({"tasks": [id]})).unwrap();
    assert_eq!(reply.failures.unwrap()[0].reason.as_deref(), Some("MISSING"));
}

#[test]
fn list_tasks_filters() {
    let mut world = World::new();
    let (one, two) = (world.host(1000), world.host(1000));
    for (definition, by, on) in [("web", "a", &one), ("web", "b", &one), ("port", "b", &two)] {
        let request = json!({"taskDefinition": definition, "startedBy": by, "containerInstances": [on]});
        world.call(run::start_task, request).unwrap();
    }
    let first = world.live().remove(0);
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(crate::service::create::create_service, service).unwrap();
    world.call(stop::stop_task, json!({"task": first})).unwrap();
    let stopped = world.task(&first);
    let by = stopped.started_by.clone().unwrap();
    for (request, want) in [
        (json!({}), 4),
        (json!({"desiredStatus": "STOPPED"}), 1),
        (json!({"desiredStatus": "PENDING"}), 0),
        (json!({"family": "port"}), 1),
        (json!({"startedBy": by, "desiredStatus": "STOPPED"}), 1),
        (json!({"serviceName": "s"}), 2),
        (json!({"serviceName": "s", "desiredStatus": "STOPPED"}), 0),
        (json!({"containerInstance": one, "desiredStatus": "STOPPED", "family": "absent"}), 0),
        (json!({"launchType": "EC2"}), 4),
        (json!({"launchType": "FARGATE"}), 0),
    ] {
        let shown = request.to_string();
        assert_eq!(listed(&world, request), want, "{shown}");
    }
    let on = |id: &str| listed(&world, json!({"containerInstance": id}));
    assert_eq!(on(&one) + on(&two), 4);
    assert_eq!(
        refusal(world.look(list::list_tasks, json!({"serviceName": "x"}))).0,
        "ServiceNotFoundException"
    );
}

/// As ECS answers: <https://github.com/aws/aws-sdk-go-v2/issues/1893>, <https://github.com/boto/boto3/issues/874>.
#[test]
fn some_filters_go_alone() {
    let mut world = World::new();
    let host = world.host(1000);
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(crate::service::create::create_service, service).unwrap();
    for (alone, value, others) in [
        (
            "startedBy",
            "a",
            vec![
                json!({"family": "web"}),
                json!({"launchType": "EC2"}),
                json!({"serviceName": "s"}),
                json!({"containerInstance": host}),
                json!({"daemonName": "d"}),
            ],
        ),
        (
            "serviceName",
            "s",
            vec![json!({"family": "web"}), json!({"containerInstance": host}), json!({"daemonName": "d"})],
        ),
    ] {
        let words = format!("cannot specify {alone} with other arguments");
        for mut request in others {
            request[alone] = value.into();
            let shown = request.to_string();
            let refused = refusal(world.look(list::list_tasks, request));
            assert_eq!(refused, ("InvalidParameterException".to_owned(), words.clone()), "{shown}");
        }
    }
    for (request, want) in [
        (json!({"startedBy": "a", "desiredStatus": "RUNNING", "family": "", "serviceName": ""}), 0),
        (json!({"serviceName": "s", "launchType": "EC2", "desiredStatus": "RUNNING"}), 1),
        (json!({"family": "web", "containerInstance": host, "launchType": "EC2"}), 1),
    ] {
        let shown = request.to_string();
        assert_eq!(listed(&world, request), want, "{shown}");
    }
}

#[test]
fn a_token_of_another_list_is_refused() {
    let mut world = World::new();
    world.host(1000);
    for name in ["s", "t"] {
        let service = json!({"serviceName": name, "taskDefinition": "web", "desiredCount": 0});
        world.call(crate::service::create::create_service, service).unwrap();
    }
    let page = world.look(crate::service::list::list_services, json!({"maxResults": 1})).unwrap();
    let request = json!({"nextToken": page.next_token.unwrap()});
    for refused in [
        refusal(world.look(list::list_tasks, request.clone())),
        refusal(world.look(instance::describe::list_container_instances, request.clone())),
        refusal(world.look(instance::attributes::list_attributes, request)),
    ] {
        assert_eq!(refused, ("InvalidParameterException".to_owned(), "Invalid token".to_owned()));
    }
}

#[test]
fn pages_of_tasks_hold_each_once() {
    let mut world = World::new();
    world.host(10_000);
    (0..3).for_each(|_| drop(run_task(&mut world, json!({"taskDefinition": "web", "count": 10}))));
    for filter in [json!({}), json!({"family": "web"})] {
        let (mut seen, mut token) = (std::collections::BTreeSet::new(), None::<String>);
        loop {
            let mut request = filter.clone();
            request["maxResults"] = 7.into();
            request["nextToken"] = json!(token);
            let reply = world.look(list::list_tasks, request).unwrap();
            for arn in reply.task_arns.unwrap() {
                assert!(seen.insert(arn));
            }
            token = reply.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 30);
    }
}

#[test]
fn describe_tasks_refuses_none_and_too_many() {
    let world = World::new();
    for tasks in [json!([]), json!(vec!["0".repeat(32); 101])] {
        let refused = refusal(world.look(describe::describe_tasks, json!({"tasks": tasks})));
        assert_eq!(refused.0, "InvalidParameterException");
    }
}

#[test]
fn an_unhealthy_standalone_task_goes_on() {
    let mut world = World::new();
    world.host(1000);
    run_task(&mut world, json!({"taskDefinition": "checked"}));
    world.obey();
    let id = world.live().remove(0);
    crate::service::tests::verdict(&mut world, &id, crate::rows::HealthStatus::Unhealthy);
    let task = world.task(&id);
    assert_eq!(task.health_status, Some(ecs_model::HealthStatus::Unhealthy));
    assert_eq!(
        (task.last_status.as_deref(), task.desired_status.as_deref()),
        (Some("RUNNING"), Some("RUNNING"))
    );
}
