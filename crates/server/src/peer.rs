//! Whose a connection from this very host is. Only the kernel is asked, about the client's own socket: which user
//! made it, in which control group, and which process holds it. Whatever cannot be told is a no. It is asked once a
//! connection, and only where a key is used that everybody knows. Which process holds it costs as much as the host
//! has processes, so that waits for a turn ([`turns`]); the kernel says the rest at once.

mod diag;
mod process;
mod turns;

use async_trait::async_trait;

use crate::front_door::{Ends, Peers};
use turns::Turns;

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
    turns: Turns,
}

impl LocalUsers {
    /// These users, by their numbers.
    pub fn new(users: impl IntoIterator<Item = u32>) -> Self {
        Self { turns: Turns::new(users) }
    }

    async fn check(&self, ends: Ends) -> Result<(), Error> {
        let client = diag::client(&ends)?;
        let user = client.user;
        if !self.turns.has(user) {
            return Err(Error::User(user));
        }
        process::made_outside_containers(&client)?;
        let look = move || {
            // Nobody waits for what is said of a client that has left meanwhile.
            diag::is_open(&ends)?;
            process::held_outside_containers(&client)?;
            // All that was found is about the socket at the other end only if that one is still there: with it gone,
            // another one may have taken its place in the meantime.
            diag::is_open(&ends)
        };
        self.turns.take(user, look).await
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

#[async_trait]
impl Peers for LocalUsers {
    async fn admit(&self, ends: &Ends) -> Result<(), String> {
        self.check(*ends).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
