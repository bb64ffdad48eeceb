//! The listener that takes TLS, and where its certificate comes from.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use server::tls::{Source, files::Files};

use super::{Error, Server};

/// TLS.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Tls {
    /// Address and port of the listener that takes TLS. Default none.
    pub listen: Option<SocketAddr>,
    /// PEM: the server's certificate, with those up to its CA. Default: one by the control plane's own CA.
    pub certificate: Option<PathBuf>,
    /// PEM: the key of `certificate`.
    pub key: Option<PathBuf>,
    /// PEM: the CAs that agents are to trust, where `certificate` is given. Default: the last one in `certificate`.
    pub authority: Option<PathBuf>,
}

impl Tls {
    pub(super) fn check(&self, server: &Server) -> Result<(), Error> {
        let refuse = |key, message: &str| Err(Error::Value { key, message: message.to_owned() });
        let Some(listen) = self.listen else {
            let given = [&self.certificate, &self.key, &self.authority].iter().any(|path| path.is_some());
            return if given {
                refuse("tls.listen", "it says where TLS is taken, and is missing")
            } else {
                Ok(())
            };
        };
        if listen == server.listen {
            return refuse("tls.listen", "another address or port than server.listen has");
        }
        if server.accept_any_credentials && !listen.ip().is_loopback() {
            return refuse("server.accept_any_credentials", "only where the listeners are on loopback");
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => refuse("tls.key", "the key of tls.certificate, which is missing"),
            (None, Some(_)) => refuse("tls.certificate", "the certificate of tls.key, which is missing"),
            (None, None) if self.authority.is_some() => {
                refuse("tls.authority", "only beside tls.certificate: the control plane's own CA has its own")
            }
            _ => Ok(()),
        }
    }

    /// Where certificates come from, with the control plane's own CA in `dir`.
    pub fn source(&self, server: &Server, dir: &Path) -> Source {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Source::Files(Files {
                certificate: certificate.clone(),
                key: key.clone(),
                authority: self.authority.clone(),
                name: self.host(server),
            }),
            _ => Source::Own { dir: dir.to_owned(), names: self.names(server) },
        }
    }

    /// The names and addresses that the control plane's own certificate is for.
    fn names(&self, server: &Server) -> Vec<String> {
        let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let listener = self.listen.map(|listen| listen.ip()).filter(|ip| !ip.is_unspecified());
        let given = server.names.iter().map(|name| name.trim_matches(['[', ']']).to_owned());
        let mut names: Vec<String> = Vec::new();
        for name in always.into_iter().chain(listener.map(|ip| ip.to_string())).chain(given) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The name or address by which a host elsewhere is likely to reach this listener.
    fn host(&self, server: &Server) -> Option<String> {
        let named = server.names.iter().find(|name| !name.starts_with('*'));
        let named = named.map(|name| name.trim_matches(['[', ']']).to_owned());
        named.or_else(|| {
            self.listen.map(|l| l.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string())
        })
    }

    /// The URL by which a host elsewhere is likely to reach this listener.
    pub fn endpoint(&self, server: &Server) -> Option<String> {
        let host = self.host(server)?;
        let host = match host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => host,
        };
        Some(format!("https://{host}:{}", self.listen?.port()))
    }

    /// Whether the control plane's own certificate is for the host of this URL; an operator's may be for any.
    pub fn is_for(&self, server: &Server, endpoint: &str) -> bool {
        let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let covers = |name: &String| match name.strip_prefix('*') {
            // A certificate's asterisk stands for one label.
            Some(below) => host.split_once('.').is_some_and(|(_, rest)| below.get(1..) == Some(rest)),
            None => name.eq_ignore_ascii_case(host),
        };
        self.certificate.is_some() || self.names(server).iter().any(covers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(names: &[&str]) -> Server {
        Server { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Server::default() }
    }

    fn tls(listen: &str) -> Tls {
        Tls { listen: Some(listen.parse().unwrap()), ..Tls::default() }
    }

    #[test]
    fn a_host_elsewhere_reaches_it_by_its_name_or_address() {
        for (listen, names, endpoint) in [
            ("10.0.0.1:4567", &[][..], Some("https://10.0.0.1:4567")),
            ("0.0.0.0:4567", &[], None),
            ("0.0.0.0:443", &["*.corp", "ecs.corp"], Some("https://ecs.corp:443")),
            ("[::]:4567", &["[2001:db8::1]"], Some("https://[2001:db8::1]:4567")),
        ] {
            assert_eq!(tls(listen).endpoint(&server(names)).as_deref(), endpoint, "{listen} {names:?}");
        }
        let (tls, server) = (tls("10.0.0.1:4567"), server(&["*.corp"]));
        for (endpoint, is_for) in [
            ("https://10.0.0.1:4567", true),
            ("https://10.0.0.2:4567", false),
            ("https://ecs.corp", true),
            ("https://a.ecs.corp", false),
            ("https://localhost:1", true),
            ("nonsense", false),
        ] {
            assert_eq!(tls.is_for(&server, endpoint), is_for, "{endpoint}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let path = || Some(PathBuf::from("/x"));
        for (bad, key) in [
            (Tls { certificate: path(), ..Tls::default() }, "tls.listen"),
            (Tls { certificate: path(), ..tls("10.0.0.1:1") }, "tls.key"),
            (Tls { key: path(), ..tls("10.0.0.1:1") }, "tls.certificate"),
            (Tls { authority: path(), ..tls("10.0.0.1:1") }, "tls.authority"),
            (tls("127.0.0.1:4566"), "tls.listen"),
        ] {
            let Err(Error::Value { key: found, .. }) = bad.check(&server(&[])) else { panic!("{key}") };
            assert_eq!(found, key);
        }
        let any = Server { accept_any_credentials: true, ..server(&[]) };
        assert!(tls("10.0.0.1:1").check(&any).is_err() && tls("127.0.0.1:1").check(&any).is_ok());
    }
}
