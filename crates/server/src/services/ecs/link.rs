//! DiscoverPollEndpoint: where an agent finds its two web sockets. The address is the one that the agent
//! itself used, so it is right behind any forwarding, and with TLS where a proxy in front ends it.

use bytes::Bytes;
use ecs_model as ecs;
use wire::Error;

use super::{Home, json};
use crate::{
    agent_link::{ACS_PATH, TCS_PATH},
    gate::Call,
};

/// Answers with the addresses of both sockets.
pub fn discover_poll_endpoint(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DiscoverPollEndpointRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    home.cluster(&ctx, request.cluster.as_deref())?;
    let base = |path: &str| format!("{}{}", call.origin, path.trim_end_matches("/ws"));
    json(&ecs::DiscoverPollEndpointResponse {
        endpoint: Some(base(ACS_PATH)),
        telemetry_endpoint: Some(base(TCS_PATH)),
        ..Default::default()
    })
}
