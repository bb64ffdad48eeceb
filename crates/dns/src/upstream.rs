//! Who is asked for what is not known here: those that an operator names, or those of the host, as its `resolv.conf` has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::PORT;

/// Most servers that are asked in turn.
const SERVERS_MAX: usize = 8;
/// Between looks at the file.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Most bytes of the file.
const FILE_MAX: u64 = 64 << 10;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// These, in this order.
    Servers(Vec<SocketAddr>),
    /// The name servers of a file like `/etc/resolv.conf`; read again when it changes.
    File(PathBuf),
}

/// The servers of a `resolv.conf`. Without any it is this host's own, as the C library has it; one of IPv6 that is of one link
/// alone (`fe80::1%eth0`) is passed over.
pub fn servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let line = line.split(['#', ';']).next()?;
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, PORT))
    };
    let mut all: Vec<SocketAddr> = Vec::new();
    for server in text.lines().filter_map(server) {
        if !all.contains(&server) && all.len() < SERVERS_MAX {
            all.push(server);
        }
    }
    if all.is_empty() {
        all.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT));
    }
    all
}

/// The servers of the moment.
pub(crate) struct Servers {
    upstream: Upstream,
    now: Mutex<Now>,
}

struct Now {
    servers: Arc<Vec<SocketAddr>>,
    looked: Option<Instant>,
}

impl Servers {
    pub(crate) fn new(upstream: Upstream) -> Servers {
        let servers = match &upstream {
            Upstream::Servers(servers) => servers.iter().copied().take(SERVERS_MAX).collect(),
            Upstream::File(_) => Vec::new(),
        };
        Servers { upstream, now: Mutex::new(Now { servers: Arc::new(servers), looked: None }) }
    }

    /// Those to ask now, and whether they are others than before.
    pub(crate) async fn get(&self) -> (Arc<Vec<SocketAddr>>, bool) {
        let Upstream::File(path) = &self.upstream else { return (self.now.lock().servers.clone(), false) };
        {
            let mut now = self.now.lock();
            let began = Instant::now();
            if now.looked.is_some_and(|looked| began.duration_since(looked) < LOOK_AGAIN) {
                return (now.servers.clone(), false);
            }
            now.looked = Some(began);
        }
        let read = read(path).await;
        let mut now = self.now.lock();
        let found = match read {
            Ok(text) => servers(&text),
            // Somebody writes it anew: those that were there are better than none.
            Err(_) if !now.servers.is_empty() => return (now.servers.clone(), false),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the host's name servers are not known");
                servers("")
            }
        };
        let is_new = *now.servers != found;
        if is_new {
            tracing::info!(servers = ?found, "names are asked for there");
            now.servers = Arc::new(found);
        }
        (now.servers.clone(), is_new)
    }
}

async fn read(path: &PathBuf) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(FILE_MAX).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_the_c_library_reads_them() {
        for (text, expected) in [
            ("nameserver 10.0.0.53\nnameserver 2001:db8::1\n", &["10.0.0.53:53", "[2001:db8::1]:53"][..]),
            (
                "# nameserver 10.0.0.1\n ; x\nsearch a b\n\tnameserver\t10.0.0.2 # the other\n",
                &["10.0.0.2:53"],
            ),
            ("nameserver 10.0.0.1\nnameserver 10.0.0.1\n", &["10.0.0.1:53"]),
            ("nameserver fe80::1%eth0\nnameserver nonsense\nnameserver\n", &["127.0.0.1:53"]),
            ("nameservers 10.0.0.1\n", &["127.0.0.1:53"]),
            ("", &["127.0.0.1:53"]),
        ] {
            let found: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{text}");
        }
        let many: String = (0..50).map(|last| format!("nameserver 10.0.0.{last}\n")).collect();
        assert_eq!(servers(&many).len(), SERVERS_MAX);
    }

    #[tokio::test]
    async fn a_file_that_changes_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let servers = Servers::new(Upstream::File(path.clone()));
        let look = async || {
            servers.now.lock().looked = None;
            let (servers, is_new) = servers.get().await;
            (servers[0].ip().to_string(), is_new)
        };
        assert_eq!(look().await, ("127.0.0.1".to_owned(), true));
        std::fs::write(&path, "nameserver 10.0.0.1\n").unwrap();
        assert_eq!(look().await, ("10.0.0.1".to_owned(), true));
        assert_eq!(look().await, ("10.0.0.1".to_owned(), false));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look().await, ("10.0.0.1".to_owned(), false));
    }
}
