//! HTTP/2 on a connection, which has several requests at a time. What HTTP/1.1 is held to by its bytes ([`super::stream`]) is
//! looked at here by the clock: a client that asks nothing, and one that does not take what it is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::places::Held;
use super::reply::Sent;
use super::stream::Stream;
use super::{FrontDoor, Limits};

/// Bytes of a body that a client may send before they are asked for.
const WINDOW: u32 = 64 * 1024;
/// The same, of all bodies of a connection.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of a reply that are kept for a client which does not take them yet.
const SEND_BUFFER: usize = 64 * 1024;
/// Between looks at whether a client is still there.
const PING: Duration = Duration::from_secs(30);

/// Why a connection is not waited for any more.
enum Over {
    /// Nothing is asked, or the program stops: what goes on is answered.
    Idle,
    /// What waits for the client is not taken.
    Stuck,
}

impl FrontDoor {
    /// Serves a connection to its end.
    pub(super) async fn http2<T>(self: Arc<Self>, stream: T, known: Arc<Connection>, held: &Held)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.config.limits;
        // No head is looked for in these bytes, and all replies together are one stream.
        known.framing.head_read(None);
        known.framing.reply_streams(true);
        let stream = Stream::new(stream, known.framing.clone(), limits.write_timeout);
        let last = CancellationToken::new();
        let service = service_fn(|request| {
            known.place.asked();
            let (door, known, places, last) =
                (self.clone(), known.clone(), held.places().clone(), last.clone());
            async move {
                let open = known.place.open();
                let response = door.handle(request, &known).await;
                if known.place.reserved {
                    last.cancel();
                }
                Ok::<_, Infallible>(response.map(|body| Sent::new(body, &places, &known.place, open)))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.concurrent)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(limits.write_timeout)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let over = tokio::select! {
            ended = connection.as_mut() => return told(ended),
            over = over(limits, &known, &last) => over,
        };
        if matches!(over, Over::Idle) {
            connection.as_mut().graceful_shutdown();
            let stuck = async { while !matches!(watch(limits, &known).await, Over::Stuck) {} };
            tokio::select! {
                ended = connection.as_mut() => told(ended),
                () = stuck => {}
                () = unasked(limits, &known) => {}
            }
        }
    }
}

/// Waits until a connection is to end.
async fn over(limits: &Limits, known: &Connection, last: &CancellationToken) -> Over {
    let stopped = async {
        known.stopping.cancelled().await;
        tokio::time::sleep(limits.linger.saturating_sub(known.place.quiet())).await;
    };
    tokio::select! {
        over = watch(limits, known) => over,
        () = stopped => Over::Idle,
        () = last.cancelled() => Over::Idle,
    }
}

/// Looks at a connection from time to time until it has done nothing, or taken nothing, for too long.
async fn watch(limits: &Limits, known: &Connection) -> Over {
    let patience = limits.head_timeout.min(limits.write_timeout);
    loop {
        tokio::time::sleep((patience / 4).max(Duration::from_millis(10))).await;
        let quiet = known.place.quiet();
        if known.place.waits() && quiet > limits.write_timeout {
            return Over::Stuck;
        }
        if !known.place.is_open() && quiet > limits.head_timeout {
            return Over::Idle;
        }
    }
}

/// Waits until nothing is being answered, and a little longer: a client that was told that the connection ends goes by itself.
async fn unasked(limits: &Limits, known: &Connection) {
    loop {
        tokio::time::sleep(limits.linger.max(Duration::from_millis(10))).await;
        if !known.place.is_open() {
            return;
        }
    }
}

fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
