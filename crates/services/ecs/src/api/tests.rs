//! The tables agree with the model, and say what each operation is authorised on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use state::api::Built;

use super::*;
use crate::testing::ctx;

fn all() -> Vec<&'static Built> {
    let account = ACCOUNT.iter().map(|operation| &operation.built);
    account.chain(CLUSTER.iter().map(|operation| &operation.built)).collect()
}

fn built(name: &str) -> &'static Built {
    all().into_iter().find(|built| built.operation == name).expect(name)
}

fn arn(resource: &str) -> String {
    format!("arn:aws:ecs:us-east-1:000000000000:{resource}")
}

#[test]
fn every_operation_is_in_one_table_and_in_the_model() {
    let names: BTreeSet<&str> = all().iter().map(|built| built.operation).collect();
    assert_eq!(names.len(), all().len());
    for built in all() {
        let model = ecs_model::SERVICE.operation(built.operation).expect(built.operation);
        for member in built.refused {
            assert!(model.input_members().iter().any(|known| known.name == *member), "{member}");
        }
    }
}

#[test]
fn what_is_on_a_cluster_names_it() {
    for operation in CLUSTER {
        let model = ecs_model::SERVICE.operation(operation.built.operation).unwrap();
        assert!(model.input_members().iter().any(|member| member.name == "cluster"), "{}", model.name);
    }
}

#[test]
fn operations_are_authorised_on_what_they_name() {
    let other = "arn:aws:ecs:eu-west-1:111111111111:cluster/x";
    let task = arn("task/c/0123");
    for (name, input, on) in [
        ("CreateCluster", json!({}), vec![arn("cluster/default")]),
        ("CreateCluster", json!({"clusterName": "c"}), vec![arn("cluster/c")]),
        ("DescribeClusters", json!({}), vec![arn("cluster/default")]),
        (
            "DescribeClusters",
            json!({"clusters": ["b", other, "b"]}),
            vec![other.to_owned(), arn("cluster/b")],
        ),
        ("DeleteCluster", json!({"cluster": arn("cluster/c")}), vec![arn("cluster/c")]),
        ("ListClusters", json!({}), vec!["*".to_owned()]),
        ("ListServices", json!({"cluster": "c"}), vec!["*".to_owned()]),
        ("RunTask", json!({"taskDefinition": "web"}), vec![arn("task-definition/web")]),
        ("RunTask", json!({"taskDefinition": "web:7"}), vec![arn("task-definition/web:7")]),
        (
            "StartTask",
            json!({"taskDefinition": arn("task-definition/w:1")}),
            vec![arn("task-definition/w:1")],
        ),
        ("RegisterTaskDefinition", json!({"family": "web"}), vec![arn("task-definition/web:*")]),
        (
            "DeleteTaskDefinitions",
            json!({"taskDefinitions": ["b:1", "a:2"]}),
            vec![arn("task-definition/a:2"), arn("task-definition/b:1")],
        ),
        ("RegisterDaemonTaskDefinition", json!({"family": "a"}), vec![arn("daemon-task-definition/a:*")]),
        (
            "DescribeDaemonTaskDefinition",
            json!({"daemonTaskDefinition": "a:1"}),
            vec![arn("daemon-task-definition/a:1")],
        ),
        (
            "DeleteDaemonTaskDefinition",
            json!({"daemonTaskDefinition": arn("daemon-task-definition/a:2")}),
            vec![arn("daemon-task-definition/a:2")],
        ),
        ("ListDaemonTaskDefinitions", json!({}), vec!["*".to_owned()]),
        ("StopTask", json!({"task": "0123"}), vec![arn("task/default/0123")]),
        (
            "DescribeTasks",
            json!({"cluster": "c", "tasks": ["1", task]}),
            vec![arn("task/c/0123"), arn("task/c/1")],
        ),
        ("GetTaskProtection", json!({"cluster": "c", "tasks": ["1"]}), vec![arn("task/c/1")]),
        (
            "UpdateTaskProtection",
            json!({"cluster": "c", "tasks": [task, "1"]}),
            vec![arn("task/c/0123"), arn("task/c/1")],
        ),
        ("ListTasks", json!({"cluster": "c"}), vec![arn("container-instance/c/*")]),
        ("ListTasks", json!({"containerInstance": "1"}), vec![arn("container-instance/default/1")]),
        ("CreateService", json!({"cluster": arn("cluster/c"), "serviceName": "s"}), vec![arn("service/c/s")]),
        ("UpdateService", json!({"service": "s"}), vec![arn("service/default/s")]),
        ("DescribeServices", json!({"services": [arn("service/c/s")]}), vec![arn("service/c/s")]),
        (
            "PutAttributes",
            json!({"cluster": "c", "attributes": [{"name": "a", "targetId": "1"}, {"name": "b", "targetId": "1"}]}),
            vec![arn("container-instance/c/1")],
        ),
        (
            "UpdateContainerAgent",
            json!({"cluster": "c", "containerInstance": "1"}),
            vec![arn("container-instance/c/1")],
        ),
        ("SubmitAttachmentStateChanges", json!({"cluster": "c"}), vec![arn("cluster/c")]),
        ("DeregisterContainerInstance", json!({"containerInstance": "1"}), vec![arn("cluster/default")]),
        ("ListServiceDeployments", json!({"cluster": "c", "service": "s"}), vec![arn("service/c/s")]),
        (
            "DescribeServiceDeployments",
            json!({"serviceDeploymentArns": [arn("service-deployment/c/s/1")]}),
            vec![arn("service-deployment/c/s/1")],
        ),
        (
            "DescribeServiceRevisions",
            json!({"serviceRevisionArns": [arn("service-revision/c/s/1")]}),
            vec![arn("service-revision/c/s/1")],
        ),
        (
            "StopServiceDeployment",
            json!({"serviceDeploymentArn": arn("service-deployment/c/s/1")}),
            vec![arn("service-deployment/c/s/1")],
        ),
        (
            "CreateTaskSet",
            json!({"cluster": "c", "service": arn("service/c/s"), "taskDefinition": "web"}),
            vec![arn("task-set/c/s/*")],
        ),
        (
            "DeleteTaskSet",
            json!({"cluster": "c", "service": "s", "taskSet": "ecs-svc/1"}),
            vec![arn("task-set/c/s/ecs-svc/1")],
        ),
        (
            "DescribeTaskSets",
            json!({"cluster": "c", "service": "s", "taskSets": [arn("task-set/c/s/ecs-svc/1")]}),
            vec![arn("task-set/c/s/ecs-svc/1")],
        ),
        ("DescribeTaskSets", json!({"cluster": "c", "service": "s"}), vec![arn("task-set/c/s/*")]),
        (
            "UpdateServicePrimaryTaskSet",
            json!({"cluster": "c", "service": "s", "primaryTaskSet": "ecs-svc/1"}),
            vec![arn("service/c/s")],
        ),
        (
            "ContinueServiceDeployment",
            json!({"serviceDeploymentArn": arn("service-deployment/c/s/1"), "hookId": "h"}),
            vec![arn("service-deployment/c/s/1")],
        ),
        ("ListServicesByNamespace", json!({"namespace": "n"}), vec!["*".to_owned()]),
        ("TagResource", json!({"resourceArn": task}), vec![task.clone()]),
        ("PutAccountSetting", json!({"name": "containerInsights"}), vec!["*".to_owned()]),
    ] {
        assert_eq!((built(name).on)(&ctx(), &input), on, "{name} {input}");
    }
}

