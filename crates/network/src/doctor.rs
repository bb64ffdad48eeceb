//! What of this host stands in the way of container networking, and how to mend it. Looks only.

use std::path::Path;
use std::process::Command;

use crate::netlink::{Owner, Socket};
use crate::netns;
use crate::nft;

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Looks at the host. Empty when all is well. Blocks for some ten milliseconds.
pub fn examine() -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = Socket::open().and_then(|mut netlink| netlink.links()) {
        findings.push(finding(format!("the kernel's rtnetlink does not answer: {error}"), "run as root"));
    }
    match nft::list_chains() {
        Ok(json) => findings.extend(forward_drops(&json)),
        Err(error) => findings.push(finding(
            format!("nftables cannot be used: {error}"),
            "install the nftables package, and use a kernel with CONFIG_NF_TABLES and CONFIG_NFT_NAT",
        )),
    }
    if let Err(error) = netns::scratch(|| Socket::open()?.admit_only("lo", &Owner::nobody())) {
        findings.push(finding(
            format!(
                "traffic control cannot be used, so only nftables keeps containers from this host's loopback, and \
                 nothing from speaking as others: {error}"
            ),
            "use a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF",
        ));
    }
    if legacy_forward_drops() {
        findings.push(docker_finding("iptables-legacy FORWARD"));
    }
    if !Path::new("/proc/sys/net/ipv4/ip_forward").exists() {
        findings.push(finding("/proc/sys/net/ipv4 is not there".to_owned(), "mount /proc"));
    }
    findings
}

/// Chains of other programs at the forward hook whose policy is to drop. An accept in our table
/// does not undo that: every base chain of a hook has its say.
fn forward_drops(chains: &serde_json::Value) -> Vec<Finding> {
    let listed = chains["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .map(|entry| &entry["chain"])
        .filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop")
        .map(|chain| {
            let text = |key: &str| chain[key].as_str().unwrap_or("?").to_owned();
            docker_finding(&format!("table {} {} chain {}", text("family"), text("table"), text("name")))
        })
        .collect()
}

fn legacy_forward_drops() -> bool {
    let output = Command::new("iptables-legacy").args(["-w", "-S", "FORWARD"]).output();
    output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).lines().any(|line| line == "-P FORWARD DROP"))
}

fn docker_finding(place: &str) -> Finding {
    finding(
        format!(
            "{place} drops forwarded packets, so other machines cannot reach published ports and containers cannot reach out"
        ),
        "let the bridge through, with dockerd: iptables -I DOCKER-USER -i rs+ -j ACCEPT && \
         iptables -I DOCKER-USER -o rs+ -j ACCEPT (without dockerd the same in FORWARD)",
    )
}

fn finding(problem: String, remedy: &str) -> Finding {
    Finding { problem, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dropping_forward_chains_are_reported() {
        let chains = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "inet", "table": "roadstead_0123abcd", "name": "forward", "hook": "forward", "policy": "accept"}},
            {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER"}},
        ]});
        let found = forward_drops(&chains);
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.starts_with("table ip filter chain FORWARD drops"), "{}", found[0].problem);
        assert!(forward_drops(&serde_json::json!({})).is_empty());
    }
}
