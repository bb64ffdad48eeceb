//! Capacity providers from creation to their end, and what is said of them.

use ecs_model as ecs;
use serde_json::{Value, json};
use wire::Error;

use super::{describe::describe_capacity_providers, retire::Outcome, *};
use crate::{
    account::{CapacityProviderRow, tags as tagging},
    testing::{ctx, from, on_account, refusal},
};

fn call<T>(state: &mut Account, command: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
    on_account(state, &ctx(), command)
}

fn make(state: &mut Account, request: Value) -> Result<Value, (String, String)> {
    let cluster = request["cluster"].as_str().map(str::to_owned);
    let made = call(state, |txn| create(txn, from(request), cluster));
    made.map(|reply| serde_json::to_value(reply.capacity_provider).unwrap())
        .map_err(|error| refusal::<()>(Err(error)))
}

fn update(state: &mut Account, request: Value) -> Result<Value, (String, String)> {
    let done = call(state, |txn| update_capacity_provider(txn, from(request)));
    done.map(|reply| serde_json::to_value(reply.capacity_provider).unwrap())
        .map_err(|error| refusal::<()>(Err(error)))
}

fn group(name: &str) -> Value {
    json!({"name": name, "autoScalingGroupProvider": {"autoScalingGroupArn": format!("group-of-{name}")}})
}

fn managed(name: &str) -> Value {
    json!({"name": name, "cluster": "c", "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
            "networkConfiguration": {"subnets": ["subnet-1"]},
        },
    }})
}

fn delete(state: &mut Account, named: &str, cluster: Option<&str>) -> Result<CapacityProviderRow, Error> {
    let request: ecs::DeleteCapacityProviderRequest =
        from(json!({"capacityProvider": named, "cluster": cluster}));
    call(state, |txn| retire::begin(txn, &request))
}

fn settle(state: &mut Account, name: &str, outcome: Outcome) {
    let settled = call(state, |txn| {
        retire::settled(txn, name, outcome);
        Ok(())
    });
    settled.unwrap();
}

fn described(
    state: &Account,
    request: Value,
    of_cluster: Option<&[String]>,
) -> (Vec<String>, Vec<String>, Option<String>) {
    let reply = describe_capacity_providers(state, &ctx(), &from(request), of_cluster).unwrap();
    let names = reply.capacity_providers.unwrap().into_iter().map(|one| one.name.unwrap()).collect();
    let failures = reply.failures.unwrap().into_iter().map(|failure| failure.arn.unwrap()).collect();
    (names, failures, reply.next_token)
}

const NAME: &str = "The specified capacity provider name is invalid.";

#[test]
fn one_that_is_made_shows_what_ecs_fills_in() {
    let mut state = Account::default();
    let tags = json!([{"key": "team", "value": "blue"}]);
    let mut request = group("blue");
    request["tags"] = tags.clone();
    let shown = make(&mut state, request).unwrap();
    let expected = json!({
        "capacityProviderArn": "arn:aws:ecs:us-east-1:000000000000:capacity-provider/blue",
        "name": "blue", "status": "ACTIVE", "type": "EC2_AUTOSCALING", "updateStatus": "CREATE_COMPLETE", "tags": tags,
        "autoScalingGroupProvider": {
            "autoScalingGroupArn": "group-of-blue",
            "managedScaling": {
                "status": "DISABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
                "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300,
            },
            "managedTerminationProtection": "DISABLED", "managedDraining": "ENABLED",
        },
    });
    assert_eq!(shown, expected);
    assert!(matches!(state.provider("blue"), Some(Kind::Group(_))) && !state.grows("blue"));
    assert_eq!(state.provider("FARGATE_SPOT"), Some(Kind::Fargate));
}

