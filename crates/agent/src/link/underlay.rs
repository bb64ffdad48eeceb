//! Where other hosts reach this one: packets between tasks of two hosts go there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use http::Uri;
use tokio::{net::UdpSocket, time::timeout};

/// How long a name may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);
/// An address of the Internet that is nobody's (RFC 5737): the way there is the default route. Nothing is sent.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// What was set, else the address by which this host reaches the control plane; where that is on this host, the one by which it
/// reaches the world. None where there is none of IPv4.
pub(super) async fn address(set: Option<Ipv4Addr>, endpoint: &str) -> Option<Ipv4Addr> {
    if set.is_some() {
        return set;
    }
    for to in control_plane(endpoint).await.into_iter().chain([ANYWHERE]) {
        match source(to).await {
            Ok(IpAddr::V4(own)) if !own.is_loopback() && !own.is_link_local() && !own.is_unspecified() => {
                return Some(own);
            }
            _ => {}
        }
    }
    tracing::warn!(
        "other hosts do not reach this one: it has no IPv4 address that they could; agent.address may name one"
    );
    None
}

async fn control_plane(endpoint: &str) -> Vec<SocketAddr> {
    let Ok(uri) = endpoint.parse::<Uri>() else { return Vec::new() };
    let Some(host) = uri.host() else { return Vec::new() };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = timeout(LOOKUP, tokio::net::lookup_host((host, 9))).await;
    found.map(|found| found.map(Iterator::collect).unwrap_or_default()).unwrap_or_default()
}

/// By which address packets would go there. Nothing is sent.
async fn source(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_what_was_set_and_never_loopback() {
        let set = Some(Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(address(set, "http://127.0.0.1:4566").await, set);
        for endpoint in ["http://127.0.0.1:4566", "http://[::1]:4566", "https://localhost", "nonsense"] {
            let own = address(None, endpoint).await;
            assert!(own.is_none_or(|own| !own.is_loopback()), "{endpoint}: {own:?}");
        }
        assert_eq!(source(([127, 0, 0, 1], 9).into()).await.unwrap(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
