//! What only agents and the control plane say to each other: the frames of both sockets ([`acs`], [`tcs`]),
//! the key pair of a container instance ([`agent_key`]), and how a host joins ([`join`]). No sockets, no clock; what agents say by the ECS API
//! itself is in the model of ECS.

pub mod acs;
pub mod agent_key;
mod envelope;
pub mod join;
pub mod tcs;

/// The attribute by which a host says to which capacity provider it belongs.
pub const CAPACITY_PROVIDER: &str = "roadstead.capacity-provider";

/// The attribute by which a host says that it is given to Fargate: it takes tasks of launch type FARGATE beside its own.
pub const FARGATE: &str = "roadstead.fargate";

/// The attribute by which a host given to Fargate says which wall is around such a task, as its configuration has it.
pub const ISOLATION: &str = "roadstead.isolation";

pub use envelope::EnvelopeError;
