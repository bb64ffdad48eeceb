//! Configurations that are taken, and the exact words for those that are not.

use super::*;

fn read(text: &str) -> Result<Config, String> {
    Config::read("roadstead.toml", text, &|_| None).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
}

#[test]
fn keys_are_read_and_the_environment_wins() {
    let text = "data_dir = \"/d\"\n[server]\nlisten = \"127.0.0.1:1\"\nregion = \"eu-west-1\"";
    let env = |name: &str| match name {
        "ROADSTEAD_SERVER_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "ROADSTEAD_AGENT_RESERVED_MEMORY" => Some("512".to_owned()),
        "ROADSTEAD_SERVER_ACCOUNT" => Some("111122223333".to_owned()),
        "ROADSTEAD_SERVER_REGION" => Some("\"eu-west-2\"".to_owned()),
        _ => None,
    };
    let config = Config::read("f", text, &env).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!((config.server.region.as_str(), config.agent.reserved_memory), ("eu-west-2", 512));
    assert_eq!(config.server.account, "111122223333");
}

#[test]
fn bad_configurations_are_refused_in_these_words() {
    for (text, words) in [
        ("dta_dir = \"x\"", "roadstead.toml: unknown key `dta_dir`; did you mean `data_dir`?"),
        (
            "[server]\nlisten_on = \"x\"",
            "roadstead.toml: unknown key `server.listen_on`; did you mean `server.listen`?",
        ),
        ("[server]\naccount = \"1\"", "server.account: an account is twelve digits"),
        (
            "[server]\nlisten = \"0.0.0.0:1\"\naccept_any_credentials = true",
            "server.accept_any_credentials: only where the listener is on loopback",
        ),
        (
            "[agent]\nimage_pull_behavior = \"no\"",
            "agent.image_pull_behavior: one of default, always, prefer-cached",
        ),
        ("[agent]\naddress = \"127.0.0.1\"", "agent.address: an address at which other hosts reach this one"),
        (
            "[agent]\ndns_upstream = [\"0.0.0.0\"]",
            "agent.dns_upstream: at most 8 addresses of name servers, each alone or with a port",
        ),
        ("[agent]\nengine = \"podman\"", "agent.engine: one of native, docker"),
        ("[agent]\ndocker_socket = \"x\"", "agent.docker_socket: the path of a socket, from /"),
        (
            "[agent]\navailability_zone = \"a b\"",
            "agent.availability_zone: at most 128 letters, digits, hyphens, underscores and dots",
        ),
        (
            "[server]\nagent_lost_after_seconds = 4",
            "server.agent_lost_after_seconds: from 5 to 604800, or 0 for never",
        ),
        (
            "[server]\nstopped_tasks_kept = { count = 100001 }",
            "server.stopped_tasks_kept: at most 8760 hours and a count of 100000; 0 for none",
        ),
        ("[logs]\nmax_size_mib = 3", "logs.max_size_mib: at least 16, or 0 for a tenth of the disk"),
        ("[logs]\nmax_streams = 9", "logs.max_streams: from 10 to 10000000"),
    ] {
        assert_eq!(read(text).unwrap_err(), words);
    }
    assert!(read("data_dir = ").unwrap_err().starts_with("roadstead.toml is not valid: "));
    assert!(read("[server]\nlisten = \"nowhere\"").unwrap_err().starts_with("roadstead.toml is not valid: "));
}

#[test]
fn the_example_file_names_every_key_with_its_default() {
    let example = include_str!("../../../../docs/roadstead.example.toml");
    assert_eq!(read(example).unwrap(), Config::default());
    let reference = include_str!("../../../../docs/configuration.md");
    for key in nearest::KEYS {
        let last = key.rsplit('.').next().unwrap_or(key);
        let line = |line: &str| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{last} = ")) || line == format!("[[{key}]]")
        };
        assert!(example.lines().any(line), "the example lacks {key}");
        assert!(reference.contains(&format!("| `{key}` |")), "docs/configuration.md lacks {key}");
    }
    // What is commented out is read as well once it is not.
    let all = example.replace("# subnet", "subnet").replace("# dynamic_ports", "dynamic_ports");
    assert_eq!(read(&all).unwrap().network.dynamic_ports, Some((49153, 65535)));
}

#[test]
fn users_are_names_or_numbers() {
    let users = |list: &str| {
        let config = read(&format!("[server]\nknown_pair_users = {list}")).unwrap();
        config.server.known_pair_users().map_err(|error| error.to_string())
    };
    assert_eq!(users("[\"root\", \"1001\"]"), Ok(vec![0, 1001]));
    let none = Err("server.known_pair_users: this host has no user no-such-user".to_owned());
    assert_eq!(users("[\"no-such-user\"]"), none);
    assert_eq!(users("[\"65534\"]"), Err("server.known_pair_users: 65534 may be anybody".to_owned()));
    for (names, good) in [
        ("[\"ecs.corp\", \"*.a.b\", \"10.0.0.1\", \"::2\", \"[::2]\"]", true),
        ("[\"ecs.corp:80\"]", false),
        ("[\"http://ecs.corp\"]", false),
        ("[\"*\"]", false),
        ("[\"\"]", false),
    ] {
        assert_eq!(read(&format!("[server]\nnames = {names}")).is_ok(), good, "{names}");
    }
}
