//! What the drivers share of the network: what is asked for in the words of the crate `network`, what that answers in
//! the trait's, and the files below /etc that tell a container of it. Pure, but for the host's own files.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use network::files;

use crate::error::{Error, Kind, chain};
use crate::native::bundle;
use crate::spec::{ContainerSpec, NetworkMode, Protocol, TaskSpec};
use crate::state::Binding;

/// What a container asks of the network; one that joins its task's interface asks for nothing of its own.
pub(crate) fn attach_spec(id: network::AttachmentId, spec: &ContainerSpec) -> network::AttachSpec {
    network::AttachSpec {
        id,
        mode: match spec.network {
            NetworkMode::Bridge => network::Mode::Bridge,
            NetworkMode::Host => network::Mode::Host,
            NetworkMode::None | NetworkMode::Task => network::Mode::None,
        },
        ports: spec
            .port_mappings
            .iter()
            .map(|port| network::PortMapping {
                container_port: port.container_port,
                host_port: port.host_port,
                protocol: match port.protocol {
                    Protocol::Tcp => network::Protocol::Tcp,
                    Protocol::Udp => network::Protocol::Udp,
                },
                more: port.more,
            })
            .collect(),
        sysctls: bundle::network_sysctls(spec),
    }
}

/// A port that is taken is told at the start, as Docker tells it.
pub(crate) fn error(error: &network::Error) -> Error {
    use network::Error as E;
    match error {
        E::PortAllocated { .. } | E::PortInUse { .. } | E::NoFreePort => {
            Error::fatal(Kind::Start, format!("driver failed programming external connectivity: {error}"))
        }
        E::Invalid(_) => Error::fatal(Kind::Create, error),
        // A system control whose value the kernel does not take.
        E::Io { path, source, .. }
            if path.starts_with("/proc/sys/net")
                && matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) =>
        {
            Error::fatal(Kind::Start, chain(error))
        }
        other => Error::temporary(Kind::Network, chain(other)),
    }
}

pub(crate) fn bindings(given: &[network::Binding]) -> Vec<Binding> {
    given
        .iter()
        .map(|b| Binding {
            bind_ip: b.bind_ip.to_string(),
            container_port: b.container_port,
            host_port: b.host_port,
            protocol: match b.protocol {
                network::Protocol::Tcp => Protocol::Tcp,
                network::Protocol::Udp => Protocol::Udp,
            },
        })
        .collect()
}

/// A binding as the network gave it.
pub(crate) fn given(binding: &Binding) -> Option<network::Binding> {
    Some(network::Binding {
        bind_ip: binding.bind_ip.parse().ok()?,
        container_port: binding.container_port,
        host_port: binding.host_port,
        protocol: match binding.protocol {
            Protocol::Tcp => network::Protocol::Tcp,
            Protocol::Udp => network::Protocol::Udp,
        },
    })
}

/// A task's interface, in the words of the network.
pub(crate) fn interface_spec(spec: &TaskSpec) -> Result<Option<network::InterfaceSpec>, network::Error> {
    let Some(wanted) = &spec.network else { return Ok(None) };
    Ok(Some(network::InterfaceSpec {
        id: network::AttachmentId::new(spec.id.clone())?,
        interface: wanted.interface.clone(),
        vpc: wanted.vpc.clone(),
        blocks: wanted.blocks.clone(),
        mac: wanted.mac,
        ipv4: wanted.ipv4,
        subnet: wanted.subnet,
        gateway: wanted.gateway,
        ipv6: wanted.ipv6,
        state: wanted.state.clone(),
    }))
}

/// Gives a task its interface; blocks.
pub(crate) fn attach_interface(host: &network::Host, spec: &TaskSpec) -> Result<(), Error> {
    let failed = |e: network::Error| {
        let text = format!("failed to configure ENI: {}", chain(&e));
        match e {
            network::Error::Invalid(_) | network::Error::Exists(_) => Error::fatal(Kind::Resource, text),
            _ => Error::temporary(Kind::Resource, text),
        }
    };
    let Some(wanted) = interface_spec(spec).map_err(failed)? else { return Ok(()) };
    host.attach_interface(&wanted).map(drop).map_err(failed)
}

/// The lines of /etc/hosts for the links that a container asks for, to those containers that are there.
pub(crate) fn links(
    spec: &ContainerSpec,
    targets: &[files::LinkTarget],
) -> Result<Vec<files::HostsEntry>, Error> {
    let named = |(container, alias): &(String, String)| {
        if alias.is_empty() { container.clone() } else { format!("{container}:{alias}") }
    };
    let named: Vec<String> = spec.links.iter().map(named).collect();
    files::link_entries(&named, targets).map_err(|e| Error::fatal(Kind::Create, e))
}

/// `resolv.conf`, `hostname` and `hosts`, in this order.
pub(crate) fn etc(
    spec: &ContainerSpec,
    task: &TaskSpec,
    hostname: &str,
    ipv4: Option<Ipv4Addr>,
    links: Vec<files::HostsEntry>,
) -> [String; 3] {
    let host_file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let own_network = spec.network != NetworkMode::Host;
    let resolv = host_file("/etc/resolv.conf");
    let of_task = task.network.as_ref().filter(|_| spec.network == NetworkMode::Task);
    let servers = of_task.map_or(&spec.dns_servers, |network| &network.dns_servers);
    let domains = of_task.map_or(&spec.dns_search_domains, |network| &network.dns_search_domains);
    let resolv = files::render_resolv_conf(&resolv, servers, domains, own_network);
    // As ECS's agent has it: the interface's name is one of those that are added.
    let own = of_task.map(|network| (network.hostname.clone(), IpAddr::V4(network.ipv4)));
    let mut extra: Vec<files::HostsEntry> = own
        .iter()
        .chain(&spec.extra_hosts)
        .map(|(name, ip)| files::HostsEntry { ip: ip.to_string(), names: vec![name.clone()] })
        .collect();
    extra.extend(links);
    let hosts = if own_network {
        files::render_hosts(hostname, ipv4, &extra)
    } else {
        let lines = extra.iter().map(|entry| format!("{}\t{}\n", entry.ip, entry.names.join(" ")));
        host_file("/etc/hosts") + &lines.collect::<String>()
    };
    [resolv, files::render_hostname(hostname), hosts]
}
