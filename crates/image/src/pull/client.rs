//! The registry protocol, version 2, as far as pulling needs it.

use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::auth::{self, Challenge, Credentials};
use super::words::{self, Wanted};
use super::{PullOptions, transport};
use crate::limits::Patience;
use crate::manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, Manifest, OCI_INDEX, OCI_MANIFEST, Platform,
};
use crate::{Digest, Error, Kind, Reference, Result, limits};

/// Docker Hub's registry is not at Docker Hub's name.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// Whether a registry on loopback speaks TLS is soon clear.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the registry of one image.
pub struct Client {
    http: reqwest::Client,
    reference: Reference,
    options: PullOptions,
    /// `https://registry-1.docker.io/v2/library/nginx`
    base: String,
    credentials: Mutex<Credentials>,
}

/// What a reference stands for at the registry.
pub struct Resolved {
    /// The digest that the reference named: an index's, when it is for several platforms.
    pub target: Digest,
    /// The digest of the manifest for this host.
    pub digest: Digest,
    /// That manifest.
    pub manifest: Manifest,
}

impl Client {
    /// Gets ready; asks the registry nothing, except whether it speaks TLS where it need not.
    pub async fn connect(reference: &Reference, options: &PullOptions) -> Result<Self> {
        let registry = reference.registry();
        let http = transport::client(registry, options)?;
        let host = if registry == HUB.0 { HUB.1 } else { registry };
        let plain =
            transport::may_be_plain(host, &options.insecure_registries) && !speaks_tls(&http, host).await;
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", reference.repository());
        let credentials = Mutex::new(Credentials::None);
        Ok(Self { http, reference: reference.clone(), options: options.clone(), base, credentials })
    }

    /// The manifest for this host, with the digests that lead to it.
    pub async fn resolve(&self) -> Result<Resolved> {
        let wanted = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => "latest".to_owned(),
        };
        let (target, document) = self.document(&wanted, self.reference.digest()).await?;
        match document {
            Document::Manifest(manifest) => Ok(Resolved { digest: target.clone(), target, manifest }),
            Document::Index(index) => {
                let chosen = index.choose(&Platform::host())?;
                match self.document(chosen.digest.as_str(), Some(&chosen.digest)).await? {
                    (digest, Document::Manifest(manifest)) => Ok(Resolved { target, digest, manifest }),
                    (_, Document::Index(_)) => {
                        Err(Error::invalid("the image's index leads to another index"))
                    }
                }
            }
        }
    }

    /// A small blob, whole and checked.
    pub async fn blob(&self, blob: &Descriptor, max: u64) -> Result<Vec<u8>> {
        let content =
            self.body(&format!("blobs/{}", blob.digest), "*/*", Wanted::Blob, max.min(blob.size)).await?;
        check_digest(&content, &blob.digest)?;
        Ok(content)
    }

    /// A layer's bytes from `offset` on: the answer is the rest (206), all of it (200), or that there is
    /// nothing from there (416).
    ///
    /// Its headers may come a byte at a time, and after redirects and tokens that do: all are waited for
    /// together.
    pub async fn blob_from(&self, digest: &Digest, offset: u64) -> Result<Response> {
        let patience = self.options.patience.begin;
        match tokio::time::timeout(patience, self.blob_now(digest, offset)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Network(format!(
                "Get \"{}/blobs/{digest}\": the registry had not begun to answer after {patience:?}",
                self.base
            ))),
        }
    }

    async fn blob_now(&self, digest: &Digest, offset: u64) -> Result<Response> {
        let url = format!("{}/blobs/{digest}", self.base);
        let request = |signed: &Credentials| {
            let request = self.http.get(&url);
            let request =
                if offset > 0 { request.header(RANGE, format!("bytes={offset}-")) } else { request };
            signed.sign(request)
        };
        let response = self.authorized(request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => Err(self.refusal(Wanted::Blob, response).await),
        }
    }

    /// Tries for one request.
    pub fn tries(&self) -> Tries {
        Tries { done: 0, backoff: self.options.patience.backoff }
    }

    /// How long the registry is waited for.
    pub fn patience(&self) -> &Patience {
        &self.options.patience
    }

    async fn document(&self, wanted: &str, digest: Option<&Digest>) -> Result<(Digest, Document)> {
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
        let path = format!("manifests/{wanted}");
        let content = self.body(&path, &accept, Wanted::Manifest, limits::MANIFEST_BYTES_MAX).await?;
        if let Some(digest) = digest {
            check_digest(&content, digest)?;
        }
        Ok((Digest::of(&content), Document::parse(&content)?))
    }

    /// A document, asked for again when the registry fails for a moment.
    async fn body(&self, path: &str, accept: &str, wanted: Wanted, max: u64) -> Result<Vec<u8>> {
        let mut tries = self.tries();
        let patience = self.options.patience.document;
        loop {
            let attempt = tokio::time::timeout(patience, self.body_once(path, accept, wanted, max));
            let result = match attempt.await {
                Ok(result) => result,
                Err(_) => Err(Error::Network(format!(
                    "Get \"{}/{path}\": the registry had not answered whole after {patience:?}",
                    self.base
                ))),
            };
            match result {
                Err(error) if error.kind() == Kind::Network => tries.wait(error).await?,
                other => return other,
            }
        }
    }

    async fn body_once(&self, path: &str, accept: &str, wanted: Wanted, max: u64) -> Result<Vec<u8>> {
        let url = format!("{}/{path}", self.base);
        let response =
            self.authorized(|signed| signed.sign(self.http.get(&url).header(ACCEPT, accept))).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(wanted, response).await);
        }
        bounded_body(response, max).await
    }

    /// Sends a request, and once more with fresh credentials when the registry asks for them.
    async fn authorized(&self, request: impl Fn(&Credentials) -> RequestBuilder) -> Result<Response> {
        let known = self.credentials.lock().clone();
        let response = send(request(&known)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(challenge) = Challenge::of(response.headers()) else { return Ok(response) };
        let (auth, insecure) = (&self.options.auth, &self.options.insecure_registries);
        let fresh = auth::answer(&self.http, &self.reference, auth, challenge, insecure).await?;
        *self.credentials.lock() = fresh.clone();
        send(request(&fresh)).await
    }

    async fn refusal(&self, wanted: Wanted, response: Response) -> Error {
        let status = response.status();
        let body = bounded_body(response, limits::TOKEN_BYTES_MAX).await.unwrap_or_default();
        words::refusal(&self.reference, wanted, status, &body)
    }
}

