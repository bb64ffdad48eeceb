//! Streams both ways through the listener: who gets to a surface, and what slow, silent and greedy clients may do there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::client::{Client, pairs};
use super::{Limits, ReplyBody, Running, Site, Surface, SurfaceCall, kernel, start_surface};

/// No time-out of these tests is waited for, unless it is what is shown.
const LONG: Duration = Duration::from_secs(3600);
const PIECE: usize = 64 * 1024;

/// Stands for all surfaces: what it does is in the path. Tells what happens.
struct Desk {
    told: mpsc::UnboundedSender<String>,
    go: Notify,
    /// Pieces that `/desk/flood` was asked for.
    made: AtomicUsize,
}

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped".into());
    }
}

struct World {
    running: Running,
    desk: Arc<Desk>,
    told: mpsc::UnboundedReceiver<String>,
}

#[async_trait]
impl Surface for Arc<Desk> {
    fn sites(&self) -> Vec<Site> {
        vec![Site::Path("/desk"), Site::Host("desk.localhost".into())]
    }

    fn signed_for(&self) -> &str {
        "ecs"
    }

    fn body_bytes(&self) -> u64 {
        1 << 20
    }

    async fn handle(&self, mut call: SurfaceCall) -> Response<ReplyBody> {
        let tell = |text: String| self.told.send(text).unwrap();
        tell(format!("{} by {}", call.parts.uri.path(), call.caller.access_key));
        match call.parts.uri.path() {
            // What comes goes back, piece by piece.
            "/desk/echo" => {
                let next = |mut body: crate::front_door::BodyStream| async move {
                    let piece = body.next().await.map_err(io::Error::other).transpose();
                    piece.map(|piece| (piece, body))
                };
                Response::new(ReplyBody::stream(stream::unfold(call.body, next)))
            }
            "/desk/count" => match call.body.whole().await {
                Ok(body) => Response::new(Bytes::from(body.len().to_string()).into()),
                Err(error) => {
                    tell(error.code().to_owned());
                    self.refused(&error, &call.request_id)
                }
            },
            // Takes one piece, then waits.
            "/desk/hold" => {
                let first = call.body.next().await;
                tell(first.map_or_else(|error| error.code().to_owned(), |_| "holds".to_owned()));
                self.go.notified().await;
                Response::new(ReplyBody::default())
            }
            "/desk/flood" => {
                let (desk, dropped) = (self.clone(), Dropped(self.told.clone()));
                let next = move |()| {
                    let _ = &dropped;
                    desk.made.fetch_add(1, Ordering::Relaxed);
                    std::future::ready(Some((Ok(Bytes::from(vec![b'x'; PIECE])), ())))
                };
                Response::new(ReplyBody::stream(stream::unfold((), next)))
            }
            "/desk/breaks" => {
                let pieces = [Ok(Bytes::from("half")), Err(io::Error::other("no more"))];
                Response::new(ReplyBody::stream(stream::iter(pieces)))
            }
            "/desk/panics" => panic!("an assertion that breaks"),
            // Says `begun`, and goes on until the program stops.
            _ => {
                let (stopping, dropped) = (call.stopping, Dropped(self.told.clone()));
                let next = move |begun: bool| {
                    let (stopping, _) = (stopping.clone(), &dropped);
                    async move {
                        if begun {
                            stopping.cancelled().await;
                            return None;
                        }
                        Some((Ok(Bytes::from("begun")), true))
                    }
                };
                Response::new(ReplyBody::stream(stream::unfold(false, next)))
            }
        }
    }
}

async fn world(limits: Limits) -> World {
    let (tell, told) = mpsc::unbounded_channel();
    let desk = Arc::new(Desk { told: tell, go: Notify::new(), made: AtomicUsize::new(0) });
    let running = start_surface(limits, kernel(true), Arc::new(desk.clone())).await;
    World { running, desk, told }
}

impl World {
    async fn told(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(60), self.told.recv()).await.unwrap().unwrap()
    }
}

/// A connection of which each byte is seen.
struct Line {
    tcp: TcpStream,
    come: Vec<u8>,
}

