//! The network between users, agents and the control plane: it is slow, loses, and falls apart. Calls go by
//! requests of their own; agents have sockets too, whose frames come in order or not at all.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, Stream};
use parking_lot::Mutex;
use serde_json::Value;
use server::world::Outside;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Sleep, sleep},
};
use tokio_tungstenite::tungstenite::{self, Message};
use wire::Error;

use crate::{breaks::Break, server::Server, world::World};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    User(usize),
    Machine(usize),
}

/// As whom a call is made.
#[derive(Debug, Clone)]
pub enum As {
    Administrator,
    /// By this access key.
    Key(String),
}

/// Why a call has no output.
#[derive(Debug, Clone)]
pub enum Failed {
    /// It, or its answer, was lost.
    Lost,
    /// It was refused.
    Refused(Error),
}

impl Failed {
    /// Whether the call was not carried out, and this is known.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Failed::Refused(error) if error.is_sender_fault())
    }
}

/// Who is cut off, and until when.
#[derive(Default)]
pub struct Network(Mutex<BTreeMap<Node, Instant>>);

impl Network {
    /// Cuts somebody off for a while.
    pub fn cut(&self, node: Node, millis: i64) {
        self.0.lock().insert(node, Instant::now() + Duration::from_millis(millis.unsigned_abs()));
    }

    /// Mends everything.
    pub fn mend(&self) {
        self.0.lock().clear();
    }

    fn cut_until(&self, node: Node) -> Option<Instant> {
        self.0.lock().get(&node).copied().filter(|until| *until > Instant::now())
    }
}

/// How long something is on its way; none: it gets lost.
fn way(world: &World, node: Node) -> Option<Duration> {
    if world.network.cut_until(node).is_some() || world.strikes(2) {
        return None;
    }
    let slow = world.strikes(3);
    let millis = if slow { world.range(100, 3_000) } else { world.range(1, 20) };
    Some(Duration::from_millis(millis.unsigned_abs()))
}

/// How long somebody waits in vain.
async fn in_vain(world: &World) {
    world.pause(1_000, 10_000).await;
}

/// Calls an operation.
///
/// # Errors
/// It was refused, or nobody knows.
pub async fn call(
    world: &Arc<World>,
    node: Node,
    who: &As,
    (service, operation): (&'static str, &'static str),
    input: Value,
) -> Result<Value, Failed> {
    world.tell(|| format!("{node:?} calls {operation} {input}"));
    let outcome = call_untold(world, node, who, (service, operation), input).await;
    world.tell(|| match &outcome {
        Ok(_) => format!("{node:?} has its answer to {operation}"),
        Err(failed) => format!("{node:?} has no answer to {operation}: {failed:?}"),
    });
    outcome
}

async fn call_untold(
    world: &Arc<World>,
    node: Node,
    who: &As,
    (service, operation): (&'static str, &'static str),
    input: Value,
) -> Result<Value, Failed> {
    world.outcome(|outcome| outcome.calls += 1);
    let Some(there) = way(world, node) else {
        in_vain(world).await;
        return Err(Failed::Lost);
    };
    sleep(there).await;
    let Some(server) = world.server() else {
        in_vain(world).await;
        return Err(Failed::Lost);
    };
    // What has a token, or says how something is, may come twice.
    let repeats = operation.starts_with("Submit") || input.get("clientToken").is_some();
    if repeats && world.strikes(3) || world.has(Break::CalledTwice) && operation == "RunTask" {
        let (server, who, input) = (server.clone(), who.clone(), without_token(world, input.clone()));
        let late = Duration::from_millis(world.range(0, 2_000).unsigned_abs());
        let process = server.process.clone();
        process.spawn(Box::pin(async move {
            sleep(late).await;
            let _ = server.call(&who, (service, operation), input).await;
        }));
    }
    let (tell, told) = oneshot::channel();
    let (at_work, who) = (server.clone(), who.clone());
    server.process.spawn(Box::pin(async move {
        drop(tell.send(at_work.call(&who, (service, operation), input).await));
    }));
    drop(server);
    // It is gone if the control plane ends meanwhile.
    let Ok(outcome) = told.await else {
        in_vain(world).await;
        return Err(Failed::Lost);
    };
    match way(world, node) {
        Some(back) => {
            sleep(back).await;
            outcome.map_err(Failed::Refused)
        }
        None => {
            in_vain(world).await;
            Err(Failed::Lost)
        }
    }
}