#[test]
fn requests_are_refused_in_the_words_of_ecs() {
    let with = |member: &str, value: Value| {
        let mut request = group("x");
        request["autoScalingGroupProvider"][member] = value;
        request
    };
    let both = {
        let mut both = managed("x");
        both["autoScalingGroupProvider"] = group("x")["autoScalingGroupProvider"].clone();
        both
    };
    let arn =
        "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:u:autoScalingGroupName/group-of-taken";
    let no_subnets = {
        let mut request = managed("x");
        request["managedInstancesProvider"]["instanceLaunchTemplate"]["networkConfiguration"] = json!({});
        request
    };
    let with_template = |member: &str, value: Value| {
        let mut request = managed("x");
        request["managedInstancesProvider"]["instanceLaunchTemplate"][member] = value;
        request
    };
    let mut sandboxed = with_template("nitroEnclavesEnabled", json!(true));
    sandboxed["managedInstancesProvider"]["instanceLaunchTemplate"]["localStorageConfiguration"] =
        json!({"useLocalStorage": true});
    let idle = |seconds: i32| {
        let mut request = managed("x");
        request["managedInstancesProvider"]["infrastructureOptimization"] = json!({"scaleInAfter": seconds});
        request
    };
    let mut nowhere = managed("x");
    nowhere.as_object_mut().unwrap().remove("cluster");
    let mut somewhere = group("x");
    somewhere["cluster"] = json!("c");
    for (request, code, said) in [
        (group(""), "ClientException", NAME),
        (group("a b"), "ClientException", NAME),
        (group(&"x".repeat(256)), "ClientException", NAME),
        (group("awsome"), "ClientException", NAME),
        (group("Fargate2"), "ClientException", NAME),
        (json!({"name": "x"}), "InvalidParameterException", "Exactly one of"),
        (both, "InvalidParameterException", "Exactly one of"),
        (somewhere, "InvalidParameterException", "A cluster cannot"),
        (nowhere, "ClientException", "Amazon ECS Managed Instances Provider is not supported without"),
        (
            no_subnets,
            "ClientException",
            "Amazon ECS Managed Instances capacity provider must specify a Network",
        ),
        (sandboxed, "InvalidParameterException", "nitroEnclavesEnabled and useLocalStorage"),
        (idle(-2), "InvalidParameterException", "scaleInAfter must be -1 or between 0 and 3600."),
        (idle(3601), "InvalidParameterException", "scaleInAfter must be -1 or between 0 and 3600."),
        (
            with("autoScalingGroupArn", json!("")),
            "ClientException",
            "The specified Auto Scaling group ARN is invalid.",
        ),
        (
            with("autoScalingGroupArn", json!(arn)),
            "ClientException",
            "The specified Auto Scaling group ARN is already",
        ),
        (
            with("managedScaling", json!({"minimumScalingStepSize": 3, "maximumScalingStepSize": 2})),
            "ClientException",
            "The minimum or maximum scaling step size value is invalid.",
        ),
        (
            with("managedTerminationProtection", json!("ENABLED")),
            "ClientException",
            "The managed termination protection setting for the capacity provider is invalid.",
        ),
        (group("taken"), "ClientException", "The specified capacity provider already exists. To change"),
        (managed("taken"), "ClientException", "The specified capacity provider already exists with account"),
        (
            group("managed"),
            "ClientException",
            "The specified capacity provider already exists with cluster scope.",
        ),
    ] {
        let mut state = Account::default();
        make(&mut state, group("taken")).unwrap();
        make(&mut state, managed("managed")).unwrap();
        let shown = request.to_string();
        let (is, text) = make(&mut state, request).unwrap_err();
        assert!(is == code && text.starts_with(said), "{shown}: {is}: {text}");
    }
}

