//! Wrong, missing, old and odd signatures, each with its exact AWS error. That right ones pass is shown by the
//! signing test suite in `tests/it`.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::schema::Protocol;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn credentials() -> Credentials {
    Credentials { access_key: "AKIDEXAMPLE".into(), secret: "secret".into(), token: None }
}

fn signed(now: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost:4566"));
    headers.insert("x-amz-target", HeaderValue::from_static("A.B"));
    sign(("POST", "/", ""), &mut headers, b"{}", &credentials(), ("us-east-1", "ecs"), now).unwrap();
    headers
}

fn verify(headers: &HeaderMap, body: &[u8], secret: &str) -> Result<(), Refusal> {
    let signature = Signature::read(headers, "")?;
    let request = Signed { method: "POST", path: "/", query: "", headers, body };
    Verifier::default().verify(&signature, &request, secret, Rules::default(), NOW)
}

#[test]
fn what_we_sign_is_right() {
    let headers = signed(NOW);
    assert_eq!(verify(&headers, b"{}", "secret"), Ok(()));
    let signature = Signature::read(&headers, "").unwrap();
    assert_eq!(
        (&*signature.access_key, &*signature.region, &*signature.service),
        ("AKIDEXAMPLE", "us-east-1", "ecs")
    );
    assert_eq!(verify(&headers, b"{ }", "secret"), Err(Refusal::DoesNotMatch));
    assert_eq!(verify(&headers, b"{}", "Secret"), Err(Refusal::DoesNotMatch));
    let mut changed = headers;
    changed.insert("x-amz-target", HeaderValue::from_static("A.C"));
    assert_eq!(verify(&changed, b"{}", "secret"), Err(Refusal::DoesNotMatch));
}

/// The head is right before the body is there; and the body, in whatever pieces it comes.
#[test]
fn a_body_in_pieces_is_held_to_its_head() {
    let body = b"0123456789";
    let head = |told: Option<&str>, body: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:4566"));
        if let Some(told) = told {
            headers.insert("x-amz-content-sha256", HeaderValue::from_str(told).unwrap());
        }
        sign(("PUT", "/a", ""), &mut headers, body, &credentials(), ("us-east-1", "s3"), NOW).unwrap();
        headers
    };
    let verify = |headers: &HeaderMap, rules: Rules| {
        let signature = Signature::read(headers, "").unwrap();
        let request = Signed { method: "PUT", path: "/a", query: "", headers, body: b"" };
        Verifier::default().verify_head(&signature, &request, "secret", rules, NOW)
    };
    let right = head(Some(&payload_hash(body)), body);
    for (pieces, expected) in [
        (vec!["0123456789"], Ok(())),
        (vec!["0", "12345678", "", "9"], Ok(())),
        (vec!["012345678"], Err(Refusal::DoesNotMatch)),
        (vec!["0123456789", "0"], Err(Refusal::DoesNotMatch)),
        (vec![], Err(Refusal::DoesNotMatch)),
    ] {
        let mut payload = verify(&right, Rules::default()).unwrap();
        pieces.iter().for_each(|piece| payload.piece(piece.as_bytes()));
        assert_eq!(payload.end(), expected, "{pieces:?}");
    }
    // Without the header there is no body, whatever was signed.
    assert_eq!(verify(&head(None, body), Rules::default()).err(), Some(Refusal::DoesNotMatch));
    let mut payload = verify(&head(None, b""), Rules::default()).unwrap();
    payload.piece(b"0");
    assert_eq!(payload.end(), Err(Refusal::DoesNotMatch));
    // What is promised is a part of what is signed.
    let mut other = right;
    other.insert("x-amz-content-sha256", HeaderValue::from_str(&payload_hash(b"1")).unwrap());
    assert_eq!(verify(&other, Rules::default()).err(), Some(Refusal::DoesNotMatch));
    for told in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "00"] {
        assert_eq!(verify(&head(Some(told), b""), Rules::default()).err(), Some(Refusal::DoesNotMatch));
    }
}

#[test]
fn a_changed_secret_is_noticed_in_spite_of_the_cache() {
    let verifier = Verifier::default();
    let headers = signed(NOW);
    let signature = Signature::read(&headers, "").unwrap();
    let request = Signed { method: "POST", path: "/", query: "", headers: &headers, body: b"{}" };
    let check = |secret: &str| verifier.verify(&signature, &request, secret, Rules::default(), NOW);
    assert_eq!(check("secret"), Ok(()));
    assert_eq!(check("other"), Err(Refusal::DoesNotMatch));
    assert_eq!(check("secret"), Ok(()));
}

