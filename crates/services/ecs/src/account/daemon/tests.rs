//! Daemons' task definitions from registration to the end, and lists of them.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use state::Domain;

use super::*;
use crate::{
    account::{Change, tags as tagging},
    testing::{ctx, from, on_account, refusal},
};

fn call<R: DeserializeOwned, T>(
    state: &mut Account,
    operation: fn(&mut Txn, R) -> Result<T, Error>,
    request: Value,
) -> Result<T, Error> {
    on_account(state, &ctx(), |txn| operation(txn, from(request)))
}

fn register(state: &mut Account, more: Value) -> Result<String, Error> {
    let mut request = json!({"family": "agent", "containerDefinitions": [
        {"name": "c", "image": "busybox", "memory": 16}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = call(state, register_daemon_task_definition, request)?;
    Ok(reply.daemon_task_definition_arn.unwrap())
}

fn describe(state: &Account, named: &str) -> Result<Value, Error> {
    let request = from(json!({"daemonTaskDefinition": named}));
    let reply = describe_daemon_task_definition(state, &ctx(), &request)?;
    Ok(serde_json::to_value(reply.daemon_task_definition.unwrap()).unwrap())
}

fn delete(state: &mut Account, named: &str) -> Result<(), Error> {
    call(state, delete_daemon_task_definition, json!({"daemonTaskDefinition": named})).map(drop)
}

/// The last parts of the ARNs, all pages.
fn list(state: &Account, mut request: Value) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let reply = list_daemon_task_definitions(state, &ctx(), &from(request.clone())).unwrap();
        let rows = reply.daemon_task_definitions.unwrap();
        found.extend(rows.iter().map(|row| row.arn.as_ref().unwrap().rsplit('/').next().unwrap().to_owned()));
        match reply.next_token {
            Some(token) => request["nextToken"] = token.into(),
            None => return found,
        }
    }
}

#[test]
fn it_is_shown_as_it_was_registered_with_the_defaults_of_a_task_definition() {
    let mut state = Account::default();
    let container = json!({
        "name": "c", "image": "busybox", "memory": 64, "memoryReservation": 32, "cpu": 10, "essential": true,
        "entryPoint": ["/bin/sh"], "command": ["-c", "true"], "workingDirectory": "/", "user": "worker",
        "environment": [{"name": "A", "value": "1"}], "readonlyRootFilesystem": true, "privileged": true,
        "mountPoints": [{"sourceVolume": "proc", "containerPath": "/host/proc", "readOnly": true}],
        "logConfiguration": {"logDriver": "json-file"}, "interactive": false, "pseudoTerminal": false,
        "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
        "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 1},
        "linuxParameters": {
            "capabilities": {"add": ["BPF"]}, "initProcessEnabled": true, "devices": [{"hostPath": "/dev/null"}],
            "tmpfs": [{"containerPath": "/t", "size": 1}]},
        "dependsOn": [{"containerName": "d", "condition": "START"}], "startTimeout": 9, "stopTimeout": 9,
        "systemControls": [], "restartPolicy": {"enabled": true}
    });
    let other = json!({"name": "d", "image": "busybox", "memory": 16});
    let given = json!({
        "family": "agent", "cpu": "256", "memory": "128", "executionRoleArn": "r", "pidMode": "shared",
        "ipcMode": "none", "containerDefinitions": [container, other],
        "volumes": [{"name": "proc", "host": {"sourcePath": "/proc"}}]
    });
    let arn = register(&mut state, given.clone()).unwrap();
    assert_eq!(arn, "arn:aws:ecs:us-east-1:000000000000:daemon-task-definition/agent:1");
    let mut expected = given;
    for (member, value) in [
        ("cpu", json!(0)),
        ("essential", json!(true)),
        ("environment", json!([])),
        ("mountPoints", json!([])),
        ("systemControls", json!([])),
    ] {
        expected["containerDefinitions"][1][member] = value;
    }
    for (member, value) in [
        ("daemonTaskDefinitionArn", json!(arn)),
        ("revision", json!(1)),
        ("status", json!("ACTIVE")),
        ("registeredAt", json!(1_700_000_000)),
        ("registeredBy", json!("arn:aws:iam::000000000000:root")),
    ] {
        expected[member] = value;
    }
    for named in ["agent", "agent:1", &arn] {
        let mut shown = describe(&state, named).unwrap();
        shown["registeredAt"] = json!(shown["registeredAt"].as_f64().unwrap() as i64);
        assert_eq!(shown, expected, "{named}");
    }
}

#[test]
fn its_tasks_share_the_network_of_the_host_and_what_it_asks_for() {
    let mut state = Account::default();
    register(&mut state, json!({"pidMode": "shared", "ipcMode": "shared"})).unwrap();
    register(&mut state, json!({"pidMode": "none"})).unwrap();
    let modes = |revision| {
        let id = TaskDefinitionId { family: "agent".to_owned(), revision };
        let made_of = &state.daemon_definition(&id).unwrap().made_of.registered;
        serde_json::to_value([json!(made_of.network_mode), json!(made_of.pid_mode), json!(made_of.ipc_mode)])
            .unwrap()
    };
    assert_eq!(modes(1), json!(["host", "host", "host"]));
    assert_eq!(modes(2), json!(["host", null, null]));
}

#[test]
fn what_is_wrong_with_a_task_definition_is_wrong_with_a_daemons() {
    let mut state = Account::default();
    let container = |more: Value| {
        let mut container = json!({"name": "c", "image": "busybox", "memory": 16});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"containerDefinitions": [container]})
    };
    for (more, code, words) in [
        (json!({"family": "a b"}), "ClientException", "Family contains invalid characters."),
        (json!({"containerDefinitions": []}), "ClientException", "Container list cannot be empty."),
        (container(json!({"essential": false})), "ClientException", "any essential container"),
        (container(json!({"name": ""})), "ClientException", "Container.name should not be null or empty."),
        (container(json!({"secrets": [{"name": "a", "valueFrom": "b"}]})), "UnsupportedFeature", "secrets"),
        (
            json!({"volumes": [{"name": "v", "logDriverVolumeConfiguration": {"driver": "json-file"}}]}),
            "UnsupportedFeatureException",
            "volumes.logDriverVolumeConfiguration is not supported",
        ),
        (json!({"tags": [{"key": "aws:x"}]}), "InvalidParameterException", "must not start with aws:"),
    ] {
        let (is, said) = refusal(register(&mut state, more.clone()));
        assert!(is.starts_with(code) && said.contains(words), "{more}: {is} {said}");
    }
    assert_eq!(state.daemon_definitions().count(), 0);
}

