//! The registration of agents, which makes a key a container instance's own. What an agent may by that key, the gate
//! knows (`rights/agents`).

use ::ecs::{
    Ctx, account, arn,
    cluster::{InstanceId, InstanceStatus, Owner},
    instance::register,
};
use agent_protocol::agent_key::AgentKey;
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{ClusterHandle, Home, Homes, json};
use crate::{
    gate::{Call, Role},
    runtime::By,
    world,
};

const NO_KEY: &str = "the key that agents share only brings agents in that make a key of their own. Make one for \
                      this agent by: roadstead agent-key create";

/// RegisterContainerInstance. A new agent's key is bound to its container instance before that is written: an
/// agent that asks again, because it did not hear the answer, gets the same one.
pub async fn register(homes: &Homes, home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::RegisterContainerInstanceRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.cluster(&ctx, request.cluster.as_deref())?;
    let document = request.instance_identity_document.as_deref().unwrap_or_default();
    let brought =
        AgentKey::from_document(document).map(|key| (key.access_key_id, Some(key.secret_access_key)));
    let key = match (&call.caller.role, brought) {
        (Role::Agent { .. }, _) | (Role::User, None) => None,
        (Role::User | Role::NewAgent, Some(key)) => Some(key),
        (Role::NewAgent, None) => return Err(denied(&ctx, NO_KEY)),
        (Role::NewAgentOfOperator, _) => Some((call.caller.access_key.to_string(), None)),
    };
    let by = match key {
        Some(key) => {
            // What another account or region has bound is found there, and nowhere else.
            if homes.of_agent_key(&key.0).is_some_and(|found| found.place() != home.place()) {
                return Err(denied(&ctx, "the key belongs to another container instance."));
            }
            let instance = bind(home, &call, &cluster, key, &request).await?;
            By { arn: ctx.caller_arn.clone(), agent: Some(instance.0) }
        }
        None => By::from(&call.caller),
    };
    let run = move |txn: &mut ::ecs::Txn| register::register_container_instance(txn, request);
    json(&cluster.command(by, run).await?)
}

/// Makes the key the one of a new container instance, or of one that was registered before there were such keys.
async fn bind(
    home: &Home,
    call: &Call,
    cluster: &ClusterHandle,
    (access_key, secret): (String, Option<String>),
    request: &ecs::RegisterContainerInstanceRequest,
) -> Result<InstanceId, Error> {
    let ctx = home.ctx(&call.caller, call.now);
    let visible = cluster.read();
    let name = visible.state.row.name.clone();
    let named = request.container_instance_arn.as_deref().filter(|named| !named.is_empty());
    let instance = match named {
        None => InstanceId(state::Id128(world::uuid().as_u128())),
        Some(named) => {
            let id = arn::container_instance_id(&ctx, &name, named)?;
            let missing = || errors::client("The referenced container instance was not found.");
            let id = InstanceId::parse(&id).ok_or_else(missing)?;
            let live = visible.state.instance(&id).filter(|row| row.status != InstanceStatus::Inactive);
            let row = live.ok_or_else(missing)?;
            // A key that is bound already is bound to it, or refused as it is bound.
            if row.owner == Owner::User {
                return Err(denied(&ctx, "the container instance was registered by a user."));
            }
            id
        }
    };
    let named = named.is_some();
    let claim = account::keys::Claim { access_key, secret, cluster: name, instance, named };
    let bind = move |txn: &mut account::Txn| account::keys::bind(txn, claim);
    let instance = home.account_shard().execute(&call.caller, bind).await?;
    if named {
        tracing::info!(%instance, "a container instance from before agents had keys now has one");
    }
    Ok(instance)
}

fn denied(ctx: &Ctx, what: &str) -> Error {
    errors::access_denied(format!("User: {} is not authorized to register: {what}", ctx.caller_arn))
}
