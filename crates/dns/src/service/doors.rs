//! The sockets: datagrams, and connections with a length before each message (RFC 7766).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::room::Room;
use crate::message::{self, Asked, NoQuestion, QUESTION_MAX};
use crate::zone::{Answer, View};

/// Connections of one listener at once.
const CONNECTIONS_MAX: usize = 256;
/// Questions of one socket that wait for others at once.
const WAITING_MAX: usize = 1_024;
/// After an error of a socket, which need not be its last.
const BREATH: Duration = Duration::from_millis(20);

/// Where questions of one VPC are answered.
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) view: View,
    pub(super) room: Arc<Room>,
}

/// What is to be done with a question.
enum Next {
    Nothing,
    Say(Vec<u8>),
    FindOut(Asked),
}

impl Desk {
    /// Whether whoever has this address is heard here.
    fn admits(&self, who: IpAddr) -> bool {
        matches!(who, IpAddr::V4(who) if self.view.vpc.contains(who))
    }

    fn hear(&self, bytes: &[u8], who: IpAddr, is_datagram: bool) -> Next {
        if !self.admits(who) || !self.room.hears(who, Instant::now()) {
            return Next::Nothing;
        }
        match message::read(bytes) {
            Err(NoQuestion::Silence) => Next::Nothing,
            Err(NoQuestion::Reply(reply)) => Next::Say(reply),
            Ok(asked) => match self.shared.known(&self.view, &asked) {
                Some(answer) => Next::Say(asked.answer(&answer, is_datagram)),
                None => Next::FindOut(asked),
            },
        }
    }

    async fn find_out(&self, asked: &Asked, who: IpAddr, is_datagram: bool) -> Vec<u8> {
        let answer = match self.room.wait(who) {
            Some(_place) => self.shared.found_out(&asked.question).await,
            None => Answer::failed(ResponseCode::ServFail),
        };
        asked.answer(&answer, is_datagram)
    }
}

/// Answers datagrams until it is dropped.
pub(super) async fn datagrams(desk: Arc<Desk>, socket: Arc<UdpSocket>) {
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; QUESTION_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_) = waiting.join_next() => continue,
        };
        let Ok((length, from)) = received else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        match desk.hear(buffer.get(..length).unwrap_or_default(), from.ip(), true) {
            Next::Nothing => {}
            // Who does not get it asks again.
            Next::Say(reply) => drop(socket.try_send_to(&reply, from)),
            Next::FindOut(_) if waiting.len() >= WAITING_MAX => {}
            Next::FindOut(asked) => {
                let (desk, socket) = (desk.clone(), socket.clone());
                waiting.spawn(async move {
                    let reply = desk.find_out(&asked, from.ip(), true).await;
                    drop(socket.send_to(&reply, from).await);
                });
            }
        }
    }
}

/// Answers on connections until it is dropped.
pub(super) async fn connections(desk: Arc<Desk>, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => accepted,
            Some(_) = open.join_next() => continue,
        };
        match accepted {
            Ok((stream, from)) if desk.admits(from.ip()) => {
                open.spawn(connection(desk.clone(), stream, from));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// One question after the other, until there is none for a while.
async fn connection(desk: Arc<Desk>, mut stream: TcpStream, from: SocketAddr) {
    let Some(_place) = desk.room.connect(from.ip()) else { return };
    let idle = desk.shared.timers.idle;
    let mut buffer = vec![0; QUESTION_MAX];
    while let Ok(Ok(length)) = timeout(idle, stream.read_u16()).await {
        let Some(question) = buffer.get_mut(..usize::from(length)) else { return };
        if !matches!(timeout(idle, stream.read_exact(question)).await, Ok(Ok(_))) {
            return;
        }
        let reply = match desk.hear(question, from.ip(), false) {
            Next::Nothing => return,
            Next::Say(reply) => reply,
            Next::FindOut(asked) => desk.find_out(&asked, from.ip(), false).await,
        };
        let Ok(length) = u16::try_from(reply.len()) else { return };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        if !matches!(timeout(idle, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}
