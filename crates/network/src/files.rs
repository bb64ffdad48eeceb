//! The three files a container finds under /etc that tell of its network: resolv.conf, hosts and
//! hostname. Pure functions over text; reading and writing files is the caller's.

use std::net::Ipv4Addr;

/// Resolvers put in where a host has only loopback ones (Docker's choice).
pub const FALLBACK_RESOLVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// One line of /etc/hosts: an address and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsEntry {
    /// IPv4 or IPv6 address, as written.
    pub ip: String,
    /// Names, most important first.
    pub names: Vec<String>,
}

/// ECS `links` of a container and where the linked containers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTarget {
    /// Container name in the task definition.
    pub container: String,
    /// Its hostname, when it has one of its own.
    pub hostname: Option<String>,
    /// Its address on the bridge.
    pub ipv4: Ipv4Addr,
}

/// The container's /etc/resolv.conf. `host` is the host's file; `dns_servers` and
/// `search_domains` (ECS `dnsServers`, `dnsSearchDomains`) replace its lines when not empty.
/// `own_namespace`: loopback resolvers of the host cannot be reached from the container and are
/// taken out (false in host mode).
pub fn render_resolv_conf(
    host: &str,
    dns_servers: &[String],
    search_domains: &[String],
    own_namespace: bool,
) -> String {
    let servers = resolv_values(host, "nameserver");
    let mut servers: Vec<String> = if dns_servers.is_empty() {
        servers.into_iter().filter(|s| !own_namespace || !is_loopback(s)).collect()
    } else {
        dns_servers.to_vec()
    };
    if servers.is_empty() && own_namespace {
        servers = FALLBACK_RESOLVERS.iter().map(|s| (*s).to_owned()).collect();
    }
    let search = if search_domains.is_empty() { host_search(host) } else { search_domains.to_vec() };
    let mut out = String::new();
    for server in &servers {
        out.push_str(&format!("nameserver {server}\n"));
    }
    // Docker lets a single "." mean: no search list at all.
    if !search.is_empty() && search != ["."] {
        out.push_str(&format!("search {}\n", search.join(" ")));
    }
    for options in resolv_lines(host, "options") {
        out.push_str(&format!("options {options}\n"));
    }
    out
}

/// The container's /etc/hosts: loopback names, its own name, then `extra` (ECS `extraHosts` and
/// links). `own` is the container's address and hostname; `None` where it has no address.
pub fn render_hosts(hostname: &str, own: Option<Ipv4Addr>, extra: &[HostsEntry]) -> String {
    let mut out = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for entry in extra {
        out.push_str(&format!("{}\t{}\n", entry.ip, entry.names.join(" ")));
    }
    if let Some(ip) = own {
        let short = hostname.split('.').next().unwrap_or(hostname);
        let names = if short == hostname { hostname.to_owned() } else { format!("{hostname} {short}") };
        out.push_str(&format!("{ip}\t{names}\n"));
    }
    out
}

/// The container's /etc/hostname.
pub fn render_hostname(hostname: &str) -> String {
    format!("{hostname}\n")
}

/// The /etc/hosts entries for ECS `links`: each is `container` or `container:alias`. As Docker
/// writes them: alias, then hostname, then the container's name. Errors name the link.
pub fn link_entries(links: &[String], targets: &[LinkTarget]) -> crate::Result<Vec<HostsEntry>> {
    links
        .iter()
        .map(|link| {
            let (container, alias) = link.split_once(':').unwrap_or((link, link));
            if container.is_empty() || alias.is_empty() {
                return Err(crate::Error::Invalid(format!("bad format for links: {link}")));
            }
            let target = targets
                .iter()
                .find(|t| t.container == container)
                .ok_or_else(|| crate::Error::Invalid(format!("could not get container for {container}")))?;
            let mut names = vec![alias.to_owned()];
            for name in target.hostname.iter().chain([&target.container]) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            Ok(HostsEntry { ip: target.ipv4.to_string(), names })
        })
        .collect()
}

fn resolv_lines<'a>(host: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    host.lines().filter_map(move |line| {
        // A comment mark counts only at the start of a line or of a trailing word (resolv.conf(5)).
        let line = line.split([';', '#']).next().unwrap_or("").trim();
        let rest = line.strip_prefix(keyword)?;
        rest.starts_with(char::is_whitespace).then(|| rest.trim())
    })
}

fn resolv_values(host: &str, keyword: &str) -> Vec<String> {
    resolv_lines(host, keyword).filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect()
}

/// The last of `search` and `domain` lines wins (resolv.conf(5)).
fn host_search(host: &str) -> Vec<String> {
    let last = host
        .lines()
        .filter_map(|line| resolv_lines(line, "search").chain(resolv_lines(line, "domain")).next())
        .next_back();
    last.map(|rest| rest.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or(server);
    address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
