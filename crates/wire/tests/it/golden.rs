//! Requests that botocore wrote, and replies that botocore reads (`tools/golden.py` writes the one and checks
//! the other), in every protocol of every service that has tables, in the product or for the tests. `UPDATE=1` writes the
//! replies anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use wire::protocol::{Incoming, Reply, codec, pick, unknown_operation};
use wire::schema::{Kind, Operation, Place, Protocol, Service, Shape, TimestampFormat};
use wire::validate::validate;
use wire::{Error, Request};

use crate::{SERVICES, generated, probe};

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every service that has tables.
fn services() -> impl Iterator<Item = &'static Service> {
    let own = SERVICES.iter().copied().chain([&probe::SERVICE]);
    own.chain(generated::SERVICES.iter().copied())
}

fn is_product(service: &Service) -> bool {
    SERVICES.iter().any(|own| own.name == service.name)
}

/// The operations whose shapes are known, but for streams of events.
fn typed_operations(service: &'static Service) -> impl Iterator<Item = &'static Operation> {
    service.operations.iter().filter(|operation| operation.typed && !operation.event_stream)
}

/// The protocol by botocore's name.
fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => "json",
        Protocol::Query => "query",
        Protocol::Ec2Query => "ec2",
        Protocol::RestJson => "rest-json",
        Protocol::RestXml => "rest-xml",
        Protocol::Cbor => "smithy-rpc-v2-cbor",
    }
}

fn body_of(line: &Value) -> Vec<u8> {
    match &line["body64"] {
        Value::String(text) => STANDARD.decode(text).unwrap(),
        _ => line["body"].as_str().unwrap().as_bytes().to_vec(),
    }
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
        let body = body_of(&line);
        let text = |name: &str| line[name].as_str().unwrap();
        let request = Incoming {
            method: text("method"),
            path: text("path"),
            query: text("query"),
            headers: &headers,
            body: &body,
        };
        let service = services().find(|service| service.name == text("service")).unwrap();
        let protocol = pick(service, &request);
        let what = format!("{} {} {}", service.name, text("protocol"), text("operation"));
        assert_eq!(protocol_name(protocol), text("protocol"), "{what}");
        let codec = codec(protocol);
        let operation = codec.operation(service, &request).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(operation.name, text("operation"), "{what}");
        let mut input = codec.input(operation, &request).unwrap_or_else(|error| panic!("{what}: {error}"));
        validate(service, operation, &mut input).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(as_numbers(operation.input, &input), line["input"], "{what}");
        if is_product(service) {
            assert_eq!(typed(service.name, operation.name, Side::Input, &input), input, "{what}");
        }
        seen.insert((service.name, protocol_name(protocol), operation.name));
    }
    let all = services().flat_map(|service| typed_operations(service).map(move |_| service.protocols.len()));
    assert_eq!(seen.len(), all.sum::<usize>());
}

#[test]
fn what_we_reply_is_the_golden_text() {
    let mut text = String::new();
    for service in services() {
        for protocol in service.protocols {
            for operation in typed_operations(service) {
                reply_lines(service, *protocol, operation, &mut text);
            }
            error_lines(service, *protocol, &mut text);
        }
    }
    let path = folder().join("replies.jsonl");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == text, "run with UPDATE=1, then `tools/golden.py check`");
}

fn reply_lines(
    service: &'static Service,
    protocol: Protocol,
    operation: &'static Operation,
    text: &mut String,
) {
    for full in [false, true] {
        let output = operation.output.map_or(json!({}), |shape| sample(shape, full, 0, Place::Body));
        if is_product(service) {
            let typed = typed(service.name, operation.name, Side::Output, &output);
            assert_eq!(typed, output, "{}", operation.name);
        }
        let body = Bytes::from(output.to_string());
        let reply = codec(protocol).response(service, operation, body, REQUEST_ID).unwrap();
        let told = as_told(operation.output, output);
        line(service, protocol, operation.name, &reply, "output", &told, text);
    }
}

