//! `roadstead env`: what to set so that the AWS CLI and SDKs talk to a control plane here.

mod profile;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use server::{keys::KeyPair, runtime};

use crate::output::say;
use crate::{
    advice::fail,
    commands::up::Settings,
    config::Server,
    data_dir::{self, Credentials},
};

/// How long the control plane may take to say whether it serves us.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `roadstead env`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Write the profile NAME into the AWS files of the user (of the one who called sudo), and print only its name
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// How to talk to a control plane.
struct Access {
    endpoint: String,
    account: String,
    region: String,
    keys: KeyPair,
}

/// What the control plane says of the key pair that everybody knows.
enum Served {
    Yes,
    /// In its own words.
    No(String),
    /// It does not run, or something else has its port.
    Unknown,
}

/// Prints lines for `eval "$(roadstead env)"`.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    let credentials = data_dir::read_credentials(&config.data_dir);
    // Whose the profile is decides which key is served.
    let home = args.profile.as_deref().map(profile::enter).transpose()?;
    let server = config.server;
    let keys = keys(&server, credentials)?;
    let endpoint = format!("http://{}", reachable(server.listen));
    let access = Access { endpoint, account: server.account, region: server.region, keys };
    match (&args.profile, home) {
        (Some(name), Some(home)) => {
            let written = profile::write(name, &home, &access)?;
            let (config, credentials) = (written.config.display(), written.credentials.display());
            eprintln!("profile {name} is in {config} and {credentials}");
            say!("export AWS_PROFILE={name}");
        }
        _ => print(&access),
    }
    Ok(())
}

fn print(access: &Access) {
    say!("export AWS_ENDPOINT_URL={}", access.endpoint);
    say!("export AWS_ACCESS_KEY_ID={}", access.keys.access_key);
    say!("export AWS_SECRET_ACCESS_KEY={}", access.keys.secret);
    say!("export AWS_ACCOUNT_ID={}", access.account);
    say!("export AWS_DEFAULT_REGION={}", access.region);
    say!("export AWS_REGION={}", access.region);
}

/// The key pair that the control plane takes from who runs this.
fn keys(server: &Server, credentials: anyhow::Result<Credentials>) -> anyhow::Result<KeyPair> {
    if !server.listen.ip().is_loopback() {
        return Ok(credentials?.root);
    }
    let known = KeyPair { access_key: "test".to_owned(), secret: "test".to_owned() };
    match (ask(server.listen, &server.region, &known), credentials) {
        (Served::Yes | Served::Unknown, _) => Ok(known),
        (Served::No(_), Ok(keys)) => Ok(keys.root),
        (Served::No(why), Err(_)) => fail!(
            "the same with `sudo`, for the key pair in the data directory",
            "the control plane does not take test/test from you: {why}"
        ),
    }
}

/// An address to talk to: that of all addresses is none.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Asks with that key who we are: only the control plane knows whom it serves.
fn ask(listen: SocketAddr, region: &str, keys: &KeyPair) -> Served {
    match call(listen, region, keys) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Served::Yes,
        Ok(answer) => {
            match answer.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>")) {
                Some((why, _)) => Served::No(why.replace("&apos;", "'").replace("&#39;", "'")),
                None => Served::Unknown,
            }
        }
        Err(_) => Served::Unknown,
    }
}

/// GetCallerIdentity, and all of the answer.
fn call(listen: SocketAddr, region: &str, keys: &KeyPair) -> anyhow::Result<String> {
    const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
    let credentials = wire::sigv4::Credentials {
        access_key: keys.access_key.clone(),
        secret: keys.secret.clone(),
        token: None,
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_str(&listen.to_string())?);
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert("content-length", HeaderValue::from(BODY.len()));
    headers.insert("connection", HeaderValue::from_static("close"));
    let (target, scope) = (("POST", "/", ""), (region, "sts"));
    wire::sigv4::sign(target, &mut headers, BODY.as_bytes(), &credentials, scope, runtime::now())?;
    let mut request = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in &headers {
        request.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    let mut stream = TcpStream::connect_timeout(&listen, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request}\r\n{BODY}")?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
