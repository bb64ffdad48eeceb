//! `roadstead image`: images on this host. Works beside a running agent.

mod docker;

use crate::output::say;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use image::{Auth, LoadOptions, PullOptions, Reference, RootfsOptions, Store};

use crate::{
    advice::Advise,
    commands::up::Settings,
    config::{self, Config},
    progress::Shown,
};

/// Arguments of `roadstead image`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take in an OCI layout, a Docker archive, or (with --cmd) the tar of a root filesystem
    Load {
        /// A tar, which may be compressed, or the folder of an OCI layout
        file: PathBuf,
        /// The image's name; without it, the names that the archive states
        #[arg(long)]
        name: Option<String>,
        /// FILE is a root filesystem, and this is what its containers run: a JSON list of words, or a line for /bin/sh
        #[arg(long)]
        cmd: Option<String>,
        /// Environment of its containers, NAME=VALUE; may be repeated
        #[arg(long = "env", value_name = "NAME=VALUE", requires = "cmd")]
        environment: Vec<String>,
    },
    /// Fetch an image from its registry
    Pull {
        /// Such as nginx, registry.example:5000/app:2 or app@sha256:…
        image: String,
        /// The registry's user; the password is read from ROADSTEAD_REGISTRY_PASSWORD
        #[arg(long)]
        username: Option<String>,
    },
    /// List the images that are here
    List,
    /// Forget a name; the image goes with its last one
    Remove {
        /// A name or digest
        image: String,
    },
}

/// Runs one image command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.config()?;
    if config.agent.engine == config::DOCKER {
        return docker::run(&config, args.command);
    }
    let store = open(&config)?;
    match args.command {
        Command::Load { file, name, cmd, environment } => {
            let name = name.as_deref().map(reference).transpose()?;
            let rootfs = cmd.map(|cmd| rootfs(&cmd, environment)).transpose()?;
            let shown = Shown::new();
            let loaded = store.load(&file, &LoadOptions { name, rootfs, progress: Some(shown.listener()) });
            drop(shown);
            for image in loaded? {
                say!("loaded {} {}", image.names.first().map_or("(no name)", |n| n), image.digest);
            }
        }
        Command::Pull { image, username } => pull(&config, &store, &image, username)?,
        Command::List => list(&store)?,
        Command::Remove { image } => {
            if image.parse::<image::Digest>().is_err() {
                reference(&image)?;
            }
            let removed = store.remove(&image)?;
            removed.untagged.iter().for_each(|name| say!("untagged {name}"));
            removed.deleted.iter().for_each(|digest| say!("deleted {digest}"));
        }
    }
    Ok(())
}

fn reference(name: &str) -> anyhow::Result<Reference> {
    let read = name.parse::<Reference>();
    read.advise("the spelling of `nginx`, `nginx:1.27`, `registry.example:5000/app:2` or `app@sha256:…`")
}

/// The host's images.
pub fn open(config: &Config) -> anyhow::Result<Store> {
    let root = config.data_dir.join("images");
    crate::data_dir::claim(&config.data_dir)?;
    Store::open(&root).with_context(|| format!("cannot open the images in {}", root.display()))
}

fn rootfs(cmd: &str, env: Vec<String>) -> anyhow::Result<RootfsOptions> {
    Ok(RootfsOptions { config: image::Config { cmd: words(cmd)?, env, ..Default::default() } })
}

/// What `--cmd` says: a JSON list of words, a word, or a line for a shell.
fn words(cmd: &str) -> anyhow::Result<Vec<String>> {
    Ok(match cmd.starts_with('[') {
        true => serde_json::from_str(cmd)
            .context("--cmd is not a JSON list of words")
            .advise("--cmd '[\"/bin/server\", \"--port\", \"80\"]'")?,
        false if cmd.contains(char::is_whitespace) => ["/bin/sh", "-c", cmd].map(str::to_owned).to_vec(),
        false => vec![cmd.to_owned()],
    })
}

fn password() -> anyhow::Result<String> {
    std::env::var("ROADSTEAD_REGISTRY_PASSWORD")
        .context("the password is read from ROADSTEAD_REGISTRY_PASSWORD")
        .advise("`ROADSTEAD_REGISTRY_PASSWORD=… roadstead image pull --username NAME IMAGE`")
}

fn pull(config: &Config, store: &Store, image: &str, username: Option<String>) -> anyhow::Result<()> {
    let reference = reference(image)?;
    let auth = match username {
        Some(username) => Auth::Basic { username, password: password()? },
        None => Auth::Anonymous,
    };
    let shown = Shown::new();
    let options = PullOptions {
        auth,
        insecure_registries: config.images.insecure_registries.clone(),
        progress: Some(shown.listener()),
        ..PullOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pulled = runtime.block_on(store.pull(&reference, &options));
    drop(shown);
    let image = pulled?;
    say!("pulled {} {}", reference.familiar(), image.digest);
    Ok(())
}

fn list(store: &Store) -> anyhow::Result<()> {
    heading();
    for image in store.list()? {
        let digest = image.digest.to_string();
        for name in image.names.iter().filter(|name| !name.contains('@')) {
            line(name, &digest, image.size());
        }
    }
    Ok(())
}

fn heading() {
    say!("{:<50} {:<22} {:>12}", "NAME", "DIGEST", "BYTES");
}

fn line(name: &str, digest: &str, bytes: u64) {
    let short = digest.get(..19).unwrap_or(digest);
    say!("{name:<50} {short:<22} {bytes:>12}");
}
