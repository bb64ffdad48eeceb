//! The engines that are connected: lines in, lines out, nothing waits.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::native::proto::{LINE_BYTES_MAX, Message, Request, line};

/// Most connections at once; the oldest goes first. There is one engine; more is a restart overlapping.
const CLIENTS_MAX: usize = 8;

/// A client that reads nothing is dropped beyond this; it finds all in the task's folder again.
const OUT_BYTES_MAX: usize = 4 * LINE_BYTES_MAX;

/// Who asked, to be answered later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asker {
    client: u64,
    request: u64,
}

#[derive(Debug)]
struct Client {
    id: u64,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    list: Vec<Client>,
    next: u64,
}

impl Clients {
    pub(crate) fn add(&mut self, fd: OwnedFd) -> io::Result<()> {
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(true)?;
        if self.list.len() == CLIENTS_MAX {
            self.list.remove(0);
        }
        self.next += 1;
        let mut client = Client { id: self.next, stream, input: Vec::new(), output: Vec::new() };
        client.send(&Message::Hello { pid: std::process::id().cast_signed() });
        self.list.push(client);
        Ok(())
    }

    /// What to poll: each client's descriptor, and whether it waits to be written to.
    pub(crate) fn poll(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        self.list.iter().map(|c| (c.stream.as_fd(), !c.output.is_empty()))
    }

    /// Writes what waits and reads what is there. Clients that left, or broke the rules, are dropped.
    pub(crate) fn turn(&mut self) -> Vec<(Asker, Request)> {
        let mut requests = Vec::new();
        self.list.retain_mut(|client| {
            let alive = client.flush() && client.read();
            while let Some(request) = client.next_request() {
                match request {
                    Some(request) => {
                        requests.push((Asker { client: client.id, request: request.id }, request))
                    }
                    None => return false,
                }
            }
            alive
        });
        requests
    }

    pub(crate) fn reply(&mut self, asker: Asker, answer: Result<crate::native::proto::Answer, String>) {
        if let Some(client) = self.list.iter_mut().find(|c| c.id == asker.client) {
            client.send(&Message::Reply { id: asker.request, answer });
        }
    }

    pub(crate) fn tell_all(&mut self, message: &Message) {
        for client in &mut self.list {
            client.send(message);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Client {
    fn send(&mut self, message: &Message) {
        if self.output.len() <= OUT_BYTES_MAX {
            self.output.extend_from_slice(&line(message));
        }
        self.flush();
    }

    fn flush(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return false,
                Ok(bytes) => drop(self.output.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.output.len() <= OUT_BYTES_MAX;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.output = Vec::new();
        true
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(bytes) => self.input.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            if self.input.len() > LINE_BYTES_MAX {
                return self.input.contains(&b'\n');
            }
        }
    }

    /// The next whole line; `Some(None)` for one that is no request.
    fn next_request(&mut self) -> Option<Option<Request>> {
        let end = self.input.iter().position(|b| *b == b'\n')?;
        let request = serde_json::from_slice(&self.input[..end]).ok();
        self.input.drain(..=end);
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Some(request)
    }
}