#[test]
fn the_clock_may_differ_by_five_minutes() {
    for (skew, message) in [
        (-300_000, None),
        (300_000, None),
        (
            -301_000,
            Some(
                "Signature expired: 20231114T220819Z is now earlier than 20231114T220820Z (20231114T221320Z - 5 min.)",
            ),
        ),
        (
            301_000,
            Some(
                "Signature not yet current: 20231114T221821Z is still later than 20231114T221820Z \
                 (20231114T221320Z + 5 min.)",
            ),
        ),
    ] {
        let found = verify(&signed(NOW.plus_millis(skew)), b"{}", "secret");
        assert_eq!(found.err().map(|refusal| refusal.to_string()).as_deref(), message, "{skew}");
    }
}

#[test]
fn heads_that_cannot_be_read() {
    let date = ("x-amz-date", "20231114T221320Z");
    let whole = "AWS4-HMAC-SHA256 Credential=a/20231114/r/ecs/aws4_request, SignedHeaders=host, Signature=00";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "Missing Authentication Token"),
        (&[("authorization", "Bearer x")], "Unsupported AWS 'algorithm': 'Bearer'."),
        (&[("authorization", ""), date], "Unsupported AWS 'algorithm': ''."),
        (
            &[("authorization", "AWS4-HMAC-SHA256 ")],
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
             parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires \
             existence of either a 'X-Amz-Date' or a 'Date' header.",
        ),
        (
            &[("authorization", "AWS4-HMAC-SHA256 Credential"), date],
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header.",
        ),
        (
            &[("authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00"), date],
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'",
        ),
        (
            &[("authorization", whole), ("x-amz-date", "20231115T221320Z")],
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20231114' != \
             '20231115', from '20231115T221320Z'.",
        ),
        (
            &[("authorization", whole), ("x-amz-date", "yesterday")],
            "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            &[("authorization", &whole.replace("host", "x-amz-date")), date],
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            &[("authorization", whole), ("authorization", whole), date],
            "The request has more than one Authorization header",
        ),
        (&[("authorization", whole), date, date], "The request has more than one x-amz-date header"),
        (&[("authorization", whole), date], &Refusal::DoesNotMatch.to_string()),
    ];
    for (pairs, message) in cases {
        let mut headers = HeaderMap::new();
        for (name, value) in *pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(Signature::read(&headers, "").unwrap_err().to_string(), *message, "{pairs:?}");
    }
}

#[test]
fn what_is_not_signed_may_not_tell_anything() {
    let check = |headers: &HeaderMap| {
        let checked = Signature::read(headers, "").and_then(|signature| signature.check_covered(headers));
        checked.map_err(|refusal| refusal.to_string())
    };
    let with = |name: &'static str, value: &'static str| {
        let mut headers = signed(NOW);
        headers.append(name, HeaderValue::from_static(value));
        headers
    };
    let refused = |name: &str| Err(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."));
    let twice = |name: &str| Err(format!("The request has more than one {name} header"));
    assert_eq!(check(&signed(NOW)), Ok(()));
    assert_eq!(check(&with("x-amz-security-token", "t")), refused("x-amz-security-token"));
    assert_eq!(check(&with("x-amz-user-agent", "a")), refused("x-amz-user-agent"));
    assert_eq!(check(&with("x-amz-target", "A.C")), twice("x-amz-target"));
    // What proxies add, what no signer covers, and what says nothing that is not checked.
    for name in ["x-amzn-trace-id", "user-agent", "x-forwarded-proto", "content-type", "x-amz-content-sha256"]
    {
        assert_eq!(check(&with(name, "a")), Ok(()), "{name}");
    }
    let mut headers = with("content-type", "a");
    headers.append("content-type", HeaderValue::from_static("b"));
    assert_eq!(check(&headers), twice("content-type"));
    // Names of signed headers are written in small letters, or they are others.
    let mut headers = signed(NOW);
    let listed = headers["authorization"].to_str().unwrap().replace("x-amz-target", "X-Amz-Target");
    headers.insert("authorization", HeaderValue::from_str(&listed).unwrap());
    assert_eq!(check(&headers), refused("x-amz-target"));
    // A presigned request.
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20231114%2Fr%2Fecs%2Faws4_request&\
         X-Amz-Date=20231114T221320Z&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
        "0".repeat(64)
    );
    let mut headers = HeaderMap::new();
    let presigned = Signature::read(&headers, &query).unwrap();
    assert_eq!(presigned.check_covered(&headers), Ok(()));
    headers.insert("x-amz-target", HeaderValue::from_static("A.B"));
    let found = presigned.check_covered(&headers).map_err(|refusal| refusal.to_string());
    assert_eq!(found, refused("x-amz-target"));
}

