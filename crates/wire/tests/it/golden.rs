//! Requests that botocore wrote, and replies that botocore reads (`tools/golden.py` writes the one and checks
//! the other). `UPDATE=1` writes the replies anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use wire::protocol::{Incoming, Reply, codec, pick};
use wire::schema::{Kind, Operation, Service, Shape};
use wire::validate::validate;
use wire::{Error, Request};

use crate::{SERVICES, probe};

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn service(name: &str) -> &'static Service {
    let all = SERVICES.iter().copied().chain([&probe::SERVICE]);
    all.into_iter().find(|service| service.name == name).unwrap()
}

#[test]
fn what_botocore_sends_is_read() {
    let mut seen = BTreeSet::new();
    for line in fs::read_to_string(folder().join("requests.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in line["headers"].as_object().unwrap() {
            headers.insert(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
            );
        }
        let body = line["body"].as_str().unwrap().as_bytes();
        let request = Incoming { method: "POST", query: "", headers: &headers, body };
        let service = service(line["service"].as_str().unwrap());
        let codec = codec(pick(service, &request)).unwrap();
        let operation = codec.operation(service, &request).unwrap();
        assert_eq!(operation.name, line["operation"]);
        let mut input = codec.input(operation, &request).unwrap();
        validate(service, operation, &mut input)
            .unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        assert_eq!(as_numbers(operation.input, &input), line["input"], "{}", operation.name);
        if service.name != "probe" {
            assert_eq!(typed(service.name, operation.name, Side::Input, &input), input, "{}", operation.name);
        }
        seen.insert((service.name, operation.name));
    }
    let typed: usize = SERVICES.iter().flat_map(|s| s.operations).filter(|o| o.typed).count();
    assert_eq!(seen.len(), typed + 1);
}

#[test]
fn what_we_reply_is_the_golden_text() {
    let mut text = String::new();
    for service in SERVICES.iter().copied().chain([&probe::SERVICE]) {
        for operation in service.operations.iter().filter(|operation| operation.typed) {
            reply_lines(service, operation, &mut text);
        }
        error_lines(service, &mut text);
    }
    let path = folder().join("replies.jsonl");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == text, "run with UPDATE=1, then `tools/golden.py check`");
}

fn reply_lines(service: &'static Service, operation: &'static Operation, text: &mut String) {
    let codec = codec(service.protocols[0]).unwrap();
    for full in [false, true] {
        let output = operation.output.map_or(json!({}), |shape| sample(shape, full, 0));
        if service.name != "probe" {
            let typed = typed(service.name, operation.name, Side::Output, &output);
            assert_eq!(typed, output, "{}", operation.name);
        }
        let body = Bytes::from(output.to_string());
        let reply = codec.response(service, operation, body, REQUEST_ID).unwrap();
        line(service, operation.name, &reply, "output", &output, text);
    }
}

fn error_lines(service: &'static Service, text: &mut String) {
    let codec = codec(service.protocols[0]).unwrap();
    let Some(operation) = service.operations.iter().find(|operation| operation.typed) else { return };
    for shape in service.errors {
        let error = Error::of(shape, format!("{} <&> \"é\"", shape.name));
        let reply = codec.error(Some(service), &error, REQUEST_ID);
        let told = json!({"code": error.code(), "message": error.message()});
        line(service, operation.name, &reply, "error", &told, text);
    }
}

fn line(service: &Service, operation: &str, reply: &Reply, kind: &str, value: &Value, text: &mut String) {
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap())))
        .collect();
    let line = json!({
        "service": service.name, "operation": operation, "status": reply.status, "headers": headers,
        "body": std::str::from_utf8(&reply.body).unwrap(), kind: value,
    });
    text.push_str(&line.to_string());
    text.push('\n');
}

/// A value that meets the shape; with `full` every member is set.
fn sample(shape: &Shape, full: bool, depth: usize) -> Value {
    match &shape.kind {
        Kind::Structure { union, members } => {
            let chosen = members.iter().filter(|member| *union || member.required || (full && depth < 12));
            let chosen = chosen.take(if *union { 1 } else { usize::MAX });
            chosen.map(|member| (member.name.to_owned(), sample(member.shape, full, depth + 1))).collect()
        }
        Kind::List { member, .. } => {
            (0..usize::from(full)).map(|_| sample(member.shape, full, depth + 1)).collect()
        }
        Kind::Map { value, .. } => (0..usize::from(full))
            .map(|_| ("key\u{e9}".to_owned(), sample(value.shape, full, depth + 1)))
            .collect(),
        Kind::String { values: [.., last], .. } => Value::from(*last),
        Kind::String { .. } => Value::from("text <&> \"\u{e9}\u{20ac}\"\n"),
        Kind::Integer { .. } | Kind::Long { .. } => Value::from(7),
        Kind::Double { .. } => Value::from(0.25),
        Kind::Boolean => Value::from(true),
        Kind::Timestamp(_) => Value::from(1_795_428_000.25),
        Kind::Blob { .. } => Value::from("AP9ibG9i"),
        Kind::Document => json!({"any": ["thing", 1]}),
    }
}

