//! By which names this listener may be called, and by which web pages. A page of the Internet can make a browser on
//! this machine send what it likes to this listener; what it cannot do is have the browser lie about the name that
//! it was asked for (`Host`) and about the page that asks (`Origin`, `Sec-Fetch-Site`). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use wire::Error;

/// How the page that sends a request stands to the one that it goes to, as browsers tell.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names that a request may have in `Host`: `localhost`, every loopback address, the listeners' own addresses,
/// and those that the configuration lists. The port is not looked at: tunnels and proxies have others.
#[derive(Debug, Clone)]
pub struct Names {
    listen: Vec<IpAddr>,
    addresses: Vec<IpAddr>,
    exact: Vec<String>,
    /// Each with its leading dot.
    below: Vec<String>,
}

impl Names {
    /// For a listener at `listen`. Of `more`, `*.a.b` is every name below `a.b`.
    pub fn new(listen: IpAddr, more: &[String]) -> Self {
        let exact = vec!["localhost".to_owned()];
        let mut names = Self { listen: vec![listen], addresses: Vec::new(), exact, below: Vec::new() };
        for name in more {
            match (name.trim_matches(['[', ']']).parse(), name.strip_prefix('*')) {
                (Ok(address), _) => names.addresses.push(address),
                (_, Some(suffix)) => names.below.push(suffix.to_owned()),
                (_, None) => names.exact.push(name.clone()),
            }
        }
        names
    }

    /// With another listener, at `listen`.
    pub fn and(mut self, listen: IpAddr) -> Self {
        self.listen.push(listen);
        self
    }

    /// Refuses a request that is for somebody else, or that a page of somebody else had a browser send. `local` is
    /// the address at which it came in.
    pub(super) fn check(&self, parts: &Parts, local: IpAddr) -> Result<(), Error> {
        let host = one_host(parts)?;
        if !self.is_ours(name_of(host), local) {
            return Err(refused(format!(
                "This control plane does not answer to the name '{}'. It answers to localhost, to loopback \
                 addresses, to the address of its listener, and to the names in server.names of its configuration",
                shown(host)
            )));
        }
        check_page(&parts.headers, host)
    }

    fn is_ours(&self, name: &str, local: IpAddr) -> bool {
        if let Some(address) = address(name) {
            // A listener on all addresses has the one at which the connection came in.
            let here = |listen: &IpAddr| {
                address == *listen || listen.is_unspecified() && address == local.to_canonical()
            };
            return address.is_loopback()
                || self.listen.iter().any(here)
                || self.addresses.contains(&address);
        }
        let ends = |suffix: &String| {
            name.len() > suffix.len()
                && name.is_char_boundary(name.len() - suffix.len())
                && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
        };
        self.exact.iter().any(|exact| exact.eq_ignore_ascii_case(name)) || self.below.iter().any(ends)
    }
}

/// The one `Host`. A request target with an authority of its own must name the same.
fn one_host(parts: &Parts) -> Result<&str, Error> {
    let bad = |text: &str| Error::new("BadRequest", 400, text);
    let mut all = parts.headers.get_all(HOST).iter();
    let host = match (all.next(), all.next()) {
        (Some(host), None) => host.to_str().map_err(|_| bad("The Host header is not plain text"))?,
        (None, _) => return Err(bad("The request has no Host header")),
        (Some(_), Some(_)) => return Err(bad("The request has more than one Host header")),
    };
    match parts.uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(host) => {
            Err(bad("The request's target and its Host header name different hosts"))
        }
        _ => Ok(host),
    }
}

/// A page may only be of the very origin that it calls. No SDK sends these headers; browsers send one with whatever may
/// change something or open a web socket.
fn check_page(headers: &HeaderMap, host: &str) -> Result<(), Error> {
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin.split_once("://").is_some_and(|(scheme, authority)| {
            without_default_port(scheme, authority).eq_ignore_ascii_case(without_default_port(scheme, host))
        });
        if !own {
            return Err(refused(format!("No web page of another origin is served: '{}'", shown(origin))));
        }
    }
    for site in headers.get_all(SEC_FETCH_SITE) {
        if !matches!(site.as_bytes(), b"none" | b"same-origin") {
            return Err(refused("No web page of another origin is served".to_owned()));
        }
    }
    Ok(())
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// The host without its port and without the dot that may end a name.
pub(super) fn name_of(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    let name = host.split(':').next().unwrap_or(host);
    name.strip_suffix('.').unwrap_or(name)
}

/// The address that a host is, if it is one; only in its usual form.
fn address(name: &str) -> Option<IpAddr> {
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    }
    let first = name.as_bytes().first()?;
    if !first.is_ascii_digit() {
        return None;
    }
    name.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn refused(message: String) -> Error {
    Error::new("AccessDeniedException", 403, message)
}

