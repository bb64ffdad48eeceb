//! Name servers that an operator names.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::Error;

/// Most of them.
const SERVERS_MAX: usize = 8;
/// The port of DNS.
const PORT: u16 = 53;

/// A name server: its address, with the port where that is not 53.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct NameServer(pub SocketAddr);

impl TryFrom<String> for NameServer {
    type Error = String;

    fn try_from(text: String) -> Result<NameServer, String> {
        let alone = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
        let read = alone.or_else(|_| text.parse::<SocketAddr>());
        read.map(NameServer).map_err(|_| format!("{text} is no address, and none with a port"))
    }
}

/// Refuses what nobody can be asked at.
pub(super) fn check(servers: &[NameServer]) -> Result<(), Error> {
    let is_one = |server: &NameServer| {
        let ip = server.0.ip();
        server.0.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
    };
    if servers.len() > SERVERS_MAX || !servers.iter().all(is_one) {
        let message = format!("at most {SERVERS_MAX} addresses of name servers, each alone or with a port");
        return Err(Error::Value { key: "agent.dns_upstream", message });
    }
    Ok(())
}
