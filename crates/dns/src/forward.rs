//! Asking others. Each question goes out by a socket of its own, whose port the kernel draws and which hears that server alone, with a
//! number drawn for it; what comes and does not say the question again is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use crate::message::{DATAGRAM_MAX, Heard, Question, Sent};
use crate::zone::Answer;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it does not answer")]
    Silent,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("its answer cannot be read")]
    Broken,
    #[error("it says {0}")]
    Failed(ResponseCode),
}

/// An answer, and how many bytes it had.
pub(crate) type Outcome = Result<(Answer, usize), Error>;

/// Asks servers in turn, the `first` of them first, again and again until there is an answer or `until` is past. Answers which it was.
pub(crate) async fn ask(
    servers: &[SocketAddr],
    first: usize,
    question: &Question,
    attempt: Duration,
    until: Instant,
) -> (usize, Outcome) {
    let mut outcome = Err(Error::Silent);
    let mut at = first;
    // What refuses at once is asked twice, and no more.
    for _ in 0..servers.len().saturating_mul(2) {
        let Some(server) = servers.get(at % servers.len().max(1)) else { break };
        let now = Instant::now();
        if now >= until {
            break;
        }
        let tried = exchange(*server, question, (now + attempt).min(until)).await;
        match tried {
            Ok(answer) => return (at % servers.len(), Ok(answer)),
            Err(error) => {
                tracing::debug!(%server, name = %question.name, %error, "a name server is of no help");
                outcome = Err(error);
            }
        }
        at += 1;
    }
    (at % servers.len().max(1), outcome)
}

async fn exchange(server: SocketAddr, question: &Question, until: Instant) -> Outcome {
    let sent = Sent::new(question);
    let by_datagram = timeout_at(until, datagram(server, &sent)).await.unwrap_or(Err(Error::Silent))?;
    let (answer, bytes) = match by_datagram {
        Some(answer) => answer,
        None => timeout_at(until, stream(server, &sent)).await.unwrap_or(Err(Error::Silent))?,
    };
    match answer.code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok((answer, bytes)),
        code => Err(Error::Failed(code)),
    }
}

/// None where the answer does not fit.
async fn datagram(server: SocketAddr, sent: &Sent) -> Result<Option<(Answer, usize)>, Error> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&sent.bytes).await?;
    // A byte more than it may have, so that one that is longer is seen to be.
    let mut buffer = vec![0; usize::from(DATAGRAM_MAX) + 1];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match sent.hear(buffer.get(..length).unwrap_or_default()) {
            Heard::Nothing => {}
            Heard::Broken if length > usize::from(DATAGRAM_MAX) => return Ok(None),
            Heard::Broken => return Err(Error::Broken),
            Heard::Truncated => return Ok(None),
            Heard::Answer(answer) => return Ok(Some((answer, length))),
        }
    }
}

async fn stream(server: SocketAddr, sent: &Sent) -> Outcome {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(sent.bytes.len()).map_err(|_| Error::Broken)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&sent.bytes);
    stream.write_all(&framed).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut buffer = vec![0; length];
    stream.read_exact(&mut buffer).await?;
    match sent.hear(&buffer) {
        Heard::Answer(answer) => Ok((answer, length)),
        Heard::Nothing | Heard::Broken | Heard::Truncated => Err(Error::Broken),
    }
}
