//! Whose a connection from this very host is. Only the kernel is asked, about the client's own socket: which user
//! made it, in which control group, and which process holds it. Whatever cannot be told is a no. It is asked once a
//! connection, and only where a key is used that everybody knows.

mod diag;
mod process;

use std::collections::BTreeSet;

use crate::front_door::{Ends, Peers};

/// Why a connection is none of the users'.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the kernel does not say whose this connection is ({0})")]
    Unknown(String),
    #[error("this connection is closed on the client's side")]
    Gone,
    #[error("this connection belongs to user {0}")]
    User(u32),
    #[error("this connection was made in a container ({0})")]
    Contained(String),
    #[error("no process that can be seen here holds this connection")]
    NoProcess,
}

/// The users of this host whom the known key pair serves, outside of containers.
pub struct LocalUsers {
    users: BTreeSet<u32>,
}

impl LocalUsers {
    /// These users, by their numbers.
    pub fn new(users: impl IntoIterator<Item = u32>) -> Self {
        Self { users: users.into_iter().collect() }
    }

    fn check(&self, ends: &Ends) -> Result<(), Error> {
        let client = diag::client(ends)?;
        if !self.users.contains(&client.user) {
            return Err(Error::User(client.user));
        }
        process::outside_containers(&client)?;
        // All that was found is about the socket at the other end only if that one is still there: with it gone,
        // another one may have taken its place in the meantime.
        diag::is_open(ends)
    }
}

/// Whether the kernel says whose a connection is: by one to ourselves. What it answers otherwise is the error.
pub fn check_kernel() -> Result<(), String> {
    let tried = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let client = std::net::TcpStream::connect(listener.local_addr()?)?;
        let ends = Ends { peer: client.local_addr()?, local: client.peer_addr()?, cookie: 0 };
        std::io::Result::Ok((listener, client, ends))
    };
    let (_listener, _client, ends) = tried().map_err(|error| error.to_string())?;
    diag::client(&ends).map(drop).map_err(|error| error.to_string())
}

impl Peers for LocalUsers {
    fn admit(&self, ends: &Ends) -> Result<(), String> {
        self.check(ends).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
