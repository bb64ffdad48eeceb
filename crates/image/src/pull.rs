//! Images from registries.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::limits::Patience;
use crate::manifest::{Configuration, Descriptor, chain_ids};
use crate::progress::{Listener, Tracker};
use crate::store::install::Draft;
use crate::store::lock::FileLock;
use crate::unpack::allowance::Allowance;
use crate::{Digest, Error, Image, Layer, Origin, Reference, Result, Store, limits};
use client::{Client, Resolved};

mod auth;
mod client;
mod download;
mod transport;
mod words;

/// Who asks the registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user; also what a registry's token server is told.
    Basic {
        /// The user's name (`AWS` for ECR).
        username: String,
        /// The password or access token.
        password: String,
    },
    /// A token for the registry itself.
    Bearer(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(f, "Basic({username})"),
            Self::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

/// How to pull.
#[derive(Clone, Default)]
pub struct PullOptions {
    /// Who asks.
    pub auth: Auth,
    /// Registries (`host` or `host:port`) that are asked over plain HTTP. Loopback ones always are
    /// when they do not speak TLS.
    pub insecure_registries: Vec<String>,
    /// Certificate authorities beside the system's, in PEM.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// How long the registry is waited for.
    pub patience: Patience,
    /// Told how far the pull is.
    pub progress: Option<Listener>,
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("auth", &self.auth)
            .field("insecure_registries", &self.insecure_registries)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes the image that `reference` names present, as its registry has it now, and returns it.
    ///
    /// Dropping the future leaves what was downloaded, and the next pull goes on from there.
    ///
    /// # Errors
    /// By kind: [`crate::Kind`]. The words follow Docker's.
    pub async fn pull(&self, reference: &Reference, options: &PullOptions) -> Result<Arc<Image>> {
        Ok(self.pull_resolved(reference, options).await?.0)
    }

    /// Likewise, with the digest that the reference was resolved to: of its index where it is for several platforms.
    ///
    /// # Errors
    /// By kind: [`crate::Kind`]. The words follow Docker's.
    pub async fn pull_resolved(
        &self,
        reference: &Reference,
        options: &PullOptions,
    ) -> Result<(Arc<Image>, Digest)> {
        let patience = options.patience.pull;
        match tokio::time::timeout(patience, self.pull_now(reference, options)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Network(format!("pulling {reference} took over {patience:?}"))),
        }
    }

    async fn pull_now(&self, reference: &Reference, options: &PullOptions) -> Result<(Arc<Image>, Digest)> {
        let activity = Arc::new(self.activity()?);
        let client = Client::connect(reference, options).await?;
        let Resolved { target, digest, manifest } = client.resolve().await?;
        let names =
            [reference.canonical(), reference.at(&target).canonical(), reference.at(&digest).canonical()];
        let configuration = client.blob(&manifest.config, limits::CONFIG_BYTES_MAX).await?;
        let configuration = Configuration::parse(&configuration)?;
        let diff_ids = &configuration.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (has, says) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::Invalid(format!(
                "the image has {has} layers, but its configuration says {says}"
            )));
        }
        let layers = self.pull_layers(&activity, client, &manifest.layers, diff_ids, options).await?;
        let draft = Draft {
            digest,
            id: manifest.config.digest,
            configuration,
            names: names.to_vec(),
            origin: Origin::Pulled,
        };
        let store = self.clone();
        in_background(move || {
            let filed = store.file_image(draft, layers);
            drop(activity);
            Ok((filed?, target))
        })
        .await
    }

    /// The layers, bottom first: downloads run side by side, and each is unpacked when it and all below
    /// it are here.
    async fn pull_layers(
        &self,
        activity: &Arc<FileLock>,
        client: Client,
        blobs: &[Descriptor],
        diff_ids: &[Digest],
        options: &PullOptions,
    ) -> Result<Vec<Layer>> {
        let mut missing = Vec::new();
        for (blob, chain) in blobs.iter().zip(chain_ids(diff_ids)) {
            let is_missing = self.layer(&chain)?.is_none();
            missing.push(is_missing.then(|| Missing { blob: blob.clone(), chain }));
        }
        let size = |missing: &Option<Missing>| missing.as_ref().map_or(0, |missing| missing.blob.size);
        let sizes: Vec<u64> = missing.iter().map(size).collect();
        let tracker = Tracker::new(&sizes, options.progress.clone());
        let (downloads, mut arrivals) = self.start_downloads(client, missing, activity, &tracker);

        let (store, activity) = (self.clone(), activity.clone());
        let (blobs, diff_ids) = (blobs.to_vec(), diff_ids.to_vec());
        let layers = in_background(move || {
            // The sweep must not come while this thread unpacks, even when nobody waits for it any more.
            let _activity = activity;
            let open = |i: usize| arrivals[i].take().map_or_else(|| Err(given_up()), wait_for);
            let allowance = Allowance::by_reading(&store.path("layers"));
            let layers = store.unpack_layers(&diff_ids, &allowance, open, |i| tracker.layer_done(i))?;
            blobs.iter().try_for_each(|blob| store.forget_download(&blob.digest))?;
            Ok(layers)
        })
        .await;
        // Until here, dropping this future ends the downloads, and thereby the thread that waits for them.
        drop(downloads);
        layers
    }

    /// A task for each layer that is missing, and where each will hand over its file.
    fn start_downloads(
        &self,
        client: Client,
        missing: Vec<Option<Missing>>,
        activity: &Arc<FileLock>,
        tracker: &Arc<Tracker>,
    ) -> (JoinSet<()>, Vec<Option<Arrival>>) {
        let client = Arc::new(client);
        let turns = Arc::new(Semaphore::new(limits::PARALLEL_DOWNLOADS));
        let mut downloads = JoinSet::new();
        let mut arrivals = Vec::new();
        for (index, wanted) in missing.into_iter().enumerate() {
            let Some(wanted) = wanted else {
                arrivals.push(None);
                continue;
            };
            let (done, arrival) = oneshot::channel();
            arrivals.push(Some(arrival));
            let (store, client, turns) = (self.clone(), client.clone(), turns.clone());
            let (activity, tracker) = (activity.clone(), tracker.layer(index));
            downloads.spawn(async move {
                let _turn = turns.acquire_owned().await.expect("the semaphore is never closed");
                let result = store.download(&client, &wanted, activity, &tracker).await;
                // Nobody listens when another layer has failed already.
                let _ = done.send(result);
            });
        }
        (downloads, arrivals)
    }
}

/// A layer that has to be downloaded: its blob, and the chain that it will make.
struct Missing {
    blob: Descriptor,
    chain: Digest,
}

/// The file of a layer, or none when another pull has unpacked the layer meanwhile.
type Arrival = oneshot::Receiver<Result<Option<File>>>;

fn wait_for(arrival: Arrival) -> Result<File> {
    arrival.blocking_recv().map_err(|_| given_up())??.ok_or_else(given_up)
}

fn given_up() -> Error {
    Error::Network("the pull was given up".into())
}

/// Runs blocking work on a thread for it.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Io { what: "unpack an image".into(), source: std::io::Error::other(error) }),
    }
}