#[test]
fn presigned_urls_are_read_with_care() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20231114%2Fr%2Fs3%2Faws4_request&\
        X-Amz-Date=20231114T221320Z&X-Amz-SignedHeaders=host&X-Amz-Signature=";
    let zeros = "0".repeat(64);
    let read = |more: &str| Signature::read(&HeaderMap::new(), &format!("{query}{zeros}{more}"));
    assert_eq!(read("&X-Amz-Expires=60").unwrap().place, Place::Query { expires: 60 });
    assert_eq!(read("&X-Amz-Security-Token=t%2F").unwrap().token.as_deref(), Some("t/"));
    for more in
        ["&X-Amz-Expires=0", "&X-Amz-Expires=604801", "&X-Amz-Expires=x", "&X-Amz-Date=20231114T221320Z"]
    {
        assert!(matches!(read(more), Err(Refusal::Incomplete(_))), "{more}");
    }
    assert_eq!(Signature::read(&HeaderMap::new(), "X-Amz-Date=1"), Err(Refusal::Missing));
}

#[test]
fn an_unsigned_body_is_only_for_services_that_allow_it() {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(UNSIGNED_PAYLOAD));
    sign(("PUT", "/", ""), &mut headers, b"", &credentials(), ("us-east-1", "s3"), NOW).unwrap();
    let signature = Signature::read(&headers, "").unwrap();
    let request = Signed { method: "PUT", path: "/", query: "", headers: &headers, body: b"anything" };
    let check = |rules| Verifier::default().verify(&signature, &request, "secret", rules, NOW);
    assert_eq!(check(Rules::default()), Err(Refusal::DoesNotMatch));
    // The signature covered the empty body's hash, so the allowed form does not match either.
    assert_eq!(check(Rules::S3), Err(Refusal::DoesNotMatch));
}

#[test]
fn each_protocol_names_the_refusal_its_own_way() {
    for (refusal, json, query) in [
        (Refusal::Missing, ("MissingAuthenticationTokenException", 400), ("MissingAuthenticationToken", 403)),
        (Refusal::UnknownKey, ("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403)),
        (Refusal::DoesNotMatch, ("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403)),
        (Refusal::ExpiredToken, ("ExpiredTokenException", 400), ("ExpiredToken", 403)),
        (
            Refusal::Incomplete("x".into()),
            ("IncompleteSignatureException", 400),
            ("IncompleteSignature", 400),
        ),
    ] {
        let error = refusal.clone().into_error(Protocol::Json11);
        assert_eq!((error.code(), error.status()), json);
        let error = refusal.into_error(Protocol::Query);
        assert_eq!((error.code(), error.status()), query);
    }
}

proptest! {
    /// No head makes the parser panic.
    #[test]
    fn any_head_is_safe(
        authorization in prop_oneof![
            ".{0,80}",
            "AWS4-HMAC-SHA256 (Credential=[a/0-9]{0,20}(/us/ecs/aws4_request)?,? ?)?(SignedHeaders=[a-z;-]{0,20},)? (Signature=[0-9a-f]{64})?"
        ],
        date in "([0-9]{8}T[0-9]{6}Z|.{0,20})",
        query in "(X-Amz-[A-Za-z]{1,12}=[ -~]{0,20}&){0,6}",
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", &authorization), ("x-amz-date", &date)] {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        }
        for headers in [headers, HeaderMap::new()] {
            if let Ok(signature) = Signature::read(&headers, &query) {
                let request = Signed { method: "GET", path: &query, query: &query, headers: &headers, body: b"" };
                prop_assert!(Verifier::default().verify(&signature, &request, "s", Rules::default(), NOW).is_err());
            }
        }
    }
}
