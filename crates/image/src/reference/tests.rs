//! What Docker makes of a name, and what it refuses.

use super::*;

const HEX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[test]
fn names_are_completed_as_docker_does() {
    let digest = format!("sha256:{HEX}");
    for (given, canonical, familiar) in [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
        ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/library/nginx:x", "docker.io/library/nginx:x", "nginx:x"),
        (
            "amazon/amazon-ecs-agent",
            "docker.io/amazon/amazon-ecs-agent:latest",
            "amazon/amazon-ecs-agent:latest",
        ),
        ("a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("LOCALHOST/x", "LOCALHOST/x:latest", "LOCALHOST/x:latest"),
        ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000"),
        ("[fd00::1]:5000/x", "[fd00::1]:5000/x:latest", "[fd00::1]:5000/x:latest"),
        ("[::1]/x", "[::1]/x:latest", "[::1]/x:latest"),
        (
            "public.ecr.aws/docker/library/httpd:2.4",
            "public.ecr.aws/docker/library/httpd:2.4",
            "public.ecr.aws/docker/library/httpd:2.4",
        ),
        ("a--b__c/e-f:_T.-", "docker.io/a--b__c/e-f:_T.-", "a--b__c/e-f:_T.-"),
    ] {
        let reference: Reference = given.parse().unwrap_or_else(|e| panic!("{given}: {e}"));
        assert_eq!(reference.canonical(), canonical, "{given}");
        assert_eq!(reference.familiar(), familiar, "{given}");
        assert_eq!(reference.given(), given);
    }
    for given in [format!("h:1/r@{digest}"), format!("h:1/r:tag@{digest}")] {
        let reference: Reference = given.parse().expect("a digest");
        assert_eq!(reference.canonical(), format!("h:1/r@{digest}"));
        assert_eq!(reference.given(), given);
    }
}

#[test]
fn what_docker_refuses_is_refused() {
    for (given, words) in [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("nginx:", "invalid reference format"),
        ("nginx@", "invalid reference format"),
        ("Nginx", "must be lowercase"),
        ("foo/Bar", "must be lowercase"),
        ("a//b", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a._b", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("nginx:a b", "invalid reference format"),
        ("nginx:.x", "invalid reference format"),
        ("http://nginx", "invalid reference format"),
        ("reg.:5000/x", "invalid reference format"),
        ("reg:port/x", "invalid reference format"),
        ("a_b.c/x", "invalid reference format"),
        ("[::1/x", "invalid reference format"),
        ("nginx@sha256:ff", "invalid checksum digest"),
        ("nginx@md5:d41d8cd98f00b204e9800998ecf8427e", "invalid reference format"),
        (HEX, "64-byte hexadecimal"),
        ("nginx\n", "invalid reference format"),
        ("nginx\0", "invalid reference format"),
    ] {
        let error = given.parse::<Reference>().expect_err(given);
        assert!(error.to_string().contains(words), "{given:?}: {error}");
    }
    assert!(format!("a/{}", "b".repeat(254)).parse::<Reference>().is_err());
    assert!(format!("nginx:{}", "b".repeat(129)).parse::<Reference>().is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,80}") {
        if let Ok(reference) = text.parse::<Reference>() {
            let again: Reference = reference.canonical().parse().expect("a canonical name parses");
            proptest::prop_assert_eq!(again.canonical(), reference.canonical());
            let familiar: Reference = reference.familiar().parse().expect("a familiar name parses");
            proptest::prop_assert_eq!(familiar.canonical(), reference.canonical());
        }
    }
}
