//! `roadstead env`: what to set so that the AWS CLI and SDKs talk to a control plane here.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::bail;
use http::{HeaderMap, HeaderValue};
use server::{driver, keys::KeyPair};

use crate::output::say;
use crate::{commands::up::Settings, data_dir};

/// How long the control plane may take to say whether it serves us.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `roadstead env`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
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
    let server = &config.server;
    let keys = if server.listen.ip().is_loopback() {
        let known = KeyPair { access_key: "test".to_owned(), secret: "test".to_owned() };
        match (ask(server.listen, &server.region, &known), data_dir::read_credentials(&config.data_dir)) {
            (Served::Yes | Served::Unknown, _) => known,
            (Served::No(_), Ok(keys)) => keys.root,
            (Served::No(why), Err(_)) => bail!("the control plane does not take test/test from you: {why}"),
        }
    } else {
        data_dir::read_credentials(&config.data_dir)?.root
    };
    say!("export AWS_ENDPOINT_URL=http://{}", server.listen);
    say!("export AWS_ACCESS_KEY_ID={}", keys.access_key);
    say!("export AWS_SECRET_ACCESS_KEY={}", keys.secret);
    say!("export AWS_DEFAULT_REGION={}", server.region);
    say!("export AWS_REGION={}", server.region);
    Ok(())
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
    wire::sigv4::sign(target, &mut headers, BODY.as_bytes(), &credentials, scope, driver::now())?;
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