/// Counts failures of the passing kind, and waits longer after each.
pub struct Tries {
    done: u32,
    backoff: Duration,
}

impl Tries {
    /// Waits before the next try.
    ///
    /// # Errors
    /// `error`, when there have been enough.
    pub async fn wait(&mut self, error: Error) -> Result<()> {
        self.done += 1;
        if self.done >= limits::TRIES_MAX {
            return Err(error);
        }
        tracing::debug!(%error, tries = self.done, "registry failed; trying again");
        tokio::time::sleep(self.backoff * 2_u32.pow(self.done - 1)).await;
        Ok(())
    }

    /// Something went well meanwhile.
    pub fn reset(&mut self) {
        self.done = 0;
    }
}

/// Asks without credentials: nothing is lost to somebody who listens.
async fn speaks_tls(http: &reqwest::Client, host: &str) -> bool {
    let probe = http.get(format!("https://{host}/v2/")).timeout(PROBE_TIMEOUT).send();
    probe.await.is_ok()
}

/// Sends a request; no answer is an error of the network.
pub async fn send(request: RequestBuilder) -> Result<Response> {
    request.send().await.map_err(|error| words::unreachable(&error))
}

/// A body of at most `max` bytes, read no further than that.
pub async fn bounded_body(response: Response, max: u64) -> Result<Vec<u8>> {
    let too_long = || Error::Limit(format!("a registry's answer has more than {max} bytes"));
    if response.content_length().is_some_and(|length| length > max) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| words::unreachable(&error))?;
        if (body.len() + chunk.len()) as u64 > max {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn check_digest(content: &[u8], digest: &Digest) -> Result<()> {
    let found = Digest::of(content);
    if found == *digest {
        return Ok(());
    }
    Err(Error::Invalid(format!("the registry answered {found} when asked for {digest}")))
}
