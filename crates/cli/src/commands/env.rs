//! `roadstead env`: what to set so that the AWS CLI and SDKs talk to a control plane here.

use crate::output::say;
use crate::{commands::up::Settings, data_dir};

/// Arguments of `roadstead env`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Prints lines for `eval "$(roadstead env)"`.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    let server = &config.server;
    let (key, secret) = if server.listen.ip().is_loopback() {
        ("test".to_owned(), "test".to_owned())
    } else {
        let keys = data_dir::read_credentials(&config.data_dir)?;
        (keys.root.access_key, keys.root.secret)
    };
    say!("export AWS_ENDPOINT_URL=http://{}", server.listen);
    say!("export AWS_ACCESS_KEY_ID={key}");
    say!("export AWS_SECRET_ACCESS_KEY={secret}");
    say!("export AWS_DEFAULT_REGION={}", server.region);
    say!("export AWS_REGION={}", server.region);
    Ok(())
}
