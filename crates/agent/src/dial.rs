//! Connections to the control plane, plain or by TLS, as the URL says. Speaks nothing on them.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

use crate::trust::{Trust, words};

/// How long a connection may take to come about, without TLS.
const CONNECT: Duration = Duration::from_secs(30);
/// How long two may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Makes connections.
#[derive(Clone)]
pub struct Dialer {
    http: HttpConnector,
    trust: Arc<Trust>,
}

/// A connection.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dialer {
    /// Servers that these CAs vouch for.
    pub fn new(trust: Arc<Trust>) -> Dialer {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT));
        http.set_nodelay(true);
        http.enforce_http(false);
        Dialer { http, trust }
    }

    /// Whom it trusts.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Connects to the host of a URL: by TLS where it is `https` or `wss`.
    ///
    /// # Errors
    /// Why not, in words that name what is to be mended.
    pub async fn dial(&self, uri: &Uri) -> Result<Wire, Error> {
        let tcp = tcp(self.http.clone(), uri).await?;
        if !matches!(uri.scheme_str(), Some("https" | "wss")) {
            return Ok(Wire::Plain(tcp));
        }
        let config = self.trust.config().map_err(|error| Error(error.to_string()))?;
        Ok(Wire::Tls(Box::new(tls(tcp, uri, config).await?)))
    }
}

/// Connects by TLS to a server that this configuration takes.
pub(crate) async fn dial_with(uri: &Uri, config: ClientConfig) -> Result<TlsStream<TcpStream>, Error> {
    let Dialer { http, .. } = Dialer::new(Arc::new(Trust::of_host()));
    tls(tcp(http, uri).await?, uri, Arc::new(config)).await
}

async fn tcp(mut http: HttpConnector, uri: &Uri) -> Result<TcpStream, Error> {
    // The port that a URL leaves out is found by its scheme, of which web sockets have others.
    let scheme = if matches!(uri.scheme_str(), Some("https" | "wss")) { "https" } else { "http" };
    let authority = uri.authority().ok_or_else(|| Error(format!("{uri} names no host")))?;
    let uri = Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query("/").build();
    let uri = uri.map_err(|error| Error(error.to_string()))?;
    std::future::poll_fn(|context| http.poll_ready(context)).await.map_err(|error| Error(chain(&error)))?;
    let stream = http.call(uri).await.map_err(|error| Error(chain(&error)))?;
    Ok(stream.into_inner())
}

async fn tls(tcp: TcpStream, uri: &Uri, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Error> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name =
        ServerName::try_from(host.clone()).map_err(|_| Error(format!("{host} is no name of a server")))?;
    let shaking = TlsConnector::from(config).connect(name, tcp);
    match tokio::time::timeout(HANDSHAKE, shaking).await {
        Ok(shaken) => shaken.map_err(|error| Error(format!("no TLS with {host}: {}", words(&error)))),
        Err(_) => Err(Error(format!("no TLS with {host} in time"))),
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Wire>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial(&uri).await.map(TokioIo::new) })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(tcp) => Pin::new(tcp).poll_read(context, buf),
            Wire::Tls(tls) => Pin::new(tls).poll_read(context, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(context, data),
            Wire::Tls(tls) => Pin::new(tls).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}
