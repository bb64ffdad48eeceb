//! The resolver on loopback, with servers that do as a test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::zone::{Vpc, name};

/// A server, and how often it was asked.
struct Scripted {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Says one thing to datagrams and another to connections, at the same port; nothing is silence.
    async fn both(
        by_datagram: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static,
        by_stream: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Scripted {
        let (mut tasks, asked) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = tokio::net::UdpSocket::bind(address).await.unwrap();
        let count = asked.clone();
        tasks.spawn(async move {
            let mut buffer = [0; 2000];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                for reply in by_datagram(Message::from_vec(&buffer[..length]).unwrap()) {
                    socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut buffer = vec![0; usize::from(length)];
                stream.read_exact(&mut buffer).await.unwrap();
                for reply in by_stream(Message::from_vec(&buffer).unwrap()) {
                    let reply = reply.to_vec().unwrap();
                    stream.write_u16(reply.len() as u16).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            }
        });
        Scripted { address, asked, _tasks: tasks }
    }

    async fn start(script: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static) -> Scripted {
        Scripted::both(script, |_| Vec::new()).await
    }

    async fn says(reply: impl Fn(Message) -> Message + Send + Sync + 'static) -> Scripted {
        Scripted::start(move |asked| vec![reply(asked)]).await
    }

    async fn silent() -> Scripted {
        Scripted::start(|_| Vec::new()).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The answer with one address.
fn known(mut message: Message, last: u8, ttl: u32) -> Message {
    message.metadata.message_type = MessageType::Response;
    let name = message.queries[0].name().clone();
    message.add_answer(Record::from_rdata(name, ttl, RData::A(A(Ipv4Addr::new(192, 0, 2, last)))));
    message
}

fn failed(mut message: Message, code: ResponseCode) -> Message {
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    message
}

/// A resolver that asks these, and where it is asked.
struct Asked {
    service: Service,
    address: SocketAddr,
}

impl Asked {
    fn new(upstream: &[&Scripted], blocks: &str) -> Asked {
        let mut config = Config::new(Upstream::Servers(upstream.iter().map(|one| one.address).collect()));
        config.timers.attempt = Duration::from_millis(200);
        config.timers.patience = Duration::from_millis(700);
        let service = Service::new(config);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let vpc = Vpc::new("ec2.internal", [blocks.parse().unwrap()]).unwrap();
        service.serve("vpc-1", View { vpc, zones: Vec::new() }, vec![udp], vec![tcp]).unwrap();
        Asked { service, address }
    }

    async fn datagram(&self, question: &Message) -> Option<Message> {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        socket.send(&question.to_vec().unwrap()).await.unwrap();
        let mut buffer = [0; 4096];
        let length =
            tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await.ok()?.ok()?;
        Some(Message::from_vec(&buffer[..length]).unwrap())
    }

    /// What is said of a name: addresses with their TTLs, or the code.
    async fn ask(&self, text: &str) -> String {
        said(&self.datagram(&question(text, RecordType::A)).await.expect("an answer"))
    }
}

fn said(answer: &Message) -> String {
    match answer.answers.as_slice() {
        [] => answer.metadata.response_code.to_string(),
        records => records.iter().map(|r| format!("{} {}", r.data, r.ttl)).collect::<Vec<_>>().join(", "),
    }
}

fn question(text: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(text).unwrap(), kind));
    message
}

const FAILED: &str = "Server Failure";

#[tokio::test]
async fn what_is_known_needs_nobody_and_the_rest_is_asked_once() {
    let server = Scripted::says(|asked| known(asked, 1, 300)).await;
    let asked = Asked::new(&[&server], "127.0.0.0/8");
    assert_eq!(asked.ask("ip-127-0-0-9.ec2.internal").await, "127.0.0.9 60");
    assert_eq!(asked.ask("db.ec2.internal").await, "Non-Existent Domain");
    assert_eq!(server.asked(), 0);
    assert_eq!(asked.ask("a.example.com").await, "192.0.2.1 300");
    assert!(asked.ask("A.Example.com").await.starts_with("192.0.2.1 "));
    assert_eq!(server.asked(), 1);
    let mut not_recursive = question("b.example.com", RecordType::A);
    not_recursive.metadata.recursion_desired = false;
    assert_eq!(said(&asked.datagram(&not_recursive).await.unwrap()), "Query Refused");
    assert_eq!(server.asked(), 1);
    asked.service.close("vpc-1");
    assert!(asked.datagram(&question("a.example.com", RecordType::A)).await.is_none());
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_is_of_no_help() {
    let (silent, good) = (Scripted::silent().await, Scripted::says(|asked| known(asked, 2, 300)).await);
    let broken = Scripted::says(|asked| failed(asked, ResponseCode::ServFail)).await;
    let refusing = Scripted::says(|asked| failed(asked, ResponseCode::Refused)).await;
    let asked = Asked::new(&[&silent, &broken, &refusing, &good], "127.0.0.0/8");
    assert_eq!(asked.ask("a.example.com").await, "192.0.2.2 300");
    assert_eq!(asked.ask("b.example.com").await, "192.0.2.2 300");
    assert_eq!((silent.asked(), broken.asked(), refusing.asked(), good.asked()), (1, 1, 1, 2));
    let nobody = Asked::new(&[&silent, &broken], "127.0.0.0/8");
    assert_eq!(nobody.ask("a.example.com").await, FAILED);
    assert_eq!(Asked::new(&[], "127.0.0.0/8").ask("a.example.com").await, FAILED);
}

#[tokio::test]
async fn what_is_not_the_answer_is_passed_over() {
    let server = Scripted::start(|asked| {
        let mut number = known(asked.clone(), 66, 300);
        number.metadata.id ^= 0x5555;
        let mut other = known(asked.clone(), 66, 300);
        other.queries[0].name = name("evil.example.com").unwrap();
        vec![number, other, asked.clone(), known(asked, 1, 300)]
    })
    .await;
    let asked = Asked::new(&[&server], "127.0.0.0/8");
    assert_eq!(asked.ask("a.example.com").await, "192.0.2.1 300");
}

#[tokio::test]
async fn what_does_not_fit_goes_by_a_connection_both_ways() {
    let long = |mut message: Message| {
        message.metadata.message_type = MessageType::Response;
        let name = message.queries[0].name().clone();
        for number in 0..40 {
            let text = TXT::new(vec![format!("{number:0200}")]);
            message.add_answer(Record::from_rdata(name.clone(), 300, RData::TXT(text)));
        }
        message
    };
    let cut = |asked: Message| {
        let mut reply = failed(asked, ResponseCode::NoError);
        reply.metadata.truncation = true;
        vec![reply]
    };
    let server = Scripted::both(cut, move |asked| vec![long(asked)]).await;
    let asked = Asked::new(&[&server], "127.0.0.0/8");
    let mut wanted = question("long.example.com", RecordType::TXT);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    wanted.set_edns(edns);
    let short = asked.datagram(&wanted).await.unwrap();
    assert!(short.metadata.truncation && short.answers.is_empty());
    let mut stream = tokio::net::TcpStream::connect(asked.address).await.unwrap();
    for _ in 0..2 {
        let bytes = wanted.to_vec().unwrap();
        stream.write_u16(bytes.len() as u16).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!((reply.answers.len(), reply.metadata.truncation), (40, false));
    }
    assert_eq!(server.asked(), 1);
    // One that is longer than any question ends the connection.
    stream.write_u16(60_000).await.unwrap();
    assert!(stream.read_u16().await.is_err());
}

#[tokio::test]
async fn what_is_too_old_is_said_where_nobody_answers() {
    let count = Arc::new(AtomicUsize::new(0));
    let server = Scripted::start(move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        0 => vec![known(asked, 1, 1)],
        _ => Vec::new(),
    })
    .await;
    let asked = Asked::new(&[&server], "127.0.0.0/8");
    assert_eq!(asked.ask("a.example.com").await, "192.0.2.1 1");
    let began = Instant::now();
    while asked.ask("a.example.com").await != "192.0.2.1 30" {
        assert!(began.elapsed() < Duration::from_secs(20));
        // Who asks all the time is not heard.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(server.asked() > 1);
}

#[tokio::test]
async fn many_that_ask_the_same_ask_once() {
    let server = Scripted::says(|asked| known(asked, 1, 300)).await;
    let asked = Arc::new(Asked::new(&[&server], "127.0.0.0/8"));
    let all: Vec<_> = (0..20)
        .map(|_| {
            let asked = asked.clone();
            tokio::spawn(async move { asked.ask("a.example.com").await })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap().starts_with("192.0.2.1 "));
    }
    assert_eq!((server.asked(), asked.service.shared.flights.lock().len()), (1, 0));
}

#[tokio::test]
async fn a_question_that_comes_back_to_us_ends() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let mut config = Config::new(Upstream::Servers(vec![address]));
    config.timers.attempt = Duration::from_millis(100);
    config.timers.patience = Duration::from_millis(300);
    let service = Service::new(config);
    let vpc = Vpc::new("ec2.internal", ["127.0.0.0/8".parse().unwrap()]).unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    service.serve("vpc-1", View { vpc, zones: Vec::new() }, vec![udp], vec![tcp]).unwrap();
    assert_eq!(Asked { service, address }.ask("a.example.com").await, FAILED);
}

#[tokio::test]
async fn strangers_are_not_heard() {
    let server = Scripted::says(|asked| known(asked, 1, 300)).await;
    let asked = Asked::new(&[&server], "10.0.0.0/8");
    assert!(asked.datagram(&question("a.example.com", RecordType::A)).await.is_none());
    let mut stream = tokio::net::TcpStream::connect(asked.address).await.unwrap();
    assert!(stream.read_u16().await.is_err());
    assert_eq!(server.asked(), 0);
}
