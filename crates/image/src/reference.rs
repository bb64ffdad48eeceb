//! Image references, read and completed as Docker does it: `nginx` is `docker.io/library/nginx:latest`.
//!
//! Rules: the reference grammar of the distribution project, `ParseNormalizedNamed` and `TagNameOnly`
//! in its words. Only sha256 digests are taken.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Result};

/// A parsed reference that remembers how it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    given: String,
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const HUB: &str = "docker.io";
const HUB_LEGACY: &str = "index.docker.io";
const HUB_LIBRARY: &str = "library/";
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

impl Reference {
    /// The reference letter by letter as it was given: ECS echoes this one.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The registry's name, with its port when one was given: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository inside the registry: `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: the one given, or `latest` when neither tag nor digest was.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which decides when it was given together with a tag.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The full name that the store files the image under: registry, repository, and the digest or the tag.
    pub fn canonical(&self) -> String {
        self.join(format!("{}/{}", self.registry, self.repository))
    }

    /// The short name that Docker shows: `nginx:latest`.
    pub fn familiar(&self) -> String {
        self.join(self.familiar_repository())
    }

    /// The short name of the repository alone: `nginx`.
    pub fn familiar_repository(&self) -> String {
        match (self.registry.as_str(), self.repository.strip_prefix(HUB_LIBRARY)) {
            (HUB, Some(name)) if !name.contains('/') => name.to_owned(),
            (HUB, _) => self.repository.clone(),
            _ => format!("{}/{}", self.registry, self.repository),
        }
    }

    /// The same repository at `digest`.
    pub fn at(&self, digest: &Digest) -> Self {
        let mut other = Self { tag: None, digest: Some(digest.clone()), ..self.clone() };
        other.given = other.familiar();
        other
    }

    fn join(&self, name: impl fmt::Display) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{name}@{digest}"),
            (None, Some(tag)) => format!("{name}:{tag}"),
            (None, None) => name.to_string(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        if given.len() == 64 && given.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Error::Invalid(format!(
                "invalid repository name ({given}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (registry, remainder) = split_registry(given);
        let (name, digest) = match remainder.split_once('@') {
            Some((name, digest)) => (name, Some(parse_digest(digest)?)),
            None => (remainder.as_str(), None),
        };
        let (repository, tag) = match name.split_once(':') {
            Some((repository, tag)) => (repository, Some(parse_tag(tag)?)),
            None => (name, None),
        };
        if !is_registry(&registry) {
            return Err(bad_format());
        }
        check_repository(repository)?;
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { given: given.to_owned(), registry, repository: repository.to_owned(), tag, digest })
    }
}

fn bad_format() -> Error {
    Error::invalid("invalid reference format")
}

/// The first component is a registry when it could not be a repository of Docker Hub.
fn split_registry(given: &str) -> (String, String) {
    let (registry, remainder) = match given.split_once('/') {
        Some((HUB_LEGACY, rest)) => (HUB, rest),
        Some((first, rest)) if looks_like_registry(first) => (first, rest),
        _ => (HUB, given),
    };
    let library = if registry == HUB && !remainder.contains('/') { HUB_LIBRARY } else { "" };
    (registry.to_owned(), format!("{library}{remainder}"))
}

fn looks_like_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            let hex = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return hex && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    host.split('.').all(is_host_label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn check_repository(repository: &str) -> Result<()> {
    if repository.chars().any(char::is_uppercase) {
        return Err(Error::Invalid(format!(
            "invalid reference format: repository name ({repository}) must be lowercase"
        )));
    }
    if repository.len() > REPOSITORY_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "repository name must not be more than {REPOSITORY_BYTES_MAX} characters"
        )));
    }
    if !repository.split('/').all(is_path_component) {
        return Err(bad_format());
    }
    Ok(())
}

/// Runs of lower-case letters and digits, with one `.`, one or two `_`, or any number of `-` between.
fn is_path_component(component: &str) -> bool {
    let is_alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges_fit =
        component.bytes().next().is_some_and(is_alnum) && component.bytes().last().is_some_and(is_alnum);
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    edges_fit
        && separators.into_iter().all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn parse_tag(tag: &str) -> Result<String> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = tag.len() <= TAG_BYTES_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if fits { Ok(tag.to_owned()) } else { Err(bad_format()) }
}

fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| match text.split_once(':') {
        Some(("sha256", _)) => Error::invalid("invalid reference format: invalid checksum digest"),
        Some(("sha384" | "sha512", _)) => {
            Error::invalid("only sha256 digests are supported in image references")
        }
        _ => bad_format(),
    })
}

#[cfg(test)]
mod tests;