#[test]
fn operations_on_capacity_providers_and_daemons_are_authorised_on_what_they_name() {
    for (name, input, on) in [
        ("CreateCapacityProvider", json!({"name": "p"}), vec![arn("capacity-provider/p")]),
        ("UpdateCapacityProvider", json!({"name": "p"}), vec![arn("capacity-provider/p")]),
        (
            "DeleteCapacityProvider",
            json!({"capacityProvider": arn("capacity-provider/p")}),
            vec![arn("capacity-provider/p")],
        ),
        ("DescribeCapacityProviders", json!({}), vec![arn("capacity-provider/*")]),
        ("DescribeCapacityProviders", json!({"capacityProviders": ["p"]}), vec![arn("capacity-provider/p")]),
        ("PutClusterCapacityProviders", json!({"cluster": "c"}), vec![arn("cluster/c")]),
        ("CreateDaemon", json!({"clusterArn": arn("cluster/c"), "daemonName": "d"}), vec![arn("daemon/c/d")]),
        ("CreateDaemon", json!({"daemonName": "d"}), vec![arn("daemon/default/d")]),
        ("UpdateDaemon", json!({"daemonArn": arn("daemon/c/d")}), vec![arn("daemon/c/d")]),
        ("DeleteDaemon", json!({"daemonArn": arn("daemon/c/d")}), vec![arn("daemon/c/d")]),
        ("DescribeDaemon", json!({"daemonArn": arn("daemon/c/d")}), vec![arn("daemon/c/d")]),
        ("ListDaemons", json!({"clusterArn": "c"}), vec!["*".to_owned()]),
        ("ListDaemonDeployments", json!({"daemonArn": arn("daemon/c/d")}), vec![arn("daemon/c/d")]),
        (
            "DescribeDaemonDeployments",
            json!({"daemonDeploymentArns": [arn("daemon-deployment/c/d/1"), arn("daemon-deployment/c/d/2")]}),
            vec![arn("daemon/c/d"), arn("daemon-deployment/c/d/1"), arn("daemon-deployment/c/d/2")],
        ),
        (
            "DescribeDaemonRevisions",
            json!({"daemonRevisionArns": [arn("daemon-revision/c/d/1")]}),
            vec![arn("daemon/c/d"), arn("daemon-revision/c/d/1")],
        ),
    ] {
        assert_eq!((built(name).on)(&ctx(), &input), on, "{name} {input}");
    }
}

