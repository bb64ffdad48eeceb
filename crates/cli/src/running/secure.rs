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

/// The port and the certificate; nothing where there is no TLS.
pub struct Secure(Option<(TcpListener, Arc<Tls>)>);

/// Binds the port and makes or reads the certificate, which is kept good until `stop`.
pub async fn open(config: &Config, dir: &DataDir, stop: &CancellationToken) -> anyhow::Result<Secure> {
    let Some(listen) = config.tls.listen else { return Ok(Secure(None)) };
    let tcp = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let source = config.tls.source(&config.server, &dir.tls());
    let tls = Tls::open(source, runtime::now())
        .context("there is no certificate for TLS")
        .advise("to mend the file that is named, or docs/joining.md")?;
    let tls = Arc::new(tls);
    tokio::spawn(tls.clone().keep(runtime::now, stop.clone()));
    Ok(Secure(Some((tcp, tls))))
}

/// By which names the control plane may be called, on either listener.
pub fn names(config: &Config) -> Names {
    let names = Names::new(config.server.listen.ip(), &config.server.names);
    match config.tls.listen {
        Some(listen) => names.and(listen.ip()),
        None => names,
    }
}

impl Secure {
    /// The certificate.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.0.as_ref().map(|(_, tls)| tls.clone())
    }

    /// Serves a front door on both listeners until `stop`, with the desk where there is TLS.
    pub fn serve(
        self,
        front: FrontDoor,
        plain: TcpListener,
        (config, dir): (&Config, &DataDir),
        credentials: &Credentials,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let plain = Listener::from(plain);
        let Some((tcp, tls)) = self.0 else { return Arc::new(front).serve(vec![plain], stop.clone()) };
        let keys = OperatorKeys::new(&credentials.agent_key_master);
        let tokens = Tokens::new(dir.tokens());
        let desk = Desk::new(tokens, keys, tls.clone(), &config.server.cluster, runtime::now);
        let front = front.with_open(Arc::new(desk));
        Arc::new(front).serve(vec![plain, Listener::tls(tcp, tls)], stop.clone())
    }
}
