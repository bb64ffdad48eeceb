//! How a registry is reached: TLS with ring, plain HTTP only where that is safe or configured.

use std::net::IpAddr;
use std::sync::Arc;

use reqwest::redirect::{Attempt, Policy};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::PullOptions;
use crate::{Error, Result, limits};

const USER_AGENT: &str = concat!("roadstead/", env!("CARGO_PKG_VERSION"));

/// Whether `host` (`name`, `name:port`, `[v6]:port`) may be asked over plain HTTP.
pub fn may_be_plain(host: &str, insecure: &[String]) -> bool {
    let name = host_name(host);
    insecure.iter().any(|allowed| allowed == host || allowed == name) || is_loopback(name)
}

fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host` without its port.
fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

/// Host and port of a URL, as registries are named.
pub fn host_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An HTTP client for a pull from `registry`.
pub fn client(registry: &str, options: &PullOptions) -> Result<reqwest::Client> {
    let insecure = options.insecure_registries.clone();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls(registry, options)?)
        .connect_timeout(options.patience.connect)
        .read_timeout(options.patience.silence)
        .redirect(Policy::custom(move |attempt| follow(attempt, &insecure)));
    if is_loopback(host_name(registry)) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Error::Network(format!("cannot make an HTTP client: {error}")))
}

/// Follows a redirect, but never from TLS to plain HTTP that was not allowed.
fn follow(attempt: Attempt<'_>, insecure: &[String]) -> reqwest::redirect::Action {
    if attempt.previous().len() > limits::REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    match attempt.url().scheme() {
        "https" => attempt.follow(),
        "http" if may_be_plain(&host_of(attempt.url()), insecure) => attempt.follow(),
        _ => attempt.error("a redirect leads from HTTPS to plain HTTP"),
    }
}

/// The system's certificates and the extra ones.
fn tls(registry: &str, options: &PullOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let bad = |error: rustls::Error| Error::Network(format!("cannot set up TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(bad)?;
    match verifier(provider, options) {
        Ok(verifier) => {
            Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
        }
        // A host without any certificates can still ask a registry that does not speak TLS.
        Err(_) if may_be_plain(registry, &options.insecure_registries) => {
            Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
        }
        Err(error) => Err(error),
    }
}

fn verifier(provider: Arc<CryptoProvider>, options: &PullOptions) -> Result<Verifier> {
    let mut extra: Vec<CertificateDer<'static>> = Vec::new();
    for pem in &options.extra_roots_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            extra.push(
                certificate.map_err(|error| Error::Invalid(format!("a certificate is damaged: {error}")))?,
            );
        }
    }
    // The name says "dangerous" only for verifiers of one's own; this one is the platform's.
    Verifier::new_with_extra_roots(extra, provider)
        .map_err(|error| Error::Network(format!("cannot read this host's certificates: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_and_configured_registries() {
        let configured = ["registry.lan:5000".to_owned(), "10.0.0.7".to_owned()];
        for (host, plain) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("registry.lan:5000", true),
            ("registry.lan", false),
            ("registry.lan:5001", false),
            ("10.0.0.7:1234", true),
            ("10.0.0.8", false),
            ("localhost.evil.com", false),
            ("127.0.0.1.evil.com", false),
            ("128.0.0.1", false),
            ("[fd00::1]:5000", false),
            ("docker.io", false),
            ("", false),
        ] {
            assert_eq!(may_be_plain(host, &configured), plain, "{host}");
        }
    }
}
