//! Names of images and of port mappings.

use serde_json::json;

use super::{good, register, set, table};

const DIGEST: &str = "Container.image has an invalid digest: it must be sha256: and 64 hexadecimal digits.";
const PORT_NAME: &str = "-'portMappings.name' must have up to 64 lowercase letters, numbers, underscores and \
                         hyphens, and must not begin with a hyphen.";

#[test]
fn a_digest_is_whole_and_does_not_count_against_the_length_of_an_image() {
    let mut value = good();
    let image = format!("{}@sha256:{}", "x".repeat(255), "Ab".repeat(32));
    set(&mut value, "/containerDefinitions/0/image", json!(image));
    register(&value).unwrap();
    table(
        "ClientException",
        &[
            ("a.image", json!("x".repeat(256)), "Container.image longer than 255."),
            ("a.image", json!("a@sha256:0123"), DIGEST),
            ("a.image", json!(format!("a@sha512:{}", "0".repeat(64))), DIGEST),
            ("a.image", json!(format!("a@sha256:{}", "g".repeat(64))), DIGEST),
        ],
    );
}

#[test]
fn port_mappings_have_plain_names() {
    let named = |name: &str| json!([{"containerPort": 1, "name": name}]);
    let mut value = good();
    set(&mut value, "/containerDefinitions/0/portMappings", named("a_b-1"));
    register(&value).unwrap();
    let long = "a".repeat(65);
    for name in ["-a", "A", "", long.as_str()] {
        table("ClientException", &[("a.portMappings", named(name), PORT_NAME)]);
    }
}