impl Line {
    /// Sends a head that promises `body`, and of the body what is in `part`.
    async fn send(world: &World, key: &str, path: &str, body: &[u8], part: &[u8]) -> Line {
        let client = Client::connect(world.running.address).await.with(key, "secret");
        let hash = wire::sigv4::payload_hash(body);
        let mut head =
            client.signed_head(("POST", path, ""), &[("x-amz-content-sha256", hash.as_str())], body);
        head.push(("content-length".to_owned(), body.len().to_string()));
        Line::raw(world, path, &pairs(&head), part).await
    }

    async fn raw(world: &World, path: &str, head: &[(&str, &str)], part: &[u8]) -> Line {
        let mut text = format!("POST {path} HTTP/1.1\r\n");
        head.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        let mut line =
            Line { tcp: TcpStream::connect(world.running.address).await.unwrap(), come: Vec::new() };
        line.more(&[text.as_bytes(), b"\r\n", part].concat()).await;
        line
    }

    async fn more(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.unwrap();
    }

    /// All that came, once that text is in it.
    async fn until(&mut self, text: &str) -> String {
        loop {
            let come = String::from_utf8_lossy(&self.come).into_owned();
            if come.contains(text) {
                return come;
            }
            let read = self.tcp.read_buf(&mut self.come).await.unwrap_or_default();
            assert!(read > 0, "it ended: {come}");
        }
    }

    /// All that comes until the connection ends.
    async fn rest(mut self) -> String {
        let _ = self.tcp.read_to_end(&mut self.come).await;
        String::from_utf8_lossy(&self.come).into_owned()
    }
}

#[tokio::test]
async fn what_comes_goes_back_before_all_has_come() {
    let mut world = world(Limits::default()).await;
    let mut line = Line::send(&world, "AKID", "/desk/echo", b"firstsecond", b"first").await;
    let head = line.until("first\r\n").await;
    for part in ["HTTP/1.1 200 OK", "transfer-encoding: chunked", "x-amzn-requestid: "] {
        assert!(head.contains(part), "{head}");
    }
    assert_eq!(world.told().await, "/desk/echo by AKID");
    line.more(b"second").await;
    line.until("second\r\n0\r\n\r\n").await;
    // The connection serves the next request.
    let client = Client::connect(world.running.address).await;
    let head = client.signed_head(("POST", "/desk/count", ""), &[], b"");
    let mut next = "POST /desk/count HTTP/1.1\r\ncontent-length: 0\r\n".to_owned();
    pairs(&head).iter().for_each(|(name, value)| next.push_str(&format!("{name}: {value}\r\n")));
    line.more(format!("{next}\r\n").as_bytes()).await;
    line.until("\r\n\r\n0").await;
}