/// Times as seconds, whatever form the protocol gave them.
fn as_numbers(shape: Option<&Shape>, value: &Value) -> Value {
    match (shape.map(|shape| &shape.kind), value) {
        (Some(Kind::Timestamp(_)), time) => {
            serde_json::to_value(serde_json::from_value::<wire::Timestamp>(time.clone()).unwrap()).unwrap()
        }
        (Some(Kind::Structure { members, .. }), Value::Object(given)) => given
            .iter()
            .map(|(name, value)| {
                let shape = members.iter().find(|member| member.name == name).map(|member| member.shape);
                (name.clone(), as_numbers(shape, value))
            })
            .collect(),
        (Some(Kind::List { member, .. }), Value::Array(items)) => {
            items.iter().map(|item| as_numbers(Some(member.shape), item)).collect()
        }
        _ => value.clone(),
    }
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// Through the generated type and back.
fn both<R>(side: Side, value: &Value) -> Value
where
    R: Request + Serialize,
    R::Response: DeserializeOwned,
{
    match side {
        Side::Input => serde_json::to_value(serde_json::from_value::<R>(value.clone()).unwrap()).unwrap(),
        Side::Output => {
            serde_json::to_value(serde_json::from_value::<R::Response>(value.clone()).unwrap()).unwrap()
        }
    }
}

/// Of a service that nothing of ours calls, requests can only be read, and responses only be written.
fn served<R: Request>(side: Side, value: &Value) -> Value {
    match side {
        Side::Input => {
            serde_json::from_value::<R>(value.clone()).unwrap();
        }
        Side::Output => {
            let least = serde_json::to_value(R::Response::default()).unwrap();
            let known = R::SERVICE.operation(R::OPERATION).and_then(|operation| operation.output);
            let is_known = |name: &String| known.is_some_and(|shape| shape.member(name).is_some());
            assert!(least.as_object().unwrap().keys().all(is_known), "{least}");
        }
    }
    value.clone()
}

macro_rules! typed_requests {
    ($($service:literal: $model:ident, $way:ident: $($request:ident),*;)*) => {
        fn typed(service: &str, operation: &str, side: Side, value: &Value) -> Value {
            $($(
                if service == $service && operation == $model::$request::OPERATION {
                    return $way::<$model::$request>(side, value);
                }
            )*)*
            panic!("{service} {operation} is not in the list below")
        }
    };
}

typed_requests! {
        "ecs": ecs_model, both:
        AssociateGatewayWithClusterRequest, ContinueServiceDeploymentRequest,
        CreateCapacityProviderRequest, CreateClusterRequest, CreateDaemonRequest,
        CreateExpressGatewayServiceRequest, CreateGatewayRequest, CreateServiceRequest,
        CreateTaskSetRequest, DeleteAccountSettingRequest, DeleteAttributesRequest,
        DeleteCapacityProviderRequest, DeleteClusterRequest, DeleteDaemonRequest,
        DeleteDaemonTaskDefinitionRequest, DeleteExpressGatewayServiceRequest, DeleteGatewayRequest,
        DeleteServiceRequest, DeleteTaskDefinitionsRequest, DeleteTaskSetRequest,
        DeregisterContainerInstanceRequest, DeregisterTaskDefinitionRequest,
        DescribeCapacityProvidersRequest, DescribeClustersRequest,
        DescribeContainerInstancesRequest, DescribeDaemonRequest, DescribeDaemonDeploymentsRequest,
        DescribeDaemonRevisionsRequest, DescribeDaemonTaskDefinitionRequest,
        DescribeExpressGatewayServiceRequest, DescribeGatewayRequest,
        DescribeGatewayResourcesRequest, DescribeGatewayRouteRequest,
        DescribeServiceDeploymentsRequest, DescribeServiceRevisionsRequest, DescribeServicesRequest,
        DescribeTaskDefinitionRequest, DescribeTaskSetsRequest, DescribeTasksRequest,
        DisassociateGatewayFromClusterRequest, DiscoverPollEndpointRequest, ExecuteCommandRequest,
        GetTaskProtectionRequest, ListAccountSettingsRequest, ListAttributesRequest,
        ListClustersRequest, ListContainerInstancesRequest, ListDaemonDeploymentsRequest,
        ListDaemonTaskDefinitionsRequest, ListDaemonsRequest, ListGatewayClusterAssociationsRequest,
        ListGatewayRoutesRequest, ListGatewaysRequest, ListServiceDeploymentsRequest,
        ListServicesRequest, ListServicesByNamespaceRequest, ListTagsForResourceRequest,
        ListTaskDefinitionFamiliesRequest, ListTaskDefinitionsRequest, ListTasksRequest,
        PutAccountSettingRequest, PutAccountSettingDefaultRequest, PutAttributesRequest,
        PutClusterCapacityProvidersRequest, RegisterContainerInstanceRequest,
        RegisterDaemonTaskDefinitionRequest, RegisterTaskDefinitionRequest, RunTaskRequest,
        StartTaskRequest, StopServiceDeploymentRequest, StopTaskRequest,
        SubmitAttachmentStateChangesRequest, SubmitContainerStateChangeRequest,
        SubmitTaskStateChangeRequest, TagResourceRequest, UntagResourceRequest,
        UpdateCapacityProviderRequest, UpdateClusterRequest, UpdateClusterSettingsRequest,
        UpdateContainerAgentRequest, UpdateContainerInstancesStateRequest, UpdateDaemonRequest,
        UpdateExpressGatewayServiceRequest, UpdateGatewayRequest, UpdateServiceRequest,
        UpdateServicePrimaryTaskSetRequest, UpdateTaskProtectionRequest, UpdateTaskSetRequest;
        "logs": logs_model, both:
        CreateLogGroupRequest, CreateLogStreamRequest, DeleteLogGroupRequest,
        DeleteLogStreamRequest, DeleteRetentionPolicyRequest, DescribeLogGroupsRequest,
        DescribeLogStreamsRequest, FilterLogEventsRequest, GetLogEventsRequest,
        ListLogGroupsRequest, ListTagsForResourceRequest, ListTagsLogGroupRequest,
        PutLogEventsRequest, PutRetentionPolicyRequest, TagLogGroupRequest, TagResourceRequest,
        UntagLogGroupRequest, UntagResourceRequest;
        "sts": sts_model, served:
        GetCallerIdentityRequest;
}
