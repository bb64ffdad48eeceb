//! The engine's end of a supervisor's socket: requests and their answers, and what is told unasked.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::layout::{self, TaskDir};
use super::proto::{Answer, LINE_BYTES_MAX, Message, Op, Request, line};
use super::supervisor;

/// Most requests that wait to be written. A supervisor that reads nothing is as good as dead.
const QUEUE_MAX: usize = 256;

/// How long a supervisor may take to say hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);

/// How long a supervisor may take for what it does at once. A host that is so busy that it takes longer is
/// of no use to its tasks.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(10);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Answer, String>>>>>;

/// A connection. Ends when the supervisor does; then every call fails.
#[derive(Debug)]
pub(crate) struct Link {
    queue: mpsc::Sender<Vec<u8>>,
    waiting: Waiting,
    next: AtomicU64,
    /// How many messages have come.
    heard: Arc<AtomicU64>,
    /// Cleared when nothing more can be read.
    open: Arc<AtomicBool>,
}

/// Why a call had no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The supervisor refused or failed.
    #[error("{0}")]
    Refused(String),
    /// The supervisor is gone.
    #[error("the task's supervisor has ended")]
    Gone,
    /// The connection stands, but nothing comes in time.
    #[error("the task's supervisor does not answer")]
    Silent,
}

impl Link {
    /// Takes a fresh connection; waits for the supervisor's hello. `told` hears what is told unasked;
    /// `ended` is called once, when the connection is over.
    pub(crate) async fn open(
        stream: std::os::unix::net::UnixStream,
        told: impl Fn(Message) + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Link>> {
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        let mut lines = BufReader::new(read);
        let hello = tokio::time::timeout(HELLO_WAIT, next(&mut lines)).await;
        match hello {
            Ok(Ok(Some(Message::Hello { .. }))) => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(_)) => return Err(io::Error::other("the supervisor ended before it listened")),
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the supervisor says nothing")),
        }
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let waiting = Waiting::default();
        let open = Arc::new(AtomicBool::new(true));
        let heard = Arc::<AtomicU64>::default();
        let closes = open.clone();
        let ended = move || {
            closes.store(false, Ordering::Release);
            ended();
        };
        tokio::spawn(write_all(write, queued));
        tokio::spawn(read_all(lines, waiting.clone(), heard.clone(), told, ended));
        Ok(Arc::new(Link { queue, waiting, next: AtomicU64::new(1), heard, open }))
    }

    /// Connects to the supervisor that listens in a task's folder.
    pub(crate) fn connect(dir: &TaskDir) -> io::Result<std::os::unix::net::UnixStream> {
        supervisor::with_socket_path(dir.run(), layout::SOCKET, |path| {
            std::os::unix::net::UnixStream::connect(path)
        })
    }

    /// Asks and waits at most `wait` for the answer.
    pub(crate) async fn call(&self, op: Op, wait: Duration) -> Result<Answer, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, answer) = oneshot::channel();
        let bytes = line(&Request { id, op });
        if bytes.len() > LINE_BYTES_MAX {
            return Err(Failure::Refused(format!("what is asked is longer than {LINE_BYTES_MAX} bytes")));
        }
        self.waiting.lock().insert(id, tell);
        // In the time as well: a supervisor that reads nothing lets the queue fill up.
        let asked = async {
            let sent = self.is_open() && self.queue.send(bytes).await.is_ok();
            if sent { answer.await.ok() } else { None }
        };
        let answer = tokio::time::timeout(wait, asked).await;
        self.waiting.lock().remove(&id);
        match answer {
            Ok(Some(answer)) => answer.map_err(Failure::Refused),
            Ok(None) => Err(Failure::Gone),
            Err(_) => Err(Failure::Silent),
        }
    }

    /// [`Link::call`] for what may take long: a supervisor that answers nothing at all meanwhile is not
    /// waited for until the end.
    pub(crate) async fn call_long(&self, op: Op, wait: Duration) -> Result<Answer, Failure> {
        let mut asked = std::pin::pin!(self.call(op, wait));
        // Most answer by then.
        if let Ok(answer) = tokio::time::timeout(ANSWER_WAIT, &mut asked).await {
            return answer;
        }
        tokio::select! {
            answer = &mut asked => answer,
            () = self.falls_silent() => Err(Failure::Silent),
        }
    }

    /// Returns once a question that takes no time has no answer.
    async fn falls_silent(&self) {
        while self.answers().await {
            tokio::time::sleep(ANSWER_WAIT).await;
        }
    }

    /// Whether the supervisor answers a question that takes no time.
    pub(crate) async fn answers(&self) -> bool {
        let nothing = Op::Watch { name: String::new(), cursor: 0 };
        !matches!(self.call(nothing, ANSWER_WAIT).await, Err(Failure::Silent))
    }

    /// How many messages have come.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Asks without an interest in the answer.
    pub(crate) fn tell(&self, op: Op) {
        // A full queue drops a hint; the next one says the same.
        let _ = self.queue.try_send(line(&Request { id: 0, op }));
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }
}

async fn write_all(mut write: OwnedWriteHalf, mut queued: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queued.recv().await {
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read_all(
    mut lines: BufReader<OwnedReadHalf>,
    waiting: Waiting,
    heard: Arc<AtomicU64>,
    told: impl Fn(Message),
    ended: impl FnOnce(),
) {
    while let Ok(Some(message)) = next(&mut lines).await {
        heard.fetch_add(1, Ordering::Relaxed);
        match message {
            Message::Reply { id, answer } => {
                let waits = waiting.lock().remove(&id);
                if let Some(waits) = waits {
                    let _ = waits.send(answer);
                }
            }
            message => told(message),
        }
    }
    ended();
    // After that, so that whoever asks from now on does not wait.
    waiting.lock().clear();
}

async fn next(lines: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Message>> {
    let mut line = Vec::new();
    let mut bounded = tokio::io::AsyncReadExt::take(lines, LINE_BYTES_MAX as u64);
    if bounded.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(io::Error::other)
}