#[test]
fn an_update_changes_what_it_names_alone() {
    let mut state = Account::default();
    make(&mut state, group("g")).unwrap();
    make(&mut state, managed("m")).unwrap();
    settle(&mut state, "m", Outcome::Created);
    let scaling = json!({"status": "ENABLED", "targetCapacity": 80});
    let change = json!({"name": "g", "autoScalingGroupProvider": {"managedScaling": scaling}});
    let shown = update(&mut state, change).unwrap();
    assert_eq!(shown["updateStatus"], "UPDATE_COMPLETE");
    let of_group = &shown["autoScalingGroupProvider"];
    assert_eq!(
        (&of_group["managedScaling"]["targetCapacity"], &of_group["managedDraining"]),
        (&json!(80), &json!("ENABLED"))
    );
    assert!(state.grows("g"));
    let change = json!({"name": "m", "cluster": "c", "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/other",
        "instanceLaunchTemplate": {"storageConfiguration": {"storageSizeGiB": 50}},
    }});
    let shown = update(&mut state, change).unwrap()["managedInstancesProvider"].take();
    assert_eq!(shown["infrastructureRoleArn"], "arn:aws:iam::000000000000:role/other");
    let template = &shown["instanceLaunchTemplate"];
    assert_eq!(template["capacityOptionType"], "ON_DEMAND");
    assert_eq!(template["networkConfiguration"]["subnets"], json!(["subnet-1"]));
    assert_eq!(template["storageConfiguration"]["storageSizeGiB"], 50);
    for (request, said) in [
        (json!({"name": "x", "autoScalingGroupProvider": {}}), NOT_THERE),
        (json!({"name": "FARGATE", "autoScalingGroupProvider": {}}), RESERVED),
        (json!({"name": "g"}), "autoScalingGroupProvider must be specified."),
        (json!({"name": "m", "managedInstancesProvider": {}}), ALREADY_IN_CLUSTER),
        (json!({"name": "m", "cluster": "c"}), "managedInstancesProvider must be specified."),
        (
            json!({"name": "m", "cluster": "d"}),
            "Capacity provider active cluster name does not match the cluster name in the request.",
        ),
        (
            json!({"name": "g", "cluster": "c"}),
            "Capacity provider is not Amazon ECS Managed Instances capacity provider.",
        ),
    ] {
        assert_eq!(update(&mut state, request).unwrap_err().1, said);
    }
}

#[test]
fn one_is_deleted_once_no_cluster_has_it() {
    let mut state = Account::default();
    make(&mut state, group("g")).unwrap();
    let begun = delete(&mut state, "arn:aws:ecs:us-east-1:000000000000:capacity-provider/g", None).unwrap();
    let status = |row: &CapacityProviderRow| (row.status.as_str(), row.update.as_str());
    assert_eq!(status(&begun), ("ACTIVE", "DELETE_IN_PROGRESS"));
    assert_eq!(state.provider("g"), None, "nothing takes it up meanwhile");
    assert_eq!(state.providers_unsettled().collect::<Vec<_>>(), ["g"]);
    settle(&mut state, "g", retire::associated("c"));
    let row = state.provider_row("g").unwrap().clone();
    assert_eq!(status(&row), ("ACTIVE", "DELETE_FAILED"));
    let why = "The capacity provider cannot be deleted because it is associated with cluster: c. Remove the capacity \
               provider from the cluster and try again.";
    assert_eq!(row.update_reason.as_deref(), Some(why));
    let answer = retire::answer(&ctx(), &begun, Some(&row)).capacity_provider.unwrap();
    assert_eq!(answer.update_status_reason.as_deref(), Some(why));
    assert!(state.provider("g").is_some(), "it goes on");
    delete(&mut state, "g", None).unwrap();
    settle(&mut state, "g", Outcome::Deleted);
    let row = state.provider_row("g").unwrap().clone();
    assert_eq!(status(&row), ("INACTIVE", "DELETE_COMPLETE"));
    settle(&mut state, "g", retire::in_use());
    assert_eq!(state.provider_row("g"), Some(&row), "what has come to something stays so");
    assert_eq!(refusal(delete(&mut state, "g", None)).1, NOT_THERE);
    assert_eq!(refusal(delete(&mut state, "FARGATE", None)).1, RESERVED);
    assert!(make(&mut state, group("g")).is_ok(), "the name is free again");
}