fn error_lines(service: &'static Service, protocol: Protocol, text: &mut String) {
    let Some(operation) = typed_operations(service).next() else { return };
    let modelled = service.errors.iter().map(|shape| {
        let error = Error::of(shape, format!("{} <&> \"é\"", shape.name));
        let members = shape.shape.members().iter().filter(|member| !is_message(member.name));
        members
            .fold(error, |error, member| error.with(member.name, sample(member.shape, true, 1, member.place)))
    });
    // Not of the model: who calls is not known, the operation is not built, the server is full.
    let others = [
        Error::new("SomethingElse", 403, "no <&>"),
        unknown_operation(protocol, format!("{} is not built", operation.name)),
        Error::unavailable("try again"),
    ];
    for error in modelled.chain(others) {
        let reply = codec(protocol).error(Some(service), &error, REQUEST_ID);
        let told = json!({"code": error.code(), "message": error.message()});
        line(service, protocol, operation.name, &reply, "error", &told, text);
    }
}

/// Members that an error's own code and message are.
fn is_message(name: &str) -> bool {
    ["message", "code", "type", "__type"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn line(
    service: &Service,
    protocol: Protocol,
    operation: &str,
    reply: &Reply,
    kind: &str,
    value: &Value,
    text: &mut String,
) {
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap())))
        .collect();
    let mut line = json!({
        "service": service.name, "protocol": protocol_name(protocol), "operation": operation,
        "status": reply.status, "headers": headers, kind: value,
    });
    match std::str::from_utf8(&reply.body) {
        Ok(body) => line["body"] = body.into(),
        Err(_) => line["body64"] = STANDARD.encode(&reply.body).into(),
    }
    text.push_str(&line.to_string());
    text.push('\n');
}

/// A value that meets the shape and can stand in that place; with `full` every member is set.
fn sample(shape: &Shape, full: bool, depth: usize, place: Place) -> Value {
    let in_header = matches!(place, Place::Header | Place::Headers);
    match &shape.kind {
        Kind::Structure { union, members } => {
            let chosen = members.iter().filter(|member| *union || member.required || (full && depth < 12));
            let chosen = chosen.take(if *union { 1 } else { usize::MAX });
            let value = |member: &wire::schema::Member| match (member.place, member.json_value) {
                (Place::Status, _) => json!(202),
                (_, true) => json!("{\"a\":[1]}"),
                (place, _) => sample(member.shape, full, depth + 1, place),
            };
            chosen.map(|member| (member.name.to_owned(), value(member))).collect()
        }
        Kind::List { member, .. } => {
            (0..usize::from(full)).map(|_| sample(member.shape, full, depth + 1, place)).collect()
        }
        Kind::Map { value, .. } => {
            let key = if in_header { "key" } else { "key\u{e9}" };
            let value = |_| (key.to_owned(), sample(value.shape, full, depth + 1, place));
            (0..usize::from(full)).map(value).collect()
        }
        Kind::String { values: [.., last], .. } => Value::from(*last),
        Kind::String { .. } if in_header => Value::from("text <&> \"x\""),
        Kind::String { .. } => Value::from("text <&> \"\u{e9}\u{20ac}\"\n"),
        Kind::Integer { .. } | Kind::Long { .. } => Value::from(7),
        Kind::Double { .. } => Value::from(0.25),
        Kind::Boolean => Value::from(true),
        // Headers have whole seconds, and so has their format elsewhere.
        Kind::Timestamp(format) if in_header || *format == Some(TimestampFormat::HttpDate) => {
            Value::from(1_795_428_000)
        }
        Kind::Timestamp(_) => Value::from(1_795_428_000.25),
        Kind::Blob { .. } => Value::from("AP9ibG9i"),
        Kind::Document => json!({"any": ["thing", 1]}),
    }
}