#[test]
fn conditions_have_their_values_from_the_input() {
    let of = |name: &str, input: Value| {
        let values = built(name).condition_values(&ctx(), &input);
        values.into_iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect::<Vec<_>>()
    };
    let in_cluster = format!("ecs:cluster={}", arn("cluster/c"));
    let run = json!({"cluster": "c", "taskDefinition": "web", "tags": [{"key": "k", "value": "v"}]});
    let expected = [
        &in_cluster,
        "ecs:enable-execute-command=false",
        "ecs:enable-ebs-volumes=false",
        "aws:TagKeys=k",
        "aws:RequestTag/k=v",
    ];
    assert_eq!(of("RunTask", run), expected);
    let strategy = json!([{"capacityProvider": "p", "weight": 1}]);
    let by_strategy = of("RunTask", json!({"cluster": "c", "capacityProviderStrategy": strategy}));
    assert_eq!(by_strategy[1], format!("ecs:capacity-provider={}", arn("capacity-provider/p")));
    let start = of("StartTask", json!({"cluster": "c", "containerInstances": ["1"]}));
    assert_eq!(start[1], format!("ecs:container-instances={}", arn("container-instance/c/1")));
    let vpc = json!({"awsvpcConfiguration": {"subnets": ["a", "b"], "assignPublicIp": "DISABLED"}});
    let service = json!({
        "cluster": "c", "serviceName": "s", "taskDefinition": "web:1", "enableExecuteCommand": true,
        "enableECSManagedTags": true, "propagateTags": "SERVICE", "networkConfiguration": vpc,
        "serviceConnectConfiguration": {"enabled": true}, "vpcLatticeConfigurations": [{}]
    });
    let expected = [
        &in_cluster,
        &format!("ecs:task-definition={}", arn("task-definition/web:1")),
        "ecs:enable-execute-command=true",
        "ecs:enable-ebs-volumes=false",
        "ecs:enable-service-connect=true",
        "ecs:enable-vpc-lattice=true",
        "ecs:enable-ecs-managed-tags=true",
        "ecs:propagate-tags=SERVICE",
        "ecs:auto-assign-public-ip=false",
        "ecs:subnet=a,b",
    ];
    assert_eq!(of("CreateService", service), expected);
    let daemon = json!({
        "clusterArn": "c", "daemonName": "d", "daemonTaskDefinitionArn": "a:1", "propagateTags": "DAEMON",
        "capacityProviderArns": ["own"]
    });
    let expected = [
        &in_cluster,
        &format!("ecs:daemon-task-definition={}", arn("daemon-task-definition/a:1")),
        "ecs:enable-execute-command=false",
        "ecs:propagate-tags=DAEMON",
        "ecs:capacity-provider=own",
    ];
    assert_eq!(of("CreateDaemon", daemon), expected);
    assert_eq!(
        of("DescribeDaemon", json!({"daemonArn": arn("daemon/c/d")})),
        std::slice::from_ref(&in_cluster)
    );
    let revisions =
        of("DescribeDaemonRevisions", json!({"daemonRevisionArns": [arn("daemon-revision/c/d/1")]}));
    assert_eq!(revisions, [in_cluster.clone(), format!("ecs:daemon={}", arn("daemon/c/d"))]);
    let definition = json!({
        "family": "f", "cpu": "1 vCPU", "memory": "512", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{"name": "a"}, {"name": "b", "privileged": true}]
    });
    let expected =
        ["ecs:compute-compatibility=EC2", "ecs:privileged=true", "ecs:task-cpu=1024", "ecs:task-memory=512"];
    assert_eq!(of("RegisterTaskDefinition", definition.clone()), expected);
    assert_eq!(of("RegisterDaemonTaskDefinition", definition), expected[1..]);
    assert_eq!(of("PutAccountSetting", json!({"name": "n"})), ["ecs:account-setting=n"]);
    assert_eq!(of("UntagResource", json!({"tagKeys": ["a", "b"]})), ["aws:TagKeys=a,b"]);
}
