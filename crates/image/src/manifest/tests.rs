//! Indexes, manifests, configurations and chains, by table.

use super::*;

const HEX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[test]
fn chains_are_those_of_the_specification() {
    let layers: Vec<Digest> = (0..3_u8).map(|n| Digest::of(&[n])).collect();
    let chains = chain_ids(&layers);
    assert_eq!(chains[0], layers[0]);
    assert_eq!(chains[1], Digest::of(format!("{} {}", layers[0], layers[1]).as_bytes()));
    assert_eq!(chains[2], Digest::of(format!("{} {}", chains[1], layers[2]).as_bytes()));
    assert!(chain_ids(&[]).is_empty());
}

#[test]
fn documents_are_told_apart_and_strange_ones_refused() {
    let descriptor = format!(r#"{{"digest":"sha256:{HEX}","size":1}}"#);
    let manifest = |rest: &str| format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[]{rest}}}"#);
    let index = |rest: &str| format!(r#"{{"schemaVersion":2,"manifests":[]{rest}}}"#);
    let with = |kind: &str| format!(r#","mediaType":"{kind}""#);
    for content in [manifest(""), manifest(&with(OCI_MANIFEST)), manifest(&with(DOCKER_MANIFEST))] {
        assert!(matches!(Document::parse(content.as_bytes()), Ok(Document::Manifest(_))), "{content}");
    }
    for content in [index(""), index(&with(OCI_INDEX)), index(&with(DOCKER_LIST))] {
        assert!(matches!(Document::parse(content.as_bytes()), Ok(Document::Index(_))), "{content}");
    }
    let big = format!(r#"{{"digest":"sha256:{HEX}","size":{}}}"#, u64::MAX);
    let layers = |n: usize, one: &str| manifest("").replace("[]", &format!("[{}]", vec![one; n].join(",")));
    for (what, content, words) in [
        ("version 1", r#"{"schemaVersion":1}"#.to_owned(), "schema version 1"),
        ("another type", manifest(&with("text/html")), "text/html"),
        ("no JSON", "{".to_owned(), "not well formed"),
        ("a digest that is a path", manifest("").replace(HEX, &"../".repeat(20)), "not well formed"),
        ("many layers", layers(128, &descriptor), "128 layers"),
        ("a giant layer", layers(1, &big), "over"),
        ("a giant configuration", manifest("").replace(&descriptor, &big), "configuration has"),
    ] {
        let error = Document::parse(content.as_bytes()).expect_err(what);
        assert!(error.to_string().contains(words), "{what}: {error}");
    }
    assert!(matches!(Document::parse(layers(127, &descriptor).as_bytes()), Ok(Document::Manifest(_))));
}

#[test]
fn configurations_of_docker_are_read_with_their_nulls() {
    let content = format!(
        r#"{{"created":"2024-05-06T07:08:09.123456789Z","architecture":"amd64","os":"linux","variant":"v1",
        "config":{{"Hostname":"","User":"app","ExposedPorts":{{"80/tcp":{{}},"443/tcp":{{}}}},"Env":["A=1"],"Cmd":null,
        "Entrypoint":["/run"],"Volumes":null,"WorkingDir":"/srv","Labels":null,"OnBuild":null,"StopSignal":"SIGINT",
        "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Retries":2}}}},
        "rootfs":{{"type":"layers","diff_ids":["sha256:{HEX}"]}},"history":[{{"empty_layer":true}}]}}"#
    );
    let document = Configuration::parse(content.as_bytes()).expect("well formed");
    let config = &document.config;
    assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("app", "/srv"));
    assert_eq!(config.exposed_ports, ["443/tcp", "80/tcp"]);
    assert_eq!((config.entrypoint.as_slice(), config.cmd.len()), (&["/run".to_owned()][..], 0));
    assert_eq!(config.stop_signal, "SIGINT");
    let check = config.healthcheck.as_ref().expect("one");
    assert_eq!((check.interval, check.retries, check.timeout), (5_000_000_000, 2, 0));
    assert_eq!(document.created().expect("a time").to_string(), "2024-05-06T07:08:09.123456789Z");

    let bare = content.replace(r#""config":{"#, r#""unused":{"#);
    assert_eq!(Configuration::parse(bare.as_bytes()).expect("well formed").config, Config::default());
    for (change, words) in [
        (content.replace("\"linux\"", "\"windows\""), "cannot be used on linux"),
        (content.replace(&format!("\"sha256:{HEX}\""), ""), "no layers"),
        (content.replace("[\"A=1\"]", "7"), "not well formed"),
    ] {
        let error = Configuration::parse(change.as_bytes()).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_index_gives_this_hosts_manifest_or_a_lone_one_for_all() {
    let entry = |platform: Option<(&str, &str)>| Descriptor {
        media_type: OCI_MANIFEST.into(),
        digest: Digest::of(format!("{platform:?}").as_bytes()),
        size: 1,
        platform: platform
            .map(|(os, architecture)| Platform { os: os.into(), architecture: architecture.into() }),
        annotations: BTreeMap::new(),
    };
    let choose = |entries: &[Descriptor]| {
        let index = Index { schema_version: 2, media_type: String::new(), manifests: entries.to_vec() };
        let arm = Platform { os: "linux".into(), architecture: "arm64".into() };
        index.choose(&arm).map(|chosen| chosen.digest.clone()).ok()
    };
    let (arm, amd) = (entry(Some(("linux", "arm64"))), entry(Some(("linux", "amd64"))));
    let (attestation, any) = (entry(Some(("unknown", "unknown"))), entry(None));
    assert_eq!(choose(&[amd.clone(), attestation.clone(), arm.clone()]), Some(arm.digest));
    assert_eq!(choose(&[amd.clone(), attestation]), None);
    assert_eq!(choose(std::slice::from_ref(&any)), Some(any.digest.clone()));
    assert_eq!(choose(&[any, amd]), None);
    assert_eq!(choose(&[]), None);
}
