//! Clusters from CreateCluster to what is said of one that is gone.

use super::*;

/// What a call is refused with.
async fn refused(api: &Api, operation: &str, input: Value) -> (String, String) {
    let error = api.call(operation, input.clone()).await.expect_err(&input.to_string());
    (error.code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn a_cluster_that_is_there_is_the_answer_if_it_is_as_it_is_asked_for() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let managed = json!({"name": "own", "cluster": "d", "managedInstancesProvider": {
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
            "networkConfiguration": {"subnets": ["subnet-12345678"]},
        },
    }});
    let request = |more: Value| {
        let mut request = json!({"clusterName": "d"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let spot = |weight: i32| json!([{"capacityProvider": "FARGATE_SPOT", "weight": weight}]);
    let made = request(json!({
        "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
        "settings": [{"name": "containerInsights", "value": "enabled"}],
        "capacityProviders": ["FARGATE", "FARGATE_SPOT", "FARGATE"],
        "defaultCapacityProviderStrategy": spot(1),
    }));
    let shown = api.ok("CreateCluster", made.clone()).await["cluster"].take();
    assert_eq!(shown["capacityProviders"], json!(["FARGATE", "FARGATE_SPOT"]), "each once");
    api.ok("CreateCapacityProvider", managed).await;
    for same in [
        json!({}),
        json!({"tags": [], "settings": [], "capacityProviders": [], "defaultCapacityProviderStrategy": []}),
        json!({"tags": [{"key": "b", "value": "2"}]}),
        json!({"capacityProviders": ["FARGATE_SPOT", "FARGATE"]}),
        json!({"capacityProviders": ["FARGATE_SPOT", "FARGATE", "own"]}),
        made,
    ] {
        let again = api.ok("CreateCluster", request(same)).await["cluster"].take();
        assert_eq!(again["tags"], shown["tags"]);
    }
    let inconsistent =
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
    for other in [
        json!({"tags": [{"key": "a", "value": "2"}]}),
        json!({"settings": [{"name": "containerInsights", "value": "disabled"}]}),
        json!({"capacityProviders": ["FARGATE"]}),
        json!({"defaultCapacityProviderStrategy": spot(2)}),
    ] {
        let told = refused(&api, "CreateCluster", request(other)).await;
        assert_eq!(told, ("InvalidParameterException".to_owned(), inconsistent.to_owned()));
    }
}

#[tokio::test]
async fn the_tags_of_a_cluster_that_was_deleted_are_told_as_gone() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let arn = |name: &str| format!("arn:aws:ecs:us-east-1:000000000000:{name}");
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
    let inactive = "The specified cluster is inactive. Specify an active cluster and try again.";
    for resource in [arn("cluster/c"), arn("service/c/s")] {
        for (operation, more) in [
            ("ListTagsForResource", json!({})),
            ("TagResource", json!({"tags": [{"key": "a", "value": "1"}]})),
            ("UntagResource", json!({"tagKeys": ["a"]})),
        ] {
            let mut request = more;
            request["resourceArn"] = json!(resource);
            let told = refused(&api, operation, request).await;
            assert_eq!(told, ("InvalidParameterException".to_owned(), inactive.to_owned()), "{operation}");
        }
    }
    let never = json!({"resourceArn": arn("cluster/never")});
    assert_eq!(refused(&api, "ListTagsForResource", never).await.0, "ClusterNotFoundException");
}

#[tokio::test]
async fn a_provider_that_is_not_active_yet_is_called_so() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let begin = |txn: &mut ::ecs::account::Txn| {
        let made = json!({"name": "g", "autoScalingGroupProvider": {"autoScalingGroupArn": "g"}});
        ::ecs::account::providers::create(txn, serde_json::from_value(made).unwrap(), None)?;
        let request = ecs::DeleteCapacityProviderRequest { capacity_provider: "g".into(), cluster: None };
        ::ecs::account::providers::retire::begin(txn, &request)
    };
    api.home.account_shard().execute("", begin).await.unwrap();
    let put = |name: &str| json!({"cluster": "c", "capacityProviders": [name], "defaultCapacityProviderStrategy": []});
    let (code, said) = refused(&api, "PutClusterCapacityProviders", put("g")).await;
    assert_eq!(code, "InvalidParameterException");
    assert!(said.starts_with("The specified capacity provider 'g' is not in an ACTIVE state."), "{said}");
    let (_, said) = refused(&api, "PutClusterCapacityProviders", put("h")).await;
    assert!(said.starts_with("The specified capacity provider was not found."), "{said}");
}
