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
        Error { kind, message: message.to_string(), temporary: false }
    }

    /// A failure that may pass by itself.
    pub fn temporary(kind: Kind, message: impl std::fmt::Display) -> Error {
        Error { kind, message: message.to_string(), temporary: true }
    }
}

impl Error {
    /// The same failure, told of another step.
    pub fn with_kind(self, kind: Kind) -> Error {
        Error { kind, ..self }
    }
}
