//! `roadstead image` where the engine is Docker: its daemon's images.

use std::path::Path;

use engine::RegistryAuth;
use engine::docker::Images;
use image::Reference;

use super::Command;
use crate::{
    advice::{Advise, fail},
    config::Config,
    output::say,
};

/// Runs one image command.
pub fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let images = Images::connect(&config.agent.docker_socket).await.map_err(said);
        let images =
            images.advise("`roadstead doctor --engine docker`, which says what the Docker daemon lacks")?;
        match command {
            Command::Load { file, name, cmd, environment } => {
                let name = name.as_deref().map(super::reference).transpose()?;
                load(&images, &file, name, cmd, environment).await
            }
            Command::Pull { image, username } => {
                let reference = super::reference(&image)?;
                let auth = match username {
                    Some(username) => Some(RegistryAuth { username, password: super::password()? }),
                    None => None,
                };
                let id = images.pull(&reference, auth.as_ref()).await.map_err(said)?;
                say!("pulled {} {id}", reference.familiar());
                Ok(())
            }
            Command::List => {
                super::heading();
                for image in images.list().await.map_err(said)? {
                    image.names.iter().for_each(|name| super::line(name, &image.id, image.bytes));
                }
                Ok(())
            }
            Command::Remove { image } => {
                let (untagged, deleted) = images.remove(&image).await.map_err(said)?;
                untagged.iter().for_each(|name| say!("untagged {name}"));
                deleted.iter().for_each(|digest| say!("deleted {digest}"));
                Ok(())
            }
        }
    })
}

async fn load(
    images: &Images,
    file: &Path,
    name: Option<Reference>,
    cmd: Option<String>,
    environment: Vec<String>,
) -> anyhow::Result<()> {
    let Some(cmd) = cmd else {
        let names = images.load(file, name.as_ref()).await.map_err(said)?;
        names.iter().for_each(|name| say!("loaded {name}"));
        return Ok(());
    };
    let Some(name) = name else {
        fail!("`--name NAME` too", "the Docker daemon takes no root file system without a name");
    };
    let words = serde_json::to_string(&super::words(&cmd)?)?;
    let quoted = |entry: &String| {
        entry.split_once('=').map(|(name, value)| (name.to_owned(), serde_json::json!(value)))
    };
    let mut changes = vec![format!("CMD {words}")];
    changes.extend(environment.iter().filter_map(quoted).map(|(name, value)| format!("ENV {name}={value}")));
    let id = images.import(file, &name, changes).await.map_err(said)?;
    say!("loaded {} {id}", name.familiar());
    Ok(())
}

/// What the daemon said; which step it was in is known here.
fn said(error: engine::Error) -> anyhow::Error {
    anyhow::anyhow!(error.message)
}