#[test]
fn one_that_is_deleted_waits_for_its_daemons_and_can_be_seen_for_an_hour() {
    let mut state = Account::default();
    let first = register(&mut state, json!({})).unwrap();
    register(&mut state, json!({})).unwrap();
    delete(&mut state, &first).unwrap();
    let status = |state: &Account| describe(state, &first).map(|shown| shown["status"].clone());
    assert_eq!(status(&state).unwrap(), "DELETE_IN_PROGRESS");
    assert!(describe(&state, &first).unwrap().get("deleteRequestedAt").is_some());
    assert_eq!(describe(&state, "agent").unwrap()["revision"], 2, "the newest ACTIVE one");
    let (code, words) = refusal(delete(&mut state, &first));
    assert!(code == "ClientException" && words.contains("being deleted"), "{code} {words}");
    let swept = |state: &mut Account, referenced: bool| {
        let sweep = |txn: &mut Txn| {
            sweep(txn, |_| referenced);
            Ok(())
        };
        on_account(state, &ctx(), sweep).unwrap();
    };
    swept(&mut state, true);
    assert_eq!(status(&state).unwrap(), "DELETE_IN_PROGRESS");
    assert_eq!(state.deleting_daemon_definitions().count(), 1);
    swept(&mut state, false);
    assert_eq!(status(&state).unwrap(), "DELETED");
    assert_eq!(state.deleting_daemon_definitions().count(), 0);
    let hour = ctx().now.plus_millis(limits::INACTIVE_KEPT_MS);
    let due =
        |state: &Account| state.agenda().timers().map(|(at, key)| (*at, key.clone())).collect::<Vec<_>>();
    let key = due(&state).remove(0).1;
    assert_eq!(due(&state), [(hour, key.clone())]);
    // The clock is set back by a day.
    let earlier = Ctx { now: ctx().now.plus_millis(-86_400_000), ..ctx() };
    let set_back = |txn: &mut Txn| {
        Account::set_back(txn, key.clone());
        Ok(())
    };
    on_account(&mut state, &earlier, set_back).unwrap();
    assert_eq!(due(&state), [(earlier.now.plus_millis(limits::INACTIVE_KEPT_MS), key.clone())]);
    let forget = |txn: &mut Txn| {
        Account::due(txn, key.clone());
        Ok(())
    };
    on_account(&mut state, &ctx(), forget).unwrap();
    assert_eq!(due(&state), []);
    let missing = ("ClientException".to_owned(), MISSING.to_owned());
    assert_eq!(refusal(describe(&state, &first)), missing);
    assert_eq!(refusal(delete(&mut state, "agent:1")), missing);
    assert_eq!(refusal(delete(&mut state, "agent")).1, "Revision is missing.");
    assert!(register(&mut state, json!({})).unwrap().ends_with(":3"), "a revision is never used again");
    delete(&mut state, "agent:3").unwrap();
    delete(&mut state, "agent:2").unwrap();
    assert_eq!(refusal(describe(&state, "agent")), missing, "none is ACTIVE");
}