/// An output as botocore tells it: the JSON in headers is read.
fn as_told(shape: Option<&Shape>, mut output: Value) -> Value {
    for member in shape.map_or(&[][..], Shape::members).iter().filter(|member| member.json_value) {
        if let Some(Value::String(text)) = output.get(member.name) {
            output[member.name] = serde_json::from_str(text).unwrap();
        }
    }
    output
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
        "ec2": ec2_model, served:
        AllocateAddressRequest, AssociateRouteTableRequest, AttachInternetGatewayRequest,
        AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupIngressRequest,
        CreateInternetGatewayRequest, CreateNatGatewayRequest, CreateNetworkAclRequest,
        CreateNetworkAclEntryRequest, CreateRouteRequest, CreateRouteTableRequest,
        CreateSecurityGroupRequest, CreateSubnetRequest, CreateTagsRequest, CreateVpcRequest,
        DeleteInternetGatewayRequest, DeleteNatGatewayRequest, DeleteNetworkAclRequest,
        DeleteNetworkAclEntryRequest, DeleteRouteRequest, DeleteRouteTableRequest,
        DeleteSecurityGroupRequest, DeleteSubnetRequest, DeleteTagsRequest, DeleteVpcRequest,
        DescribeAccountAttributesRequest, DescribeAddressesRequest,
        DescribeAddressesAttributeRequest, DescribeAvailabilityZonesRequest,
        DescribeDhcpOptionsRequest, DescribeInternetGatewaysRequest, DescribeNatGatewaysRequest,
        DescribeNetworkAclsRequest, DescribeNetworkInterfacesRequest, DescribeRegionsRequest,
        DescribeRouteTablesRequest, DescribeSecurityGroupRulesRequest,
        DescribeSecurityGroupsRequest, DescribeSubnetsRequest, DescribeTagsRequest,
        DescribeVpcAttributeRequest, DescribeVpcsRequest, DetachInternetGatewayRequest,
        DisassociateAddressRequest, DisassociateRouteTableRequest, ModifySecurityGroupRulesRequest,
        ModifySubnetAttributeRequest, ModifyVpcAttributeRequest, ReleaseAddressRequest,
        ReplaceNetworkAclAssociationRequest, ReplaceNetworkAclEntryRequest, ReplaceRouteRequest,
        ReplaceRouteTableAssociationRequest, RevokeSecurityGroupEgressRequest,
        RevokeSecurityGroupIngressRequest, UpdateSecurityGroupRuleDescriptionsEgressRequest,
        UpdateSecurityGroupRuleDescriptionsIngressRequest;
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
        "events": events_model, served:
        CreateEventBusRequest, DeleteEventBusRequest, DeleteRuleRequest, DescribeEventBusRequest,
        DescribeRuleRequest, DisableRuleRequest, EnableRuleRequest, ListEventBusesRequest,
        ListRuleNamesByTargetRequest, ListRulesRequest, ListTagsForResourceRequest,
        ListTargetsByRuleRequest, PutEventsRequest, PutPermissionRequest, PutRuleRequest,
        PutTargetsRequest, RemovePermissionRequest, RemoveTargetsRequest, TagResourceRequest,
        TestEventPatternRequest, UntagResourceRequest, UpdateEventBusRequest;
        "lambda": lambda_model, served:
        CreateFunctionRequest, InvocationRequest, InvokeWithResponseStreamRequest, ListFunctionsRequest,
        TagResourceRequest, UntagResourceRequest;
        "logs": logs_model, both:
        CreateLogGroupRequest, CreateLogStreamRequest, DeleteLogGroupRequest,
        DeleteLogStreamRequest, DeleteRetentionPolicyRequest, DescribeLogGroupsRequest,
        DescribeLogStreamsRequest, FilterLogEventsRequest, GetLogEventsRequest,
        ListLogGroupsRequest, ListTagsForResourceRequest, ListTagsLogGroupRequest,
        PutLogEventsRequest, PutRetentionPolicyRequest, TagLogGroupRequest, TagResourceRequest,
        UntagLogGroupRequest, UntagResourceRequest;
        "scheduler": scheduler_model, served:
        CreateScheduleGroupInput, CreateScheduleInput, DeleteScheduleGroupInput, DeleteScheduleInput,
        GetScheduleGroupInput, GetScheduleInput, ListScheduleGroupsInput, ListSchedulesInput,
        ListTagsForResourceInput, TagResourceInput, UntagResourceInput, UpdateScheduleInput;
        "sts": sts_model, served:
        GetCallerIdentityRequest;
}