#[tokio::test]
async fn a_body_is_what_its_head_said_or_nothing() {
    let mut world = world(Limits::default()).await;
    let answer = Line::send(&world, "AKID", "/desk/count", b"right", b"right").await.until("\r\n\r\n5").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(world.told().await, "/desk/count by AKID");
    let other = Line::send(&world, "AKID", "/desk/count", b"right", b"wrong").await;
    assert_eq!(world.told().await, "/desk/count by AKID");
    assert_eq!(world.told().await, "XAmzContentSHA256Mismatch");
    let answer = { other }.until("XAmzContentSHA256Mismatch").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // As a stream, too, what was not signed has no end.
    let answer = Line::send(&world, "AKID", "/desk/echo", b"right", b"wrong").await.rest().await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_body() {
    let mut world = world(Limits::default()).await;
    let mut line = Line::send(&world, "AKID", "/desk/count", b"0123456789", b"0123").await;
    assert_eq!(world.told().await, "/desk/count by AKID");
    line.tcp.shutdown().await.unwrap();
    assert_eq!(world.told().await, "IncompleteBody");
}

#[tokio::test]
async fn a_body_comes_in_time_and_is_not_too_long() {
    let mut world = world(Limits { body_timeout: Duration::from_millis(100), ..Limits::default() }).await;
    let answer =
        Line::send(&world, "AKID", "/desk/count", b"0123456789", b"0").await.until("\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(world.told().await, "/desk/count by AKID");
    assert_eq!(world.told().await, "RequestTimeoutException");
    // Too long by its head: the surface does not hear of it.
    let long = vec![b'x'; (1 << 20) + 1];
    let answer = Line::send(&world, "AKID", "/desk/count", &long, b"").await.until("\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Too long without a word of it.
    let client = Client::connect(world.running.address).await;
    let hash = wire::sigv4::payload_hash(&long);
    let head = [("x-amz-content-sha256", hash.as_str()), ("transfer-encoding", "chunked")];
    let head = client.signed_head(("POST", "/desk/count", ""), &head, &long);
    let mut line = Line::raw(&world, "/desk/count", &pairs(&head), b"").await;
    let size = format!("{:x}\r\n", long.len());
    // A server that has refused already may not take all of it.
    let _ = line.tcp.write_all(&[size.as_bytes(), &long, b"\r\n0\r\n\r\n"].concat()).await;
    assert_eq!(world.told().await, "/desk/count by AKID");
    assert_eq!(world.told().await, "RequestEntityTooLargeException");
}

/// Before a byte of their body came, which never comes.
#[tokio::test]
async fn who_may_not_is_refused_before_the_surface_hears_of_it() {
    let mut world = world(Limits::default()).await;
    for (key, status, code) in [
        ("NOBODY", "400", "UnrecognizedClientException"),
        ("SESSION", "400", "UnrecognizedClientException"),
        ("AGENT", "403", "AccessDeniedException"),
    ] {
        let answer = Line::send(&world, key, "/desk/count", b"body", b"").await.until(code).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let unsigned = [("host", "localhost"), ("content-length", "4")];
    let answer = Line::raw(&world, "/desk/count", &unsigned, b"").await.until("Missing").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // The hash of the body is part of what is signed.
    let client = Client::connect(world.running.address).await;
    let head = client.signed_head(("POST", "/desk/count", ""), &[], b"body");
    let mut head = pairs(&head);
    head.push(("content-length", "4"));
    let answer = Line::raw(&world, "/desk/count", &head, b"body").await.until("InvalidSignature").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(world.told.try_recv().is_err());
}

#[tokio::test]
async fn a_surface_has_its_paths_and_hosts_and_no_other() {
    let mut world = world(Limits::default()).await;
    let mut client = Client::connect(world.running.address).await;
    for (path, status) in [("/desk/count", 200), ("/desks", 400), ("/", 400)] {
        assert_eq!(client.signed_get(path, "", &[]).await.status, status, "{path}");
    }
    assert_eq!(world.told().await, "/desk/count by AKID");
    // By its host it is the surface's, but the front door has to answer to that host.
    let answer = client.signed_get("/anything", "", &[("host", "a.desk.localhost:4566")]).await;
    assert_eq!((answer.status, &answer.json()["__type"]), (403, &json!("AccessDeniedException")));
    assert!(world.told.try_recv().is_err());
    for (host, takes) in [
        ("desk.localhost", true),
        ("A.Desk.localhost:80", true),
        ("xdesk.localhost", false),
        ("localhost", false),
    ] {
        let request = http::Request::builder().header("host", host).body(()).unwrap();
        let parts = request.into_parts().0;
        assert_eq!(Site::Host("desk.localhost".into()).takes(&parts), takes, "{host}");
    }
}

#[tokio::test]
async fn a_surface_that_breaks_an_assertion_fails_alone() {
    let world = world(Limits::default()).await;
    let mut client = Client::connect(world.running.address).await;
    assert_eq!(client.signed_get("/desk/panics", "", &[]).await.status, 500);
    assert_eq!(client.signed_get("/desk/count", "", &[]).await.status, 200);
    // A stream that fails is cut, so that nobody takes a half for the whole.
    let answer = Line::send(&world, "AKID", "/desk/breaks", b"", b"").await.rest().await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_nobody_work() {
    let mut world = world(Limits { write_timeout: Duration::from_millis(100), ..Limits::default() }).await;
    let line = Line::send(&world, "AKID", "/desk/flood", b"", b"").await;
    assert_eq!(world.told().await, "/desk/flood by AKID");
    // It is let go, and was not asked for more than what fits between it and its client.
    assert_eq!(world.told().await, "dropped");
    let made = world.desk.made.load(Ordering::Relaxed) * PIECE;
    assert!(made < 64 << 20, "{made}");
    drop(line);
}

#[tokio::test]
async fn streams_that_wait_are_not_more_than_their_room() {
    let mut world =
        world(Limits { write_timeout: LONG, all_replies_bytes: 200_000, ..Limits::default() }).await;
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(Line::send(&world, "AKID", "/desk/flood", b"", b"").await);
    }
    let mut told = Vec::new();
    while !told.iter().any(|told| told == "dropped") {
        told.push(world.told().await);
    }
}

#[tokio::test]
async fn bodies_that_are_streamed_have_their_room_and_no_more() {
    let limits =
        Limits { all_bodies_bytes: 64 * 1024, body_timeout: Duration::from_millis(200), ..Limits::default() };
    let mut world = world(limits).await;
    let body = vec![b'x'; 256 * 1024];
    let mut first = Line::send(&world, "AKID", "/desk/hold", &body, &body[..1000]).await;
    assert_eq!((world.told().await, world.told().await), ("/desk/hold by AKID".into(), "holds".into()));
    // There is room for one; who comes second has none in time.
    let mut second = Line::send(&world, "AKID", "/desk/count", &body, &body).await;
    assert_eq!(world.told().await, "/desk/count by AKID");
    assert_eq!(world.told().await, "RequestTimeoutException");
    second.until("HTTP/1.1 408").await;
    // Calls have room of their own.
    let mut client = Client::connect(world.running.address).await;
    assert_eq!(client.ecs("DescribeTasks", &json!({"tasks": ["a"]})).await.status, 200);
    world.desk.go.notify_one();
    first.until("HTTP/1.1 200").await;
    Line::send(&world, "AKID", "/desk/count", &body, &body).await.until("262144").await;
}

#[tokio::test]
async fn there_are_so_many_streams_and_none_gives_way() {
    let mut world = world(Limits { streams: 1, connections: 2, ..Limits::default() }).await;
    let mut follower = Line::send(&world, "AKID", "/desk/follow", b"", b"").await;
    follower.until("begun").await;
    let answer = Line::send(&world, "AKID", "/desk/follow", b"", b"").await.until("ServiceUnavailable").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    for expected in ["/desk/follow by AKID", "/desk/follow by AKID", "dropped"] {
        assert_eq!(world.told().await, expected);
    }
    // It says nothing, and those that come when all places are taken are served beside it.
    for _ in 0..5 {
        let mut client = Client::connect(world.running.address).await;
        assert_eq!(client.signed_get("/desk/count", "", &[]).await.status, 200);
        assert_eq!(world.told().await, "/desk/count by AKID");
    }
    // Once it is gone, the next may follow.
    drop(follower);
    assert_eq!(world.told().await, "dropped");
    Line::send(&world, "AKID", "/desk/follow", b"", b"").await.until("begun").await;
}

#[tokio::test]
async fn a_stream_ends_in_order_when_the_program_stops() {
    let mut world = world(Limits { grace: LONG, ..Limits::default() }).await;
    let mut follower = Line::send(&world, "AKID", "/desk/follow", b"", b"").await;
    follower.until("begun").await;
    assert_eq!(world.told().await, "/desk/follow by AKID");
    let mut upload = Line::send(&world, "AKID", "/desk/count", b"0123456789", b"01234").await;
    assert_eq!(world.told().await, "/desk/count by AKID");
    world.running.shutdown.cancel();
    assert_eq!(world.told().await, "dropped");
    assert!(follower.rest().await.ends_with("begun\r\n0\r\n\r\n"));
    // An upload that was under way is taken.
    upload.more(b"56789").await;
    let answer = upload.rest().await;
    assert!(answer.contains("connection: close") && answer.ends_with("\r\n\r\n10"), "{answer}");
    world.running.served.await.unwrap();
}
