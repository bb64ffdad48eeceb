//! The listeners: connections, their limits, and an end that cuts no request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::FrontDoor;
use super::connection::{Connection, Ends};
use super::places::{Held, Places};
use super::reply::Sent;
use super::stream::Stream;
use crate::tls::Tls;

/// After `accept` failed (no file descriptors, most likely) the next try waits that long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Once nobody can connect any more, nobody has for that long: all who could are here.
const LAST_ARRIVAL: Duration = Duration::from_millis(20);

/// A socket that is listened at, and the certificate to show there; without one it is plain.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
}

/// What all connections share.
struct Scene {
    places: Arc<Places>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl Listener {
    /// One that takes TLS alone: HTTP/2 or HTTP/1.1, as its clients want.
    pub fn tls(tcp: TcpListener, tls: Arc<Tls>) -> Listener {
        Listener { tcp, tls: Some(tls) }
    }
}

impl From<TcpListener> for Listener {
    /// One that takes plain HTTP/1.1 alone: no AWS client speaks HTTP/2 without TLS.
    fn from(tcp: TcpListener) -> Listener {
        Listener { tcp, tls: None }
    }
}

impl FrontDoor {
    /// Serves until `shutdown`. Then nobody can connect any more; requests that have come, and those that follow at
    /// once on connections in use, are answered, and told that the connection ends; surfaces close what they have
    /// taken over. What is left after [`Limits::grace`] is cut.
    ///
    /// [`Limits::grace`]: super::Limits::grace
    pub async fn serve(self: Arc<Self>, listeners: Vec<Listener>, shutdown: CancellationToken) {
        let limits = &self.config.limits;
        let scene = Scene {
            places: Places::new(limits.connections, limits.reserve, limits.all_replies_bytes),
            tracker: TaskTracker::new(),
            stopping: shutdown.clone(),
            cut: CancellationToken::new(),
        };
        let accepting = join_all(listeners.iter().map(|listener| self.accept(&scene, listener)));
        tokio::select! {
            _ = accepting => {}
            () = shutdown.cancelled() => {}
        }
        let ending = async {
            let connections = async {
                join_all(listeners.into_iter().map(|listener| self.take_the_last(&scene, listener))).await;
                scene.tracker.close();
                scene.tracker.wait().await;
            };
            let surfaces = join_all(self.surfaces.iter().map(|(_, surface)| surface.close()));
            tokio::join!(connections, surfaces);
        };
        if tokio::time::timeout(limits.grace, ending).await.is_err() {
            scene.cut.cancel();
            scene.tracker.close();
            scene.tracker.wait().await;
        }
    }

    /// Takes whoever connects.
    async fn accept(self: &Arc<Self>, scene: &Scene, listener: &Listener) {
        loop {
            match listener.tcp.accept().await {
                Ok((stream, peer)) => self.take(scene, listener.tls.clone(), stream, peer).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes who has connected already, while nobody else can: a listener that is closed resets those, with what they
    /// have sent. Who tries now tries again after a second, and meets either nobody or the next program.
    async fn take_the_last(self: &Arc<Self>, scene: &Scene, listener: Listener) {
        let Listener { tcp, tls } = listener;
        if let Err(error) = SockRef::from(&tcp).attach_filter(&NO_SYN) {
            tracing::debug!(%error, "who connects now may be reset");
        }
        while let Ok(Ok((stream, peer))) = tokio::time::timeout(LAST_ARRIVAL, tcp.accept()).await {
            self.take(scene, tls.clone(), stream, peer).await;
        }
    }

    async fn take(
        self: &Arc<Self>,
        scene: &Scene,
        tls: Option<Arc<Tls>>,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        let held = scene.places.take(&scene.cut).await;
        let (door, stopping) = (self.clone(), scene.stopping.clone());
        scene.tracker.spawn(async move {
            tokio::select! {
                () = door.connection(tls, stream, peer, &held, stopping) => {}
                () = held.place.cut.cancelled() => {}
            }
        });
    }

    async fn connection(
        self: Arc<Self>,
        tls: Option<Arc<Tls>>,
        stream: TcpStream,
        peer: SocketAddr,
        held: &Held,
        stopping: CancellationToken,
    ) {
        // Replies are single writes; waiting for more to send only costs time.
        let _ = stream.set_nodelay(true);
        let Ok(ends) = ends(&stream, peer) else { return };
        let known = Arc::new(Connection::new(ends, tls.is_some(), held.place.clone(), stopping));
        let Some(tls) = tls else { return self.http1(stream, known, held).await };
        let shaking = tls.acceptor().accept(stream);
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.config.limits.handshake_timeout, shaking) => shaken,
            // Whoever has said nothing yet loses nothing.
            () = known.stopping.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(stream, known, held).await;
            }
            Ok(Ok(stream)) => self.http1(stream, known, held).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with a client"),
            Err(_) => tracing::debug!(%peer, "no TLS with a client in time"),
        }
    }

    /// HTTP/1.1 with keep-alive.
    async fn http1<T>(self: Arc<Self>, stream: T, known: Arc<Connection>, held: &Held)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.config.limits;
        let stream = Stream::new(stream, known.framing.clone(), limits.write_timeout);
        let service = service_fn(|request| {
            let (door, known, places) = (self.clone(), known.clone(), held.places().clone());
            let last = head_read(&known, &request);
            async move {
                let open = known.place.open();
                let response = door.handle(request, &known).await;
                known.framing.reply_streams(response.body().is_stream());
                let mut response = response.map(|body| Sent::new(body, &places, &known.place, open));
                let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                if !upgraded && (last || known.place.reserved || known.stopping.is_cancelled()) {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let idle = async {
            known.stopping.cancelled().await;
            tokio::time::sleep(limits.linger.saturating_sub(held.place.quiet())).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = idle => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}

/// Notes what follows a head that was read. Whether nothing else may.
fn head_read(known: &Connection, request: &Request<hyper::body::Incoming>) -> bool {
    known.place.asked();
    let upgrade = request.headers().contains_key(UPGRADE);
    let body = request.body().size_hint().exact().filter(|_| !upgrade);
    known.framing.head_read(body);
    body.is_none()
}

fn ends(stream: &TcpStream, peer: SocketAddr) -> std::io::Result<Ends> {
    let cookie = rustix::net::sockopt::socket_cookie(stream)?;
    Ok(Ends { peer, local: stream.local_addr()?, cookie })
}

/// A packet filter for a listener: those that begin a connection are dropped, all others pass. It looks at one bit of the
/// TCP header's flags.
static NO_SYN: [SockFilter; 4] = [
    SockFilter::new(0x30, 0, 0, 13),       // A = byte 13 of the TCP header
    SockFilter::new(0x45, 0, 1, 0x02),     // SYN is set in A: go on; else skip one
    SockFilter::new(0x06, 0, 0, 0),        // drop
    SockFilter::new(0x06, 0, 0, u32::MAX), // pass
];