/// Client text in a message, cut.
fn shown(text: &str) -> &str {
    text.char_indices().nth(128).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn status(names: &Names, local: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let checked = names.check(&head(target, headers), local.parse().unwrap());
        checked.map_or_else(|error| error.status(), |()| 200)
    }

    #[test]
    fn only_our_names_are_answered() {
        let more = ["ecs.corp".to_owned(), "*.localhost.localstack.cloud".to_owned(), "192.0.2.7".to_owned()];
        let loopback = Names::new("127.0.0.1".parse().unwrap(), &more);
        let all = Names::new("0.0.0.0".parse().unwrap(), &[]);
        let one = Names::new("10.0.0.1".parse().unwrap(), &[]);
        for (names, host, expected) in [
            (&loopback, "localhost:4566", 200),
            (&loopback, "LOCALHOST.", 200),
            (&loopback, "127.0.0.1:1", 200),
            (&loopback, "127.9.9.9", 200),
            (&loopback, "[::1]:4566", 200),
            (&loopback, "[::ffff:127.0.0.1]:4566", 200),
            (&loopback, "Ecs.Corp:443", 200),
            (&loopback, "x.localhost.localstack.cloud:4566", 200),
            (&loopback, "192.0.2.7:80", 200),
            (&loopback, "localhost.localstack.cloud", 403),
            (&loopback, "xlocalhost.localstack.cloud", 403),
            (&loopback, "evil.example:4566", 403),
            (&loopback, "localhost.evil.example", 403),
            (&loopback, "x.localhost", 403),
            (&loopback, "ecs.corp.evil.example", 403),
            (&loopback, "evil@localhost", 403),
            (&loopback, "127.0.0.1.evil.example", 403),
            (&loopback, "127.1", 403),
            (&loopback, "2130706433", 403),
            (&loopback, "0.0.0.0:4566", 403),
            (&loopback, "10.0.0.1", 403),
            (&loopback, "", 403),
            (&all, "172.28.0.1:4566", 200),
            (&all, "0.0.0.0:4566", 200),
            (&all, "172.28.0.2:4566", 403),
            (&all, "ecs.corp", 403),
            (&one, "10.0.0.1:4566", 200),
            (&one, "localhost:9", 200),
            (&one, "172.28.0.1:4566", 403),
        ] {
            assert_eq!(status(names, "172.28.0.1", "/", &[("host", host)]), expected, "{host}");
        }
    }

    #[test]
    fn there_is_one_host() {
        let names = Names::new("127.0.0.1".parse().unwrap(), &[]);
        let check = |target: &str, headers: &[(&str, &str)]| status(&names, "127.0.0.1", target, headers);
        assert_eq!(check("/", &[]), 400);
        assert_eq!(check("/", &[("host", "localhost"), ("host", "localhost")]), 400);
        assert_eq!(check("http://evil.example/", &[("host", "localhost")]), 400);
        assert_eq!(check("http://evil.example/", &[("host", "evil.example")]), 403);
        assert_eq!(check("http://LOCALHOST/", &[("host", "localhost")]), 200);
    }

    #[test]
    fn a_page_calls_its_own_origin_only() {
        let names = Names::new("127.0.0.1".parse().unwrap(), &["ecs.corp".to_owned()]);
        for (host, name, value, expected) in [
            ("localhost:4566", "origin", "http://localhost:4566", 200),
            ("LOCALHOST:4566", "origin", "http://localhost:4566", 200),
            ("ecs.corp", "origin", "https://ecs.corp", 200),
            ("ecs.corp:443", "origin", "https://ecs.corp", 200),
            ("ecs.corp", "origin", "https://ecs.corp:443", 200),
            ("localhost:4566", "origin", "http://localhost:3000", 403),
            ("localhost:4566", "origin", "http://127.0.0.1:4566", 403),
            ("localhost:4566", "origin", "http://evil.example", 403),
            ("localhost:4566", "origin", "null", 403),
            ("localhost:4566", "origin", "", 403),
            ("ecs.corp", "origin", "http://ecs.corp:443", 403),
            ("localhost:4566", "sec-fetch-site", "none", 200),
            ("localhost:4566", "sec-fetch-site", "same-origin", 200),
            ("localhost:4566", "sec-fetch-site", "same-site", 403),
            ("localhost:4566", "sec-fetch-site", "cross-site", 403),
            ("localhost:4566", "sec-fetch-site", "", 403),
        ] {
            let headers = [("host", host), (name, value)];
            assert_eq!(status(&names, "127.0.0.1", "/health", &headers), expected, "{host} {name} {value}");
        }
        let both = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(status(&names, "127.0.0.1", "/", &both), 403);
    }
}
