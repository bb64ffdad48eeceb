//! Capacity providers across the account and its clusters, and whatever dies on the way.

use ::ecs::account::{self, providers::retire};

use super::*;

const GROUP: &str = "g";

async fn make(api: &Api) {
    let group = json!({"autoScalingGroupArn": "group"});
    api.ok("CreateCapacityProvider", json!({"name": GROUP, "autoScalingGroupProvider": group})).await;
}

async fn put(api: &Api, providers: &[&str]) -> Result<Value, Error> {
    let request =
        json!({"cluster": "c", "capacityProviders": providers, "defaultCapacityProviderStrategy": []});
    api.call("PutClusterCapacityProviders", request).await
}

async fn described(api: &Api, name: &str) -> Value {
    let mut reply = api.ok("DescribeCapacityProviders", json!({"capacityProviders": [name]})).await;
    reply["capacityProviders"][0].take()
}

fn managed() -> Value {
    json!({"name": "m", "cluster": "c", "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
            "networkConfiguration": {"subnets": ["subnet-12345678"]},
        },
    }})
}

#[tokio::test]
async fn one_that_a_cluster_has_stays_and_says_whose_it_is() {
    let api = Api::open(Arc::new(Memory::new())).await;
    make(&api).await;
    put(&api, &[GROUP]).await.unwrap();
    let failed = api.ok("DeleteCapacityProvider", json!({"capacityProvider": GROUP})).await;
    assert_eq!(failed["capacityProvider"]["updateStatus"], "DELETE_FAILED");
    assert!(
        failed["capacityProvider"]["updateStatusReason"]
            .as_str()
            .unwrap()
            .contains("associated with cluster: c.")
    );
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
    let gone = api.ok("DeleteCapacityProvider", json!({"capacityProvider": GROUP})).await;
    assert_eq!(gone["capacityProvider"]["updateStatus"], "DELETE_IN_PROGRESS");
    assert_eq!(described(&api, GROUP).await["status"], "INACTIVE");
    let refused = api.call("CreateCluster", json!({"clusterName": "d", "capacityProviders": [GROUP]})).await;
    assert_eq!(refused.unwrap_err().code(), "InvalidParameterException");
    assert!(api.home.cluster_by_name("d").is_none(), "nothing is left of it");
    let with = json!({"clusterName": "d", "capacityProviders": ["FARGATE"]});
    assert_eq!(api.ok("CreateCluster", with).await["cluster"]["capacityProviders"], json!(["FARGATE"]));
}

/// The program dies between the two steps of a deletion: the next one carries it out.
#[tokio::test]
async fn what_is_begun_is_carried_out_by_the_next_sweep() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    make(&api).await;
    let begin = |txn: &mut account::Txn| {
        retire::begin(
            txn,
            &ecs::DeleteCapacityProviderRequest { capacity_provider: GROUP.into(), cluster: None },
        )
    };
    api.home.account_shard().execute("", begin).await.unwrap();
    let make = |txn: &mut account::Txn| {
        let request = serde_json::from_value(managed()).unwrap();
        account::providers::create(txn, request, Some("c".to_owned()))
    };
    api.home.account_shard().execute("", make).await.unwrap();
    drop(api);
    let again = Api::open(store).await;
    assert!(put(&again, &[GROUP]).await.is_err(), "nothing takes it up any more");
    again.home.sweep_once().await.unwrap();
    assert_eq!(described(&again, GROUP).await["updateStatus"], "DELETE_COMPLETE");
    assert_eq!(described(&again, "m").await["status"], "ACTIVE");
    let cluster = again.ok("DescribeClusters", json!({"clusters": ["c"]})).await;
    assert_eq!(cluster["clusters"][0]["capacityProviders"], json!(["m"]));
}

#[tokio::test]
async fn one_of_managed_instances_is_its_cluster_s_as_long_as_it_is_there() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let made = api.ok("CreateCapacityProvider", managed()).await;
    assert_eq!(made["capacityProvider"]["status"], "PROVISIONING");
    assert_eq!(described(&api, "m").await["updateStatus"], "CREATE_COMPLETE");
    put(&api, &["FARGATE"]).await.unwrap();
    let of_cluster = api.ok("DescribeCapacityProviders", json!({"cluster": "c"})).await;
    assert_eq!(of_cluster["capacityProviders"].as_array().unwrap().len(), 2, "it is there whatever is put");
    let refused = api.call("DeleteCluster", json!({"cluster": "c"})).await.unwrap_err();
    assert_eq!(refused.code(), "ClusterContainsCapacityProviderException");
    let delete = json!({"capacityProvider": "m", "cluster": "c"});
    api.define().await;
    let strategy = json!([{"capacityProvider": "m", "weight": 1}]);
    let run = json!({"cluster": "c", "taskDefinition": "web", "capacityProviderStrategy": strategy});
    let task = api.ok("RunTask", run).await["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let failed = api.ok("DeleteCapacityProvider", delete.clone()).await;
    assert_eq!(failed["capacityProvider"]["updateStatus"], "DELETE_FAILED");
    api.stop(&task).await;
    api.ok("DeleteCapacityProvider", delete).await;
    assert_eq!(described(&api, "m").await["updateStatus"], "DELETE_COMPLETE");
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
}

#[tokio::test]
async fn a_cluster_takes_no_more_of_its_own_than_it_has_room_for_and_daemons_keep_theirs() {
    let api = Api::open(Arc::new(Memory::new())).await;
    for n in 0..21 {
        let mut request = managed();
        request["name"] = json!(format!("m{n}"));
        api.ok("CreateCapacityProvider", request).await;
    }
    assert_eq!(described(&api, "m19").await["status"], "ACTIVE");
    let refused = described(&api, "m20").await;
    assert_eq!((&refused["status"], &refused["updateStatus"]), (&json!("INACTIVE"), &json!("CREATE_FAILED")));
    let why = "The maximum number of capacity providers per cluster has been exceeded.";
    assert_eq!(refused["updateStatusReason"], why);
    let container = json!({"name": "app", "image": "busybox", "memory": 10});
    let definition = json!({"family": "agent", "containerDefinitions": [container]});
    api.ok("RegisterDaemonTaskDefinition", definition).await;
    let arn = |kind: &str| format!("arn:aws:ecs:us-east-1:000000000000:{kind}");
    let daemon = json!({
        "daemonName": "d", "clusterArn": arn("cluster/c"), "capacityProviderArns": [arn("capacity-provider/m0")],
        "daemonTaskDefinitionArn": "agent",
    });
    api.ok("CreateDaemon", daemon).await;
    let delete = json!({"capacityProvider": "m0", "cluster": "c"});
    let refused = api.call("DeleteCapacityProvider", delete.clone()).await.unwrap_err();
    let why =
        "Cannot delete capacity provider. Daemon services are still associated with this capacity provider.";
    assert_eq!((refused.code(), refused.message()), ("ClientException", why));
    assert_eq!(described(&api, "m0").await["updateStatus"], "CREATE_COMPLETE", "nothing was begun");
    api.ok("DeleteDaemon", json!({"daemonArn": arn("daemon/c/d")})).await;
    api.ok("DeleteCapacityProvider", delete).await;
    assert_eq!(described(&api, "m0").await["status"], "INACTIVE");
}
