//! The bytes of one connection, below HTTP: what the HTTP library is lenient with, and a client that does not read.
//! It knows no header. Where a head ends it finds by itself; how long the body after it is, [`Framing`] is told.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A head is being read.
const HEAD: u8 = 0;
/// A head was read, and what follows it is not known yet.
const BETWEEN: u8 = 1;
/// A body of known length is being read.
const BODY: u8 = 2;
/// Nothing is looked at any more.
const RAW: u8 = 3;

/// So many bytes of a stream a client has to take while it may wait, if it does not take all.
const PROGRESS: usize = 16 * 1024;

/// What of a connection's bytes comes next. Only its own task writes it.
#[derive(Debug, Default)]
pub(super) struct Framing {
    phase: AtomicU8,
    left: AtomicU64,
    streams: AtomicBool,
}

impl Framing {
    /// Says what follows a head: a body of so many bytes. Without a length, or where the connection is to become
    /// something else, nothing is looked at any more, and no other request may follow.
    pub fn head_read(&self, body: Option<u64>) {
        self.left.store(body.unwrap_or_default(), Ordering::Relaxed);
        let phase = match body {
            Some(0) => HEAD,
            Some(_) => BODY,
            None => RAW,
        };
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Says whether the reply that is sent now is a stream, which has no whole that could be taken in time.
    pub fn reply_streams(&self, streams: bool) {
        self.streams.store(streams, Ordering::Relaxed);
    }
}

/// A connection whose heads have lines that end in CR and LF, and whose client reads what it is sent.
pub(super) struct Stream<T> {
    below: T,
    framing: Arc<Framing>,
    head: Head,
    /// What was read beyond the end of a head or a body.
    beyond: BytesMut,
    patience: Patience,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    /// A client may let what it is sent wait for `patience`.
    pub fn new(below: T, framing: Arc<Framing>, patience: Duration) -> Self {
        let patience = Patience { patience, stalled: None, taken: 0 };
        Self { below, framing, head: Head::default(), beyond: BytesMut::new(), patience }
    }

    /// Keeps what `buf` holds beyond `end` for later.
    fn keep_beyond(&mut self, buf: &mut ReadBuf<'_>, end: usize) {
        let mut kept = BytesMut::from(buf.filled().get(end..).unwrap_or_default());
        buf.set_filled(end);
        if !kept.is_empty() {
            kept.extend_from_slice(&self.beyond);
            self.beyond = kept;
        }
    }

