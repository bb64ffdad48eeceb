//! The listener: connections, their limits, and an end that cuts no request.

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
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::FrontDoor;
use super::connection::{Connection, Ends};
use super::places::{Held, Places};
use super::reply::Sent;
use super::stream::Stream;

/// After `accept` failed (no file descriptors, most likely) the next try waits that long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Once nobody can connect any more, nobody has for that long: all who could are here.
const LAST_ARRIVAL: Duration = Duration::from_millis(20);

/// What all connections share.
struct Scene {
    places: Arc<Places>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl FrontDoor {
    /// Serves until `shutdown`. Then nobody can connect any more; requests that have come, and those that follow at
    /// once on connections in use, are answered, and told that the connection ends; surfaces close what they have
    /// taken over. What is left after [`Limits::grace`] is cut.
    ///
    /// [`Limits::grace`]: super::Limits::grace
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let limits = &self.config.limits;
        let scene = Scene {
            places: Places::new(limits.connections, limits.reserve, limits.all_replies_bytes),
            tracker: TaskTracker::new(),
            stopping: shutdown.clone(),
            cut: CancellationToken::new(),
        };
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => self.take(&scene, stream, peer).await,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shutdown.cancelled() => {}
        }
        let ending = async {
            let connections = async {
                self.take_the_last(&scene, listener).await;
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

    /// Takes who has connected already, while nobody else can: a listener that is closed resets those, with what they
    /// have sent. Who tries now tries again after a second, and meets either nobody or the next program.
    async fn take_the_last(self: &Arc<Self>, scene: &Scene, listener: TcpListener) {
        if let Err(error) = SockRef::from(&listener).attach_filter(&NO_SYN) {
            tracing::debug!(%error, "who connects now may be reset");
        }
        while let Ok(Ok((stream, peer))) = tokio::time::timeout(LAST_ARRIVAL, listener.accept()).await {
            self.take(scene, stream, peer).await;
        }
    }

    async fn take(self: &Arc<Self>, scene: &Scene, stream: TcpStream, peer: SocketAddr) {
        let held = scene.places.take(&scene.cut).await;
        let (door, stopping) = (self.clone(), scene.stopping.clone());
        scene.tracker.spawn(async move {
            tokio::select! {
                () = door.connection(stream, peer, &held, stopping) => {}
                () = held.place.cut.cancelled() => {}
            }
        });
    }

    /// HTTP/1.1 with keep-alive. HTTP/2 is left out: no AWS client speaks it without TLS.
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        held: &Held,
        stopping: CancellationToken,
    ) {
        // Replies are single writes; waiting for more to send only costs time.
        let _ = stream.set_nodelay(true);
        let Ok(ends) = ends(&stream, peer) else { return };
        let limits = &self.config.limits;
        let known = Arc::new(Connection::new(ends, held.place.clone(), stopping.clone()));
        let stream = Stream::new(stream, known.framing.clone(), limits.write_timeout);
        let service = service_fn(|request| {
            let (door, known, places) = (self.clone(), known.clone(), held.places().clone());
            let last = head_read(&known, &request);
            async move {
                let response = door.handle(request, &known).await;
                known.framing.reply_streams(response.body().is_stream());
                let mut response = response.map(|body| Sent::new(body, &places, &known.place));
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
            stopping.cancelled().await;
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
