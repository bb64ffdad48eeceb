//! `roadstead env`: what to set so that the AWS CLI and SDKs talk to a control plane here.

mod profile;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use server::{
    keys::{KNOWN, KeyPair},
    runtime,
};

use crate::output::say;
use crate::{
    advice::fail,
    commands::up::Settings,
    config::Config,
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
    /// As the administrator of this account.
    Yes(String),
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
    let keys = keys(&config, args.settings.names_account(), credentials)?;
    let server = config.server;
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

/// The key pair that the control plane takes from who runs this, for the account that is wanted. `named`: a flag says
/// which, so that it may be another than the control plane's own.
fn keys(config: &Config, named: bool, credentials: anyhow::Result<Credentials>) -> anyhow::Result<KeyPair> {
    let (server, account) = (&config.server, config.server.account.as_str());
    if let Some(found) = config.accounts.iter().find(|found| found.id == account) {
        return Ok(KeyPair { access_key: found.access_key.clone(), secret: found.secret.clone() });
    }
    let ask = |keys: &KeyPair| ask(server.listen, &server.region, keys);
    if server.listen.ip().is_loopback() {
        let known =
            |access_key: &str| KeyPair { access_key: access_key.to_owned(), secret: KNOWN.to_owned() };
        match (ask(&known(KNOWN)), &credentials) {
            // Of every account its number is the key, too.
            (Served::Yes(found), _) if found != account => return Ok(known(account)),
            (Served::Unknown, _) if named => return Ok(known(account)),
            (Served::Yes(_) | Served::Unknown, _) => return Ok(known(KNOWN)),
            (Served::No(_), Ok(_)) => {}
            (Served::No(why), Err(_)) => fail!(
                "the same with `sudo`, for the key pair in the data directory",
                "the control plane does not take test/test from you: {why}"
            ),
        }
    }
    let root = credentials?.root;
    match ask(&root) {
        Served::Yes(found) if found != account => fail!(
            "a section `[[accounts]]` in the configuration, and `--config` with that file (docs/configuration.md)",
            "the key pair in the data directory is the administrator's of {found}; there is none for {account}"
        ),
        _ => Ok(root),
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
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
            element(&answer, "Account").map_or(Served::Unknown, |found| Served::Yes(found.to_owned()))
        }
        Ok(answer) => match element(&answer, "Message") {
            Some(why) => Served::No(why.replace("&apos;", "'").replace("&#39;", "'")),
            None => Served::Unknown,
        },
        Err(_) => Served::Unknown,
    }
}

/// The text of the first such element of an XML document.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
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
