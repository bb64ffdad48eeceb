//! What can go wrong in an engine, in the names that ECS puts into a container's `reason`.

/// The step that failed. Displays as the ECS agent's error name (agent protocol, section d.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `CannotPullContainerError`
    Pull,
    /// `CannotCreateContainerError`
    Create,
    /// `CannotStartContainerError`
    Start,
    /// `CannotStopContainerError`
    Stop,
    /// `CannotInspectContainerError`
    Inspect,
    /// `CannotCreateVolumeError`
    Volume,
    /// `ContainerNetworkingError`
    Network,
    /// `ResourceInitializationError`
    Resource,
    /// `NoSuchContainerError`
    NoSuchContainer,
    /// `DockerTimeoutError`, the name that ECS gives to any engine's time-out.
    Timeout,
}

impl Kind {
    /// The name as ECS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Pull => "CannotPullContainerError",
            Kind::Create => "CannotCreateContainerError",
            Kind::Start => "CannotStartContainerError",
            Kind::Stop => "CannotStopContainerError",
            Kind::Inspect => "CannotInspectContainerError",
            Kind::Volume => "CannotCreateVolumeError",
            Kind::Network => "ContainerNetworkingError",
            Kind::Resource => "ResourceInitializationError",
            Kind::NoSuchContainer => "NoSuchContainerError",
            Kind::Timeout => "DockerTimeoutError",
        }
    }
}

/// A failed engine call. `Display` is the text for a container's `reason`: `Name: message`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", .kind.as_str())]
pub struct Error {
    /// Which step failed.
    pub kind: Kind,
    /// What happened, in words an operator can act on.
    pub message: String,
    /// Whether the same call may succeed later without any change by the user.
    pub temporary: bool,
}

impl Error {
    /// A failure that repeating will not mend.
    pub fn fatal(kind: Kind, message: impl std::fmt::Display) -> Error {
        Error { kind, message: without_numbers(&message.to_string()), temporary: false }
    }

    /// A failure that may pass by itself.
    pub fn temporary(kind: Kind, message: impl std::fmt::Display) -> Error {
        Error { kind, message: without_numbers(&message.to_string()), temporary: true }
    }
}

impl Error {
    /// The same failure, told of another step.
    pub fn with_kind(self, kind: Kind) -> Error {
        Error { kind, ..self }
    }
}

/// An error with all that it stands on, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Takes out the numbers behind the kernel's words, ` (os error 2)`: they tell a user nothing more.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match rest.strip_prefix(')') {
            Some(after) if rest.len() < part.len() => out.push_str(after),
            _ => {
                out.push_str(" (os error ");
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_numbers_are_left_out() {
        for (text, want) in [
            ("mkdir /x: Not a directory (os error 20)", "mkdir /x: Not a directory"),
            ("a (os error 2): b (os error 13).", "a: b."),
            ("a (os error x) b", "a (os error x) b"),
            ("a (os error 2", "a (os error 2"),
            ("", ""),
        ] {
            assert_eq!(Error::fatal(Kind::Create, text).message, want);
        }
    }
}
