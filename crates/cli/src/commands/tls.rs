//! `roadstead tls`: the CA of a control plane that runs or does not, and its replacement.

use std::time::Duration;

use agent_protocol::join::fingerprint;
use anyhow::Context;
use clap::Subcommand;
use server::{
    runtime::now,
    tls::{
        Source, Tls,
        authority::{Authority, CERTIFICATES, OVERLAP},
    },
};

use crate::{
    advice::{Advise, fail},
    commands::up::Settings,
    data_dir, length,
    output::say,
};

/// Between two connections of an agent there is half an hour, and a sixth of it.
const RECONNECTS: Duration = Duration::from_secs(35 * 60);

/// Arguments of `roadstead tls`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say by which CAs the control plane is known, and which one signs
    Show,
    /// Have another CA take over: agents that connect until then hear of it. Again, it says anew when
    Rotate {
        /// For how long the new CA is told before it signs: 12h, 30d, or 0s at once
        #[arg(long, value_name = "LENGTH", value_parser = length::parse)]
        overlap: Option<Duration>,
    },
}

/// Carries it out.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    data_dir::read_credentials(&config.data_dir)?;
    let source = config.tls.source(&config.server, &data_dir::tls(&config.data_dir));
    match (args.action, source) {
        (Action::Show, Source::Own { dir, .. }) => {
            let authority = Authority::read(&dir)?.context("the control plane has no CA yet");
            let authority = authority.advise("to start the control plane with tls.listen once")?;
            say!("certificates={}", dir.join(CERTIFICATES).display());
            for one in authority.tell(now())? {
                let (from, until) = (one.signs_from.to_iso8601(), one.not_after.to_iso8601());
                let signs = if one.signs { "signs".to_owned() } else { format!("signs from {from}") };
                say!("{} {signs}, good until {until}", one.fingerprint);
            }
        }
        (Action::Show, files) => {
            let tls = Tls::open(files, now()).context("the certificate cannot be used")?;
            let (from, until) = tls.good();
            say!("certificate good from {} until {}", from.to_iso8601(), until.to_iso8601());
            tls.bundle().certificates().iter().for_each(|der| say!("{} trusted", fingerprint(der)));
        }
        (Action::Rotate { overlap }, Source::Own { dir, .. }) => {
            let overlap = overlap.unwrap_or(OVERLAP);
            let at = Authority::rotate(&dir, overlap, now())
                .advise("to start the control plane with tls.listen once")?;
            say!("another CA signs from {}", at.to_iso8601());
            if overlap < RECONNECTS {
                eprintln!(
                    "an agent that does not connect until then has to join again, or be given {CERTIFICATES}"
                );
            }
        }
        (Action::Rotate { .. }, _) => fail!(
            "to put another certificate into these files; docs/joining.md says how agents follow",
            "the certificate is in files of yours, and so is its CA"
        ),
    }
    Ok(())
}
