//! Which operation a request of the REST protocols names, and how what is not built is refused in each protocol.

use http::{HeaderMap, HeaderName, HeaderValue};
use wire::protocol::{Incoming, codec, pick, spoken};
use wire::schema::{Protocol, Service};

use lambda_model as lambda;

use crate::generated::{amp, cloudwatch, s3, servicediscovery, sqs};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// The operation of a request line such as `GET /bucket/key?acl`, or the code of the refusal.
fn operation(service: &'static Service, line: &str, pairs: &[(&'static str, &'static str)]) -> String {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = headers(pairs);
    let request = Incoming { method, path, query, headers: &headers, body: b"" };
    match codec(pick(service, &request)).operation(service, &request) {
        Ok(operation) => operation.name.to_owned(),
        Err(error) => format!("{} {}", error.status(), error.code()),
    }
}

#[test]
fn buckets_and_objects_are_told_apart() {
    for (line, name) in [
        ("GET /", "ListBuckets"),
        ("GET /b", "ListObjects"),
        ("GET /b/", "ListObjects"),
        ("GET /b?list-type=2&prefix=x", "ListObjectsV2"),
        ("GET /b/?list-type=2", "ListObjectsV2"),
        ("GET /b?list-type=1", "ListObjects"),
        ("HEAD /b", "HeadBucket"),
        ("PUT /b", "CreateBucket"),
        ("PUT /b?acl", "PutBucketAcl"),
        ("PUT /b?acl=", "PutBucketAcl"),
        ("GET /b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("GET /b?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET /b?analytics&id=x", "GetBucketAnalyticsConfiguration"),
        ("POST /b?delete", "DeleteObjects"),
        ("GET /b/k", "GetObject"),
        ("GET /b/a/deep/key/", "GetObject"),
        ("GET /b//k", "GetObject"),
        ("GET /b/k?acl", "GetObjectAcl"),
        ("GET /b/k?uploadId=1", "ListParts"),
        ("PUT /b/k", "PutObject"),
        ("PUT /b/k?partNumber=1&uploadId=2", "UploadPart"),
        ("DELETE /b/k", "DeleteObject"),
        ("DELETE /b/k?uploadId=2", "AbortMultipartUpload"),
        ("POST /b/k?uploads", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=1", "CompleteMultipartUpload"),
        ("PATCH /b/k", "501 NotImplemented"),
        ("POST /b/k?select&select-type=2", "501 NotImplemented"),
    ] {
        assert_eq!(operation(&s3::SERVICE, line, &[]), name, "{line}");
    }
    let copy = [("x-amz-copy-source", "/b/other")];
    assert_eq!(operation(&s3::SERVICE, "PUT /b/k", &copy), "CopyObject");
    assert_eq!(operation(&s3::SERVICE, "PUT /b/k?partNumber=1&uploadId=2", &copy), "UploadPartCopy");
}

#[test]
fn names_go_before_labels_and_slashes_inside_of_labels_are_escaped() {
    for (line, name) in [
        ("GET /2015-03-31/functions", "ListFunctions"),
        ("GET /2015-03-31/functions/", "ListFunctions"),
        ("POST /2015-03-31/functions/f/invocations", "Invoke"),
        ("DELETE /2017-03-31/tags/arn%3Aaws%3Alambda%3Ar%3Aa%3Afunction%2Ff", "UntagResource"),
        ("POST /2015-03-31/functions//invocations", "400 UnknownOperationException"),
        ("POST /2021-11-15/functions/f/response-streaming-invocations", "400 UnknownOperationException"),
        ("GET /nothing", "400 UnknownOperationException"),
        ("GET /", "400 UnknownOperationException"),
    ] {
        assert_eq!(operation(&lambda::SERVICE, line, &[]), name, "{line}");
    }
}

#[test]
fn every_path_of_a_service_leads_to_its_operation() {
    for service in crate::generated::SERVICES.iter().filter(|service| {
        service.protocols.iter().any(|protocol| matches!(protocol, Protocol::RestJson | Protocol::RestXml))
    }) {
        for expected in service.operations.iter().filter(|operation| !operation.method.is_empty()) {
            let (path, query) = expected.uri.split_once('?').unwrap_or((expected.uri, ""));
            let path: Vec<String> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x%2Fy".to_owned() } else { part.to_owned() })
                .collect();
            let needed = expected
                .needs
                .iter()
                .filter(|need| need.starts_with('?'))
                .map(|need| format!("&{}=1", &need[1..]));
            let line =
                format!("{} {}?{query}{}", expected.method, path.join("/"), needed.collect::<String>());
            let own: Vec<(&'static str, &'static str)> = expected
                .needs
                .iter()
                .filter(|need| !need.starts_with('?'))
                .map(|need| (*need, "1"))
                .collect();
            let found = operation(service, &line, &own);
            let alike = |name: &str| (expected.name, name) == ("ListDirectoryBuckets", "ListBuckets");
            let refused = expected.event_stream && found.contains(' ');
            assert!(
                found == expected.name || alike(&found) || refused,
                "{line}: {found}, not {}",
                expected.name
            );
        }
    }
}

#[test]
fn hostile_paths_and_queries_are_cheap() {
    let deep = format!("GET {}", "/a".repeat(10_000));
    let queried = format!("GET /b/k?{}", "acl&uploadId=&".repeat(5_000));
    assert_eq!(operation(&s3::SERVICE, &deep, &[]), "GetObject");
    assert!(!operation(&s3::SERVICE, &queried, &[]).is_empty());
    assert_eq!(operation(&amp::SERVICE, &deep, &[]), "400 UnknownOperationException");
    assert_eq!(operation(&s3::SERVICE, "GET /%ff%00/%zz", &[]), "GetObject");
}

#[test]
fn one_service_answers_in_each_of_its_protocols() {
    let cbor = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let json = [
        ("x-amz-target", "GraniteServiceVersion20100801.PutMetricData"),
        ("content-type", "application/x-amz-json-1.0"),
    ];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let service = &cloudwatch::SERVICE;
    let path = "POST /service/GraniteServiceVersion20100801/operation/PutMetricData";
    assert_eq!(operation(service, path, &cbor), "PutMetricData");
    assert_eq!(operation(service, "POST /", &json), "PutMetricData");
    assert_eq!(operation(service, "POST /?Action=PutMetricData&Version=2010-08-01", &form), "PutMetricData");
    assert_eq!(operation(service, "GET /?Action=PutMetricData&Version=2010-08-01", &[]), "PutMetricData");
    for wrong in [
        "POST /service/Other/operation/PutMetricData",
        "POST /service/GraniteServiceVersion20100801/operation/Nothing",
        "GET /service/GraniteServiceVersion20100801/operation/PutMetricData",
        "POST /",
    ] {
        assert_eq!(operation(service, wrong, &cbor), "400 UnknownOperationException", "{wrong}");
    }
}

#[test]
fn what_is_not_built_is_refused_by_the_code_of_the_protocol() {
    for (service, line, pairs, code) in [
        (&ec2_model::SERVICE, "POST /?Action=Nothing&Version=2016-11-15", &[][..], "400 InvalidAction"),
        (
            &sqs::SERVICE,
            "POST /",
            &[("x-amz-target", "AmazonSQS.Nothing")][..],
            "400 UnknownOperationException",
        ),
        (&lambda::SERVICE, "GET /nothing", &[][..], "400 UnknownOperationException"),
        (&s3::SERVICE, "PATCH /b", &[][..], "501 NotImplemented"),
    ] {
        assert_eq!(operation(service, line, pairs), code);
    }
    // Services that are not there at all are known by what they were signed for, and by the path.
    for (service, line, pairs, protocol) in [
        ("s3", "GET /", &[][..], Protocol::RestXml),
        ("ec2", "POST /", &[][..], Protocol::Ec2Query),
        ("sns", "POST /", &[("content-type", "application/x-www-form-urlencoded")][..], Protocol::Query),
        ("kms", "POST /", &[("x-amz-target", "TrentService.ListKeys")][..], Protocol::Json11),
        ("lambda", "GET /2015-03-31/functions", &[][..], Protocol::RestJson),
        (
            "monitoring",
            "POST /service/a/operation/b",
            &[("smithy-protocol", "rpc-v2-cbor")][..],
            Protocol::Cbor,
        ),
        ("", "GET /", &[][..], Protocol::Query),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let headers = headers(pairs);
        let request = Incoming { method, path, query: "", headers: &headers, body: b"" };
        assert_eq!(spoken(&request, service), protocol, "{service}");
    }
}

#[test]
fn host_prefixes_are_known() {
    let discover = servicediscovery::SERVICE.operation("DiscoverInstances").unwrap();
    assert_eq!(discover.host_prefix, Some("data-"));
}
