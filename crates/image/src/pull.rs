//! Images from registries.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Image, Reference, Result, Store};

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

/// How far a pull is. Sent often; cheap to ignore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Layers that the image has.
    pub layers: usize,
    /// Of those, unpacked.
    pub layers_done: usize,
    /// To download, in bytes: what was here already does not count.
    pub bytes: u64,
    /// Of those, here.
    pub bytes_done: u64,
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
    /// Told how far the pull is.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
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
    pub async fn pull(&self, reference: &Reference, _options: &PullOptions) -> Result<Arc<Image>> {
        Err(Error::Network(format!("pulling {reference} is not built yet")))
    }
}
