//! The resolver at work: answers what is known, remembers what others have said, and asks them, one question once at a time however
//! many put it. So a question that comes back to us by way of those whom we ask waits for itself and ends; and nobody gets many
//! guesses at an answer by having many ask.

mod doors;
mod room;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cache::{self, Cache, Found};
use crate::forward;
use crate::message::{Asked, Question};
use crate::upstream::{Servers, Upstream};
use crate::zone::{Answer, View};
use room::Room;

/// Most questions that others are asked at once.
const FLIGHTS_MAX: usize = 1_024;

/// How long things may take.
#[derive(Debug, Clone)]
pub struct Timers {
    /// One question to one server: then the next is asked.
    pub attempt: Duration,
    /// One question to all of them. Less than the five seconds after which resolvers in containers ask again.
    pub patience: Duration,
    /// A connection without a question.
    pub idle: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            attempt: Duration::from_millis(1_500),
            patience: Duration::from_millis(4_500),
            idle: Duration::from_secs(10),
        }
    }
}

/// How it works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who is asked for what is not known.
    pub upstream: Upstream,
    pub timers: Timers,
    /// How much is remembered.
    pub cache: cache::Limits,
}

impl Config {
    /// With these to ask, and else as it is best.
    pub fn new(upstream: Upstream) -> Config {
        Config { upstream, timers: Timers::default(), cache: cache::Limits::default() }
    }
}

/// The resolver of all VPCs of a host. What it serves ends with it.
pub struct Service {
    shared: Arc<Shared>,
    runtime: Handle,
    serving: Mutex<BTreeMap<String, JoinSet<()>>>,
}

/// What questions of all VPCs have in common: nothing of a VPC is in it.
struct Shared {
    servers: Servers,
    timers: Timers,
    cache: Mutex<Cache>,
    flights: Mutex<HashMap<Question, watch::Receiver<Option<Landed>>>>,
    /// The server that answered last, of those that there are.
    good: std::sync::atomic::AtomicUsize,
}

/// What a question that went to others came back with; none where nobody answered.
type Landed = Option<Arc<Answer>>;

impl Service {
    /// A resolver that nobody reaches yet. To be called in a runtime, which it works on.
    pub fn new(config: Config) -> Service {
        let shared = Shared {
            servers: Servers::new(config.upstream),
            timers: config.timers,
            cache: Mutex::new(Cache::new(config.cache)),
            flights: Mutex::default(),
            good: Default::default(),
        };
        Service { shared: Arc::new(shared), runtime: Handle::current(), serving: Mutex::default() }
    }

    /// Answers on these sockets from now on, by what is known in `view`, in place of those of the same `key` before. Who is not in a
    /// block of the view's VPC is not heard.
    ///
    /// # Errors
    /// The sockets are of no use; then what was there before goes on.
    pub fn serve(&self, key: &str, view: View, udp: Vec<UdpSocket>, tcp: Vec<TcpListener>) -> io::Result<()> {
        let _entered = self.runtime.enter();
        let room = Arc::new(Room::new(Instant::now()));
        let desk = Arc::new(doors::Desk { shared: self.shared.clone(), view, room });
        let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
        for socket in udp {
            socket.set_nonblocking(true)?;
            sockets.push(tokio::net::UdpSocket::from_std(socket)?);
        }
        for listener in tcp {
            listener.set_nonblocking(true)?;
            listeners.push(tokio::net::TcpListener::from_std(listener)?);
        }
        let mut tasks = JoinSet::new();
        for socket in sockets {
            tasks.spawn_on(doors::datagrams(desk.clone(), Arc::new(socket)), &self.runtime);
        }
        for listener in listeners {
            tasks.spawn_on(doors::connections(desk.clone(), listener), &self.runtime);
        }
        self.serving.lock().insert(key.to_owned(), tasks);
        Ok(())
    }

    /// Answers there no more; not an error where nothing is.
    pub fn close(&self, key: &str) {
        self.serving.lock().remove(key);
    }
}

impl Shared {
    /// The answer at once, where it needs nobody else.
    fn known(&self, view: &View, asked: &Asked) -> Option<Answer> {
        let question = &asked.question;
        if let Some(answer) = view.answer(&question.name, question.kind) {
            return Some(answer);
        }
        match self.cache.lock().get(question, Instant::now()) {
            Some(Found::New(answer)) => Some(answer),
            _ if !asked.recursive => Some(Answer::failed(ResponseCode::Refused)),
            _ => None,
        }
    }

    /// The answer of others, or one of theirs that is too old where they do not answer.
    async fn found_out(self: &Arc<Shared>, question: &Question) -> Answer {
        if let Some(mut flight) = self.flight(question) {
            // An error says that it broke off.
            let _ = flight.wait_for(Option::is_some).await;
            let landed = flight.borrow().clone().flatten();
            if let Some(answer) = landed {
                return (*answer).clone();
            }
        }
        match self.cache.lock().get(question, Instant::now()) {
            Some(Found::New(answer) | Found::Old(answer)) => answer,
            None => Answer::failed(ResponseCode::ServFail),
        }
    }

    /// The question on its way to others, put by whoever came first; none where too many are.
    fn flight(self: &Arc<Shared>, question: &Question) -> Option<watch::Receiver<Option<Landed>>> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(question) {
            return Some(flight.clone());
        }
        if flights.len() >= FLIGHTS_MAX {
            return None;
        }
        let (tell, flight) = watch::channel(None);
        flights.insert(question.clone(), flight.clone());
        let (shared, question) = (self.clone(), question.clone());
        // Beside: it goes on for the others when who put it is gone, and its answer is kept.
        tokio::spawn(async move {
            let flight = InFlight { shared: &shared, question: &question };
            let landed = shared.ask(&question).await;
            drop(flight);
            tell.send_replace(Some(landed));
        });
        Some(flight)
    }

    async fn ask(&self, question: &Question) -> Landed {
        use std::sync::atomic::Ordering::Relaxed;
        let until = tokio::time::Instant::now() + self.timers.patience;
        let (servers, is_new) = self.servers.get().await;
        if is_new {
            self.cache.lock().clear();
        }
        let first = self.good.load(Relaxed);
        let (at, outcome) = forward::ask(&servers, first, question, self.timers.attempt, until).await;
        self.good.store(at, Relaxed);
        match outcome {
            Ok((answer, bytes)) => {
                self.cache.lock().put(question, &answer, bytes, Instant::now());
                Some(Arc::new(answer))
            }
            Err(error) => {
                tracing::debug!(name = %question.name, kind = %question.kind, %error, "a name is not found out");
                None
            }
        }
    }
}

/// Takes a question out of those on their way, however it ends.
struct InFlight<'a> {
    shared: &'a Shared,
    question: &'a Question,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shared.flights.lock().remove(self.question);
    }
}

#[cfg(test)]
mod tests;