#[test]
fn lists_follow_family_status_revision_and_sort_on_pages_of_every_size() {
    let mut state = Account::default();
    for family in ["a", "ab", "b", "a", "a", "b"] {
        register(&mut state, json!({"family": family})).unwrap();
    }
    delete(&mut state, "a:3").unwrap();
    for (request, expected) in [
        (json!({}), vec!["a:1", "a:2", "ab:1", "b:1", "b:2"]),
        (json!({"sort": "DESC"}), vec!["b:2", "b:1", "ab:1", "a:2", "a:1"]),
        (json!({"familyPrefix": "a"}), vec!["a:1", "a:2", "ab:1"]),
        (json!({"familyPrefix": "a", "sort": "DESC"}), vec!["ab:1", "a:2", "a:1"]),
        (json!({"family": "a"}), vec!["a:1", "a:2"]),
        (json!({"family": "a", "familyPrefix": "b"}), vec![]),
        (json!({"family": "a", "sort": "DESC", "status": "ALL"}), vec!["a:3", "a:2", "a:1"]),
        (json!({"status": "DELETE_IN_PROGRESS"}), vec!["a:3"]),
        (json!({"revision": "LAST_REGISTERED"}), vec!["a:2", "ab:1", "b:2"]),
        (json!({"revision": "LAST_REGISTERED", "status": "ALL", "sort": "DESC"}), vec!["b:2", "ab:1", "a:3"]),
        (json!({"familyPrefix": "z"}), vec![]),
    ] {
        for size in 1..7 {
            let mut request = request.clone();
            request["maxResults"] = size.into();
            assert_eq!(list(&state, request.clone()), expected, "{request}");
        }
    }
    let broken: ecs::ListDaemonTaskDefinitionsRequest = from(json!({"maxResults": 101}));
    assert!(list_daemon_task_definitions(&state, &ctx(), &broken).is_err());
}

#[test]
fn tags_come_with_registration_and_change_later() {
    let mut state = Account::default();
    let arn = register(&mut state, json!({"tags": [{"key": "a", "value": "1"}]})).unwrap();
    assert!(tagging::is_ours(&arn));
    let more = json!({"resourceArn": arn, "tags": [{"key": "b", "value": "2"}]});
    call(&mut state, tagging::tag_resource, more).unwrap();
    call(&mut state, tagging::untag_resource, json!({"resourceArn": arn, "tagKeys": ["a"]})).unwrap();
    let of = |arn: &str| {
        let request = from(json!({"resourceArn": arn}));
        tagging::list_tags_for_resource(&state, &ctx(), &request).map(|reply| reply.tags.unwrap())
    };
    assert_eq!(serde_json::to_value(of(&arn).unwrap()).unwrap(), json!([{"key": "b", "value": "2"}]));
    assert!(of(&arn.replace("daemon-", "")).is_err(), "a task definition of that name is another thing");
}

#[test]
fn there_is_an_end_to_how_many_there_can_be() {
    let mut state = Account::default();
    register(&mut state, json!({})).unwrap();
    let row = state.latest_daemon_definition("agent").unwrap().as_ref().clone();
    for revision in 2..=i32::try_from(limits::DAEMON_DEFINITIONS).unwrap() {
        let mut row = row.clone();
        row.made_of.registered.revision = revision;
        state.take(&Change::Put(row.into()));
    }
    assert_eq!(refusal(register(&mut state, json!({}))).0, "LimitExceededException");
}