#[test]
fn one_of_managed_instances_is_there_once_its_cluster_knows_it() {
    let mut state = Account::default();
    let made = make(&mut state, managed("m")).unwrap();
    assert_eq!(
        (&made["status"], &made["updateStatus"]),
        (&json!("PROVISIONING"), &json!("CREATE_IN_PROGRESS"))
    );
    assert_eq!((&made["cluster"], &made["type"]), (&json!("c"), &json!("MANAGED_INSTANCES")));
    assert_eq!(state.provider("m"), None);
    let template = &made["managedInstancesProvider"]["instanceLaunchTemplate"];
    assert_eq!(template["capacityOptionType"], "ON_DEMAND", "as ECS fills it in");
    settle(&mut state, "m", Outcome::Created);
    assert!(state.provider("m") == Some(Kind::Managed { cluster: "c" }) && state.grows("m"));
    let begun = delete(&mut state, "m", Some("c")).unwrap();
    assert_eq!(begun.status, CapacityProviderStatus::Deprovisioning);
    settle(&mut state, "m", Outcome::Deleted);
    assert_eq!(state.provider_row("m").unwrap().status, CapacityProviderStatus::Inactive);
}

#[test]
fn they_are_described_in_pages_with_those_of_fargate() {
    let mut state = Account::default();
    let names: Vec<String> = (0..11).map(|n| format!("g{n:02}")).collect();
    names.iter().for_each(|name| drop(make(&mut state, group(name)).unwrap()));
    let (first, failures, token) = described(&state, json!({}), None);
    assert_eq!(
        (first.len(), &first[..3], failures.len()),
        (10, &["FARGATE", "FARGATE_SPOT", "g00"].map(String::from)[..], 0)
    );
    let (rest, _, none) = described(&state, json!({"nextToken": token}), None);
    assert_eq!((rest, none), (names[8..].to_vec(), None));
    let asked = json!({"capacityProviders": ["g05", "FARGATE", "x"], "maxResults": 10});
    let (found, failures, _) = described(&state, asked, None);
    assert_eq!(found, ["FARGATE", "g05"]);
    assert_eq!(failures, ["arn:aws:ecs:us-east-1:000000000000:capacity-provider/x"]);
    let of_cluster = ["FARGATE".to_owned(), "g01".to_owned()];
    assert_eq!(described(&state, json!({}), Some(&of_cluster)).0, of_cluster);
    let (found, failures, _) = described(&state, json!({"capacityProviders": ["g05"]}), Some(&of_cluster));
    assert!(found.is_empty() && failures.len() == 1, "it is of no such cluster");
    let page = json!({"maxResults": 11});
    assert!(describe_capacity_providers(&state, &ctx(), &from(page), None).is_err());
}

#[test]
fn tags_of_one_are_changed_by_its_arn() {
    let mut state = Account::default();
    make(&mut state, group("g")).unwrap();
    let arn = "arn:aws:ecs:us-east-1:000000000000:capacity-provider/g";
    assert!(tagging::is_ours(arn));
    let tag = json!({"resourceArn": arn, "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]});
    call(&mut state, |txn| tagging::tag_resource(txn, from(tag))).unwrap();
    let untag = json!({"resourceArn": arn, "tagKeys": ["a"]});
    call(&mut state, |txn| tagging::untag_resource(txn, from(untag))).unwrap();
    let listed = tagging::list_tags_for_resource(&state, &ctx(), &from(json!({"resourceArn": arn}))).unwrap();
    assert_eq!(serde_json::to_value(listed.tags).unwrap(), json!([{"key": "b", "value": "2"}]));
    let other = json!({"resourceArn": format!("{arn}2"), "tags": []});
    let refused = refusal(call(&mut state, |txn| tagging::tag_resource(txn, from(other))));
    assert_eq!(refused.0, "ResourceNotFoundException");
}