    fn read(&mut self, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.beyond.is_empty() {
            return Pin::new(&mut self.below).poll_read(context, buf);
        }
        let count = self.beyond.len().min(buf.remaining());
        buf.put_slice(&self.beyond[..count]);
        self.beyond.advance(count);
        if self.beyond.is_empty() {
            // Most connections never need it again.
            self.beyond = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn taken(&mut self, sent: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = sent {
            self.patience.taken += bytes;
        }
    }

    /// Ends a connection whose client has not taken what it was sent, in whole, for too long.
    fn in_time<R>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if sent.is_pending() {
            ready!(self.patience.wait(context, self.framing.streams.load(Ordering::Relaxed)));
            let text = "the client does not read its replies";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        sent
    }
}

/// How long something may wait to be sent.
struct Patience {
    patience: Duration,
    /// Runs while something waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes that were taken while it runs.
    taken: usize,
}

impl Patience {
    /// Whether what waits has waited for too long. Of a stream that goes on there may always be something.
    fn wait(&mut self, context: &mut Context<'_>, streams: bool) -> Poll<()> {
        let patience = self.patience;
        loop {
            let stalled = self.stalled.get_or_insert_with(|| {
                self.taken = 0;
                Box::pin(tokio::time::sleep(patience))
            });
            ready!(stalled.as_mut().poll(context));
            if !streams || self.taken < PROGRESS {
                return Poll::Ready(());
            }
            self.stalled = None;
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let phase = this.framing.phase.load(Ordering::Relaxed);
        if phase == BETWEEN {
            // The HTTP library takes what we took for a whole head for half of one.
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a head without an end")));
        }
        ready!(this.read(context, buf))?;
        match phase {
            HEAD => {
                if let Some(length) = this.head.scan(&mut buf.filled_mut()[before..]) {
                    this.framing.phase.store(BETWEEN, Ordering::Relaxed);
                    this.keep_beyond(buf, before + length);
                }
            }
            BODY => {
                let left = this.framing.left.load(Ordering::Relaxed);
                let got = (buf.filled().len() - before) as u64;
                if got >= left {
                    this.framing.phase.store(HEAD, Ordering::Relaxed);
                    this.keep_beyond(buf, before + usize::try_from(left).unwrap_or_default());
                }
                this.framing.left.store(left.saturating_sub(got), Ordering::Relaxed);
            }
            _ => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.below).poll_write(context, data);
        this.taken(&sent);
        this.in_time(context, sent)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.below).poll_write_vectored(context, data);
        this.taken(&sent);
        this.in_time(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.below.is_write_vectored()
    }

    /// Asked for when nothing of a reply is left to be sent.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.below).poll_flush(context);
        if flushed.is_ready() {
            this.patience.stalled = None;
        }
        this.in_time(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.below).poll_shutdown(context);
        this.in_time(context, shut)
    }
}

/// Finds the end of a head, over any number of reads.
#[derive(Debug, Default)]
struct Head {
    /// A line with something in it was read.
    begun: bool,
    /// Bytes of the line so far.
    line: usize,
    /// The last byte was a CR.
    cr: bool,
}

impl Head {
    /// How many of these bytes belong to the head, once it ends in them. A line that ends in LF alone is made one that
    /// the HTTP library refuses with 400: RFC 9112 lets servers take it for a line's end, and where a proxy in front
    /// does not, the two see different requests.
    fn scan(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let mut start = 0;
        while let Some(found) = memchr::memchr(b'\n', &bytes[start..]) {
            let end = start + found;
            let after_cr = if end > 0 { bytes[end - 1] == b'\r' } else { self.cr };
            let length = self.line + found;
            start = end + 1;
            self.line = 0;
            if !after_cr {
                bytes[end] = 0;
                self.begun = true;
            } else if length > 1 {
                self.begun = true;
            } else if self.begun {
                *self = Self::default();
                return Some(start);
            }
        }
        self.line += bytes.len() - start;
        self.cr = bytes.last().map_or(self.cr, |last| *last == b'\r');
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a text is the head, and how it is passed on, whatever the pieces it comes in.
    fn scanned(text: &str) -> (Option<usize>, String) {
        let mut answers = Vec::new();
        for size in 1..=text.len() {
            let (mut head, mut bytes, mut end) = (Head::default(), text.as_bytes().to_vec(), None);
            for (at, piece) in bytes.chunks_mut(size).enumerate() {
                end = head.scan(piece).map(|length| at * size + length);
                if end.is_some() {
                    break;
                }
            }
            answers.push((end, String::from_utf8(bytes).unwrap()));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    #[tokio::test]
    async fn a_stream_may_wait_while_its_client_takes_some_of_it() {
        let patience = Duration::from_secs(3600);
        for (streams, taken, waits) in
            [(false, PROGRESS, false), (true, PROGRESS - 1, false), (true, PROGRESS, true)]
        {
            let mut over = Box::pin(tokio::time::sleep(Duration::ZERO));
            over.as_mut().await;
            let mut waiting = Patience { patience, stalled: Some(over), taken };
            let found = std::future::poll_fn(|context| Poll::Ready(waiting.wait(context, streams))).await;
            assert_eq!(found.is_pending(), waits, "{streams} {taken}");
        }
    }

    #[test]
    fn a_head_ends_at_an_empty_line_and_lines_end_in_both() {
        let text = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(scanned(&format!("{text}body\n")), (Some(text.len()), format!("{text}body\n")));
        assert_eq!(scanned(&format!("\r\n\r\n{text}")).0, Some(text.len() + 4));
        for bad in ["POST / HTTP/1.1\n", "POST / HTTP/1.1\r\nHost: a\nX: b\r\n", "\n", "A\r\n\n"] {
            let (end, passed_on) = scanned(bad);
            assert_eq!(end, None, "{bad:?}");
            assert!(passed_on.contains('\0'), "{bad:?}");
        }
        assert_eq!(scanned("POST / HTTP/1.1\r\nHost: a\r\n").0, None);
    }
}