fn without_token(world: &World, mut input: Value) -> Value {
    if world.has(Break::CalledTwice)
        && let Some(members) = input.as_object_mut()
    {
        members.remove("clientToken");
    }
    input
}

/// Has the control plane take a socket of an agent's. `open` begins the session on it.
///
/// # Errors
/// It was refused, or nobody knows.
pub async fn connect<F>(
    world: &Arc<World>,
    node: Node,
    open: impl FnOnce(Arc<Server>, ServerEnd) -> F,
) -> Result<AgentEnd, Failed>
where
    F: Future<Output = Result<(), server::agent_link::Refusal>> + Send + 'static,
{
    let there = way(world, node).ok_or(Failed::Lost)?;
    sleep(there).await;
    let server = world.server().ok_or(Failed::Lost)?;
    let (far, near) = pair(world, node);
    let opening = open(server.clone(), far);
    let (tell, told) = oneshot::channel();
    server.process.spawn(Box::pin(async move { drop(tell.send(opening.await)) }));
    drop(server);
    match told.await {
        Ok(Ok(())) => Ok(near),
        Ok(Err(refusal)) => {
            let status = if refusal.kind.as_str() == "ServerException" { 500 } else { 400 };
            Err(Failed::Refused(Error::new(refusal.kind.as_str(), status, refusal.message)))
        }
        Err(_) => Err(Failed::Lost),
    }
}

/// One direction of a socket.
struct Sending {
    world: Arc<World>,
    node: Node,
    frames: mpsc::UnboundedSender<(Instant, String)>,
    last: Instant,
}

impl Sending {
    /// False: nobody is there any more.
    fn send(&mut self, text: String) -> bool {
        let slow = self.world.strikes(3);
        let millis = if slow { self.world.range(100, 3_000) } else { self.world.range(1, 10) };
        let now = Instant::now();
        let mended = self.world.network.cut_until(self.node).unwrap_or(now);
        // In order; and what meets a network that fell apart is sent again until it is mended.
        self.last = self.last.max(mended + Duration::from_millis(millis.unsigned_abs()));
        self.frames.send((self.last, text)).is_ok()
    }
}

/// The other.
struct Hearing {
    frames: mpsc::UnboundedReceiver<(Instant, String)>,
    held: Option<String>,
    arrives: Pin<Box<Sleep>>,
}

impl Hearing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if self.held.is_none() {
            match self.frames.poll_recv(cx) {
                Poll::Ready(Some((at, text))) => {
                    self.held = Some(text);
                    self.arrives.as_mut().reset(at);
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.arrives.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.held.take()),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The control plane's end of a socket.
pub struct ServerEnd {
    sending: Sending,
    hearing: Hearing,
}

/// The agent's.
pub struct AgentEnd {
    sending: Sending,
    hearing: Hearing,
}

fn pair(world: &Arc<World>, node: Node) -> (ServerEnd, AgentEnd) {
    let now = Instant::now();
    let direction = || {
        let (frames, heard) = mpsc::unbounded_channel();
        let sending = Sending { world: world.clone(), node, frames, last: now };
        (sending, Hearing { frames: heard, held: None, arrives: Box::pin(sleep(Duration::ZERO)) })
    };
    let ((to_agent, at_agent), (to_server, at_server)) = (direction(), direction());
    (ServerEnd { sending: to_agent, hearing: at_server }, AgentEnd { sending: to_server, hearing: at_agent })
}

impl AgentEnd {
    /// The next frame; none once the socket is gone.
    pub async fn next(&mut self) -> Option<String> {
        std::future::poll_fn(|cx| self.hearing.poll(cx)).await
    }

    /// Sends one. False: the socket is gone.
    pub fn send(&mut self, text: String) -> bool {
        self.sending.send(text)
    }
}

impl Stream for ServerEnd {
    type Item = Result<Message, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.hearing.poll(cx).map(|text| text.map(|text| Ok(Message::text(text))))
    }
}

impl Sink<Message> for ServerEnd {
    type Error = tungstenite::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        let sent = match message {
            Message::Text(text) => self.sending.send(text.as_str().to_owned()),
            // Whoever hears nothing more closes as well.
            Message::Close(_) => {
                self.sending.frames = mpsc::unbounded_channel().0;
                true
            }
            _ => true,
        };
        if sent { Ok(()) } else { Err(tungstenite::Error::ConnectionClosed) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}
