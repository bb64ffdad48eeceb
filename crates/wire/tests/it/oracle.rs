//! Against the AWS SDK's own signer: what it signs we take, what we sign it would have signed the same.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use wire::Timestamp;
use wire::sigv4::{Credentials, Refusal, Rules, Signature, Signed, Verifier};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn request() -> impl Strategy<Value = Request> {
    let parameter = ("[A-Za-z0-9._~-]{1,6}", "([A-Za-z0-9._~ /:-]|%[2-7][0-9A-E]){0,10}");
    (
        proptest::sample::select(vec!["GET", "POST", "PUT"]),
        "/([a-zA-Z0-9._~-]{1,5}/?){0,4}",
        prop::collection::vec(parameter, 0..5),
        prop::collection::btree_map("x-amz-[a-z]{1,6}", "[!-~]([ -~]{0,12}[!-~])?", 0..4),
        prop::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(method, path, query, headers, body)| Request {
            method,
            path,
            query: query
                .iter()
                .map(|(name, value)| format!("{name}={}", value.replace(' ', "%20")))
                .collect::<Vec<_>>()
                .join("&"),
            headers: headers.into_iter().filter(|(name, _)| name != "x-amz-date").collect(),
            body,
        })
}

fn plain_headers(request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost:4566"));
    for (name, value) in &request.headers {
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Signs as the SDK does; returns the headers and the query as sent.
fn by_the_sdk(request: &Request, place: SignatureLocation, token: Option<&str>) -> (HeaderMap, String) {
    let identity =
        aws_credential_types::Credentials::new("AKID", "secret", token.map(str::to_owned), None, "test")
            .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = place;
    if place == SignatureLocation::QueryParams {
        settings.expires_in = Some(Duration::from_secs(60));
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("ecs")
        .time(UNIX_EPOCH + Duration::from_millis(NOW.as_millis() as u64))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let mark = if request.query.is_empty() { "" } else { "?" };
    let url = format!("http://localhost:4566{}{mark}{}", request.path, request.query);
    let mut headers = plain_headers(request);
    let pairs: Vec<(String, String)> =
        headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
    let signable = SignableRequest::new(
        request.method,
        url,
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(&request.body),
    )
    .unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let (new_headers, new_query) = instructions.into_parts();
    for header in new_headers {
        headers.insert(
            header.name().parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(header.value()).unwrap(),
        );
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in new_query {
        query.append_pair(name, &value);
    }
    let added = query.finish();
    let and = if request.query.is_empty() || added.is_empty() { "" } else { "&" };
    (headers, format!("{}{and}{added}", request.query))
}

fn verify(request: &Request, headers: &HeaderMap, query: &str, body: &[u8]) -> Result<(), Refusal> {
    let signature = Signature::read(headers, query)?;
    let signed = Signed { method: request.method, path: &request.path, query, headers, body };
    Verifier::default().verify(&signature, &signed, "secret", Rules::default(), NOW)
}

proptest! {
    #[test]
    fn what_the_sdk_signs_is_taken(request in request(), token in prop::option::of("[A-Za-z0-9/+=]{4,20}")) {
        for place in [SignatureLocation::Headers, SignatureLocation::QueryParams] {
            let (headers, query) = by_the_sdk(&request, place, token.as_deref());
            prop_assert_eq!(verify(&request, &headers, &query, &request.body), Ok(()), "{:?}", place);
            let mut body = request.body.clone();
            body.push(0);
            prop_assert_eq!(verify(&request, &headers, &query, &body), Err(Refusal::DoesNotMatch));
            prop_assert_eq!(Signature::read(&headers, &query).unwrap().token, token.clone());
        }
    }

    #[test]
    fn what_we_sign_the_sdk_would_sign_the_same(request in request(), token in prop::option::of("[A-Za-z0-9]{4,20}")) {
        let (theirs, _) = by_the_sdk(&request, SignatureLocation::Headers, token.as_deref());
        let credentials = Credentials { access_key: "AKID".into(), secret: "secret".into(), token };
        let mut ours = plain_headers(&request);
        let target = (request.method, request.path.as_str(), request.query.as_str());
        wire::sigv4::sign(target, &mut ours, &request.body, &credentials, ("us-east-1", "ecs"), NOW).unwrap();
        prop_assert_eq!(&ours["authorization"], &theirs["authorization"]);
        prop_assert_eq!(verify(&request, &ours, &request.query, &request.body), Ok(()));
    }
}
