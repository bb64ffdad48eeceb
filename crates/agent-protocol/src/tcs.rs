//! TCS, the socket over which an agent tells statistics and health: the messages, their envelope, and the
//! signed header block before it. No socket here.

mod frame;
mod messages;
mod metrics;

pub use frame::{Frame, FrameError};
pub use messages::*;
pub use metrics::*;

crate::envelope::messages! {
    AckPublishHealth,
    AckPublishInstanceStatus,
    AckPublishMetric,
    BadRequestException,
    HeartbeatMessage,
    InvalidParameterException,
    PublishHealthRequest,
    PublishInstanceStatusRequest,
    PublishMetricsRequest,
    ResourceValidationException,
    ServerException,
    StopTelemetrySessionMessage,
}

#[cfg(test)]
mod tests;
