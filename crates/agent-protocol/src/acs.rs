//! ACS, the socket over which the control plane gives an agent its work: the messages, their envelope, and
//! the query of the connect URL. No socket here.

mod connect;
mod fargate;
mod messages;
mod network;
mod secrets;
mod task;
mod volume;
mod vpc;

pub use connect::Connect;
pub use fargate::FargateTask;
pub use messages::*;
pub use network::*;
pub use secrets::*;
pub use task::*;
pub use volume::*;
pub use vpc::*;

crate::envelope::messages! {
    AccessDeniedException,
    AckRequest,
    AttachInstanceNetworkInterfacesMessage,
    AttachTaskNetworkInterfacesMessage,
    BadRequestException,
    CloseMessage,
    ConfirmAttachmentMessage,
    ErrorMessage,
    HeartbeatAckRequest,
    HeartbeatMessage,
    IAMRoleCredentialsAckRequest,
    IAMRoleCredentialsMessage,
    InactiveInstanceException,
    InvalidClusterException,
    InvalidInstanceException,
    NackRequest,
    PayloadMessage,
    PerformUpdateMessage,
    ServerException,
    StageUpdateMessage,
    TaskManifestMessage,
    TaskStopVerificationAck,
    TaskStopVerificationMessage,
    VpcMessage as "roadstead:VpcMessage",
}

/// The body of a refused connect, in the form that agents read. `name` is one of ServerException,
/// BadRequestException, InvalidClusterException, InvalidInstanceException, AccessDeniedException, and, only
/// for an instance that was deregistered (the agent then stays away for an hour), InactiveInstanceException.
pub fn refusal(name: &str, text: &str) -> String {
    serde_json::json!({"type": name, "message": {"message": text}}).to_string()
}

#[cfg(test)]
mod tests;
