//! The last line of every failure: what to try next.
//!
//! Where an error is made, [`Advise::advise`] says it, knowing what was meant. Errors of the parts below are
//! told by what they are.

use std::{fmt, io};

use crate::config;

/// An error, and what to try next. Its words are the error's.
#[derive(Debug)]
struct Advised {
    error: anyhow::Error,
    step: String,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Advised {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The error itself, not only its causes: it is looked for by its type.
        Some(self.error.as_ref())
    }
}

/// Adds what to try next.
pub trait Advise<T> {
    /// Says `step`, unless somebody nearer to the error has said something already.
    fn advise(self, step: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advise<T> for Result<T, E> {
    fn advise(self, step: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| Advised { error: error.into(), step: step.into() }.into())
    }
}

/// Ends a function with an error in these words, and what to try next.
macro_rules! fail {
    ($step:expr, $($words:tt)*) => {
        return $crate::advice::Advise::advise(Err(anyhow::anyhow!($($words)*)), $step)
    };
}
pub(crate) use fail;

/// The error with its causes, and on a line of its own what to try: `otherwise`, where nothing tells more.
pub fn told(error: &anyhow::Error, otherwise: &str) -> String {
    let mut words: Vec<String> = error.chain().map(ToString::to_string).collect();
    // An error that comes with advice is there twice.
    words.dedup();
    format!("roadstead: {}\ntry: {}", words.join(": ").trim_end(), step(error).unwrap_or(otherwise))
}

/// What to try next, by the error that is nearest to the cause.
fn step(error: &anyhow::Error) -> Option<&str> {
    let mut advised = error.chain().filter_map(|cause| cause.downcast_ref::<Advised>());
    if let Some(Advised { step, .. }) = advised.next_back() {
        return Some(step);
    }
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<config::Error>() {
            Some(of_config(error))
        } else if let Some(error) = cause.downcast_ref::<image::Error>() {
            of_image(error)
        } else if let Some(error) = cause.downcast_ref::<agent::Error>() {
            of_agent(error)
        } else {
            cause.downcast_ref::<io::Error>().and_then(of_io)
        }
    })
}

fn of_config(error: &config::Error) -> &'static str {
    use config::Error as E;
    match error {
        E::Read { .. } => "another file with `--config`, or none: every key has a default",
        E::Syntax { .. } => "to compare it with docs/roadstead.example.toml, where every key has its form",
        E::UnknownKey { nearest: Some(_), .. } => {
            "the key that is named, or docs/configuration.md, which lists them all"
        }
        E::UnknownKey { .. } => "docs/configuration.md, which lists every key",
        E::Value { .. } => "another value; docs/configuration.md says what each key takes",
    }
}

fn of_agent(error: &agent::Error) -> Option<&'static str> {
    match error {
        agent::Error::Ledger(agent::ledger::Error::Gone(_)) => Some(
            "a backup of `agent/ledger.db` in its place, or `--begin-anew`: its tasks end, and the host is a new container \
             instance (docs/repair.md)",
        ),
        _ => None,
    }
}

fn of_image(error: &image::Error) -> Option<&'static str> {
    Some(match error.kind() {
        image::Kind::NotFound => {
            "`roadstead image list`, which shows what is here, and to look at the spelling of name and tag"
        }
        image::Kind::Unauthorized => {
            "`ROADSTEAD_REGISTRY_PASSWORD=… roadstead image pull --username NAME IMAGE`, if the name is right"
        }
        image::Kind::Network => {
            "again, which goes on where it broke off; if the registry speaks plain HTTP, name it in `images.insecure_registries`"
        }
        image::Kind::Invalid => {
            "to save or build the image again; what is here is not as it says, or not of a kind that is taken"
        }
        image::Kind::Limit => {
            "an image that is smaller once unpacked; what passes the limits looks like an attack on the disk"
        }
        image::Kind::InUse => "to stop the tasks that use it, then again",
        // The host's own answer says more.
        image::Kind::Storage => return None,
    })
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as K;
    Some(match error.kind() {
        K::PermissionDenied => "the same with `sudo`",
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => {
            "to free space: `df -h` shows which disk is full, `roadstead image list` and `image remove` what may go"
        }
        K::AddrInUse => "another port with `--listen`, or `ss -ltnp` to see who has this one",
        K::AddrNotAvailable => "an address of this host with `--listen`; `ip address` lists them",
        K::ConnectionRefused
        | K::ConnectionReset
        | K::TimedOut
        | K::HostUnreachable
        | K::NetworkUnreachable => {
            "`roadstead up` or `roadstead server` on that host, and to look at the address"
        }
        K::NotFound => "to look at the spelling of the path",
        K::ReadOnlyFilesystem => "a folder on a disk that can be written to, with `--data-dir`",
        K::NotADirectory | K::IsADirectory => {
            "another path: a file stands where a folder is meant, or a folder where a file is"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_words_are_the_errors_and_the_last_line_says_what_to_try() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, words, step) in [
            (anyhow!("it fell"), "it fell", "`roadstead doctor`"),
            (
                anyhow!(denied()).context("cannot open it"),
                "cannot open it: permission denied",
                "the same with `sudo`",
            ),
            (Err::<(), _>(denied()).advise("a ladder").unwrap_err(), "permission denied", "a ladder"),
            (
                Err::<(), _>(denied()).advise("a ladder").context("up").advise("a rope").unwrap_err(),
                "up: permission denied",
                "a ladder",
            ),
        ] {
            let told = told(&error, "`roadstead doctor`");
            let (first, last) = told.split_once('\n').unwrap();
            assert_eq!(first, format!("roadstead: {words}"));
            assert!(last.starts_with(&format!("try: {step}")), "{told}");
        }
    }

    fn refuse() -> anyhow::Result<()> {
        fail!("less", "{} is too much", 7)
    }

    #[test]
    fn an_error_with_advice_has_its_own_words() {
        assert_eq!(refuse().unwrap_err().to_string(), "7 is too much");
        assert_eq!(told(&refuse().unwrap_err(), ""), "roadstead: 7 is too much\ntry: less");
    }

    #[test]
    fn what_is_wrong_below_is_still_found() {
        let error = config::Error::Value { key: "server.account", message: "no".to_owned() };
        let error = Err::<(), _>(error).advise("another").context("up").unwrap_err();
        assert!(error.chain().any(|cause| cause.is::<config::Error>()));
    }
}
