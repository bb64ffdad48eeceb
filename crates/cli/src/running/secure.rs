//! The listener that takes TLS, where there is one, with what hangs on it: the certificate, which is kept good, and the desk
//! where hosts join.

use std::sync::Arc;

use anyhow::Context;
use server::{
    front_door::{FrontDoor, Listener, Names},
    join::{Desk, Tokens},
    keys::OperatorKeys,
    runtime,
    tls::Tls,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    advice::Advise,
    config::Config,
    data_dir::{Credentials, DataDir},
};

/// Binds the port and makes or reads the certificate, which is kept good until `stop`.
pub async fn open(
    config: &Config,
    dir: &DataDir,
    stop: &CancellationToken,
) -> anyhow::Result<Option<(TcpListener, Arc<Tls>)>> {
    let Some(listen) = config.tls.listen else { return Ok(None) };
    let tcp = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let source = config.tls.source(&config.server, &dir.tls());
    let tls = Tls::open(source, runtime::now())
        .context("there is no certificate for TLS")
        .advise("to mend the file that is named, or docs/joining.md")?;
    let tls = Arc::new(tls);
    tokio::spawn(tls.clone().keep(runtime::now, stop.clone()));
    Ok(Some((tcp, tls)))
}

/// By which names the control plane may be called, on either listener.
pub fn names(config: &Config) -> Names {
    let names = Names::new(config.server.listen.ip(), &config.server.names);
    match config.tls.listen {
        Some(listen) => names.and(listen.ip()),
        None => names,
    }
}

/// The front door with its listeners, and with the desk where there is TLS.
pub fn add(
    front: FrontDoor,
    plain: TcpListener,
    secure: Option<(TcpListener, Arc<Tls>)>,
    (config, dir): (&Config, &DataDir),
    credentials: &Credentials,
) -> (FrontDoor, Vec<Listener>) {
    let plain = Listener::from(plain);
    let Some((tcp, tls)) = secure else { return (front, vec![plain]) };
    let keys = OperatorKeys::new(&credentials.agent_key_master);
    let desk = Desk::new(Tokens::new(dir.tokens()), keys, tls.clone(), &config.server.cluster, runtime::now);
    (front.with_open(Arc::new(desk)), vec![plain, Listener::tls(tcp, tls)])
}
