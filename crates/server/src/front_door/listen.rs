//! The listener: connections, their limits, and a shutdown that lets requests end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::FrontDoor;
use super::connection::{Connection, Ends};

/// After `accept` failed (no file descriptors, most likely) the next try waits that long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl FrontDoor {
    /// Serves until `shutdown`; then no connection is taken, requests under way get [`Limits::grace`] to
    /// end, and what is left is cut. Web sockets that were handed over are not waited for.
    ///
    /// [`Limits::grace`]: super::Limits::grace
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.config.limits.connections));
        let tracker = TaskTracker::new();
        let cut = CancellationToken::new();
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                next = next => next,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (door, shutdown, cut) = (self.clone(), shutdown.clone(), cut.clone());
                    tracker.spawn(async move {
                        tokio::select! {
                            () = door.connection(stream, peer, shutdown) => {}
                            () = cut.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tracker.close();
        if tokio::time::timeout(self.config.limits.grace, tracker.wait()).await.is_err() {
            cut.cancel();
            tracker.wait().await;
        }
    }

    /// HTTP/1.1 with keep-alive. HTTP/2 is left out: no AWS client speaks it without TLS.
    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, shutdown: CancellationToken) {
        // Replies are single writes; waiting for more to send only costs time.
        let _ = stream.set_nodelay(true);
        let Ok(ends) = ends(&stream, peer) else { return };
        let limits = &self.config.limits;
        let known = Arc::new(Connection::new(ends));
        let service = service_fn(|request| {
            let (door, known) = (self.clone(), known.clone());
            async move { Ok::<_, Infallible>(door.handle(request, &known).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}

fn ends(stream: &TcpStream, peer: SocketAddr) -> std::io::Result<Ends> {
    let cookie = rustix::net::sockopt::socket_cookie(stream)?;
    Ok(Ends { peer, local: stream.local_addr()?, cookie })
}
