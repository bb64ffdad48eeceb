//! What a link puts into a container's environment: Docker's variables, which old images read. Pure.

use std::net::Ipv4Addr;

use super::Given;
use crate::native::plan::{Exposed, Shown};
use crate::spec::{ContainerSpec, Protocol};

/// Ports that an image may declare at most: each becomes several variables of those that link to it.
const PORTS_MAX: usize = 1024;

/// A container that is linked to.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) alias: String,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) shown: Shown,
}

/// What a container shows to those that link to it: its ports, and the environment that its image and its
/// definition give it.
pub(super) fn shown(given: &Given<'_>, spec: &ContainerSpec) -> Shown {
    let image = given.image;
    shown_by(image.exposed_ports.iter().map(AsRef::as_ref), image.env.iter().map(AsRef::as_ref), spec)
}

/// [`shown`], of what an image exposes and the environment that it sets.
pub(crate) fn shown_by<'a>(
    exposes: impl Iterator<Item = &'a str>,
    environment: impl Iterator<Item = &'a str>,
    spec: &ContainerSpec,
) -> Shown {
    let mut ports: Vec<Exposed> = exposes.flat_map(exposed).take(PORTS_MAX).collect();
    ports.extend(spec.port_mappings.iter().flat_map(|mapping| {
        let protocol = match mapping.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let all = mapping.container_port..=mapping.container_port.saturating_add(mapping.more);
        all.map(move |port| Exposed { port, protocol: protocol.to_owned() })
    }));
    // TCP before all others.
    ports.sort_by_key(|p| (p.protocol != "tcp", p.protocol.clone(), p.port));
    ports.dedup();
    let names = environment.filter_map(|entry| entry.split_once('=').map(|(name, _)| name));
    let mut names: Vec<String> =
        names.chain(spec.environment.keys().map(String::as_str)).map(str::to_owned).collect();
    names.retain(|name| !matches!(name.as_str(), "HOME" | "PATH"));
    names.sort();
    names.dedup();
    Shown { ports, names }
}

/// `80`, `80/tcp` or `8000-8010/udp`; nothing for what Docker does not know.
fn exposed(text: &str) -> impl Iterator<Item = Exposed> + use<> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let protocol = protocol.to_ascii_lowercase();
    let known = matches!(protocol.as_str(), "tcp" | "udp" | "sctp");
    let ends = first.parse::<u16>().ok().zip(last.parse::<u16>().ok()).filter(|_| known);
    let ports = ends.map(|(first, last)| first..=last).into_iter().flatten();
    ports.map(move |port| Exposed { port, protocol: protocol.clone() })
}

/// The variables of one link. `container` is whose environment it is, `environment` the linked one's.
pub(crate) fn variables(container: &str, source: &Source, environment: &[String]) -> Vec<String> {
    let (alias, ip) = (source.alias.to_uppercase().replace('-', "_"), source.ipv4);
    let ports = &source.shown.ports;
    let mut out = Vec::new();
    if let Some(first) = ports.first() {
        out.push(format!("{alias}_PORT={}://{ip}:{}", first.protocol, first.port));
    }
    for Exposed { port, protocol } in ports {
        let prefix = format!("{alias}_PORT_{port}_{}", protocol.to_uppercase());
        out.push(format!("{prefix}={protocol}://{ip}:{port}"));
        out.push(format!("{prefix}_ADDR={ip}"));
        out.push(format!("{prefix}_PORT={port}"));
        out.push(format!("{prefix}_PROTO={protocol}"));
    }
    let in_a_row =
        |a: &Exposed, b: &Exposed| a.protocol == b.protocol && a.port.checked_add(1) == Some(b.port);
    for run in ports.chunk_by(in_a_row) {
        let (Some(first), Some(last)) = (run.first(), run.last().filter(|_| run.len() > 1)) else { continue };
        let prefix = format!("{alias}_PORT_{}_{}", first.port, first.protocol.to_uppercase());
        for (word, end) in [("START", first), ("END", last)] {
            out.push(format!("{prefix}_{word}={}://{ip}:{}", end.protocol, end.port));
            out.push(format!("{prefix}_PORT_{word}={}", end.port));
        }
    }
    out.push(format!("{alias}_NAME=/{container}/{}", source.alias));
    let shown = environment.iter().filter_map(|entry| entry.split_once('='));
    let shown = shown.filter(|(name, _)| source.shown.names.iter().any(|shown| shown == name));
    out.extend(shown.map(|(name, value)| format!("{alias}_ENV_{name}={value}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_variables() {
        let ports = ["3306/tcp", "8000-8002", "53/udp"].iter().flat_map(|text| exposed(text)).collect();
        let shown = Shown { ports, names: vec!["MYSQL_VERSION".into()] };
        let source = Source { alias: "my-db.1".into(), ipv4: Ipv4Addr::new(10, 0, 0, 2), shown };
        let environment = ["PATH=/bin", "MYSQL_VERSION=8=x", "HOSTNAME=h"].map(str::to_owned);
        let found = variables("web", &source, &environment);
        for want in [
            "MY_DB.1_PORT=tcp://10.0.0.2:3306",
            "MY_DB.1_PORT_3306_TCP=tcp://10.0.0.2:3306",
            "MY_DB.1_PORT_3306_TCP_ADDR=10.0.0.2",
            "MY_DB.1_PORT_3306_TCP_PORT=3306",
            "MY_DB.1_PORT_3306_TCP_PROTO=tcp",
            "MY_DB.1_PORT_8000_TCP_START=tcp://10.0.0.2:8000",
            "MY_DB.1_PORT_8000_TCP_PORT_START=8000",
            "MY_DB.1_PORT_8000_TCP_END=tcp://10.0.0.2:8002",
            "MY_DB.1_PORT_8000_TCP_PORT_END=8002",
            "MY_DB.1_PORT_53_UDP_PROTO=udp",
            "MY_DB.1_NAME=/web/my-db.1",
            "MY_DB.1_ENV_MYSQL_VERSION=8=x",
        ] {
            assert!(found.iter().any(|one| one == want), "{want}: {found:?}");
        }
        assert_eq!(found.iter().filter(|one| one.contains("_ENV_")).count(), 1);
        let bare = Source { shown: Shown::default(), ..source };
        assert_eq!(variables("web", &bare, &environment), ["MY_DB.1_NAME=/web/my-db.1"]);
        for nothing in ["x/tcp", "9-8", "80/x", "", "99999"] {
            assert_eq!(exposed(nothing).count(), 0, "{nothing}");
        }
    }
}
