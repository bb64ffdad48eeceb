//! What is asked of, and by, the agents of container instances besides their tasks: UpdateContainerAgent,
//! SubmitAttachmentStateChanges.

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::find;
use crate::{cluster::Txn, limits};

/// What an attachment can become, as agents and services of AWS report it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attachment.html>
const STATUSES: &[&str] =
    &["PRECREATED", "CREATED", "ATTACHING", "ATTACHED", "DETACHING", "DETACHED", "DELETED", "FAILED"];

/// UpdateContainerAgent. An agent is updated with the program of its host, or by whoever runs its host: there is never
/// an update that could be had from here.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateContainerAgent.html>
///
/// # Errors
/// `InvalidParameterException` for a container instance that is not there, `MissingVersionException` where its agent has
/// not said which it is, else `NoUpdateAvailableException`.
pub fn update_container_agent(
    txn: &mut Txn,
    request: ecs::UpdateContainerAgentRequest,
) -> Result<ecs::UpdateContainerAgentResponse, Error> {
    let row = find(txn, &request.container_instance)?;
    let version = row.version_info.agent_version.filter(|version| !version.is_empty());
    if version.is_none() {
        return Err(errors::missing_version(
            "Amazon ECS is unable to determine the current version of the Amazon ECS container agent on the container \
             instance and does not have enough information to proceed with an update.",
        ));
    }
    Err(errors::no_update_available("There is no update available for your container agent."))
}

/// SubmitAttachmentStateChanges. Of what is not there any more, or never was, an agent is told that it was heard, as with
/// tasks: it would repeat its report for ever otherwise. Those of tasks come with SubmitTaskStateChange; what is reported here is of
/// container instances (trunk interfaces) and of EBS, of which none are made.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_SubmitAttachmentStateChanges.html>
///
/// # Errors
/// `InvalidParameterException` for what can be no attachment of this account, or no status of one.
pub fn submit_attachment_state_changes(
    txn: &mut Txn,
    request: ecs::SubmitAttachmentStateChangesRequest,
) -> Result<ecs::SubmitAttachmentStateChangesResponse, Error> {
    let ctx = txn.ctx;
    let own = format!("arn:{}:ecs:{}:{}:attachment/", ctx.partition, ctx.region, ctx.account);
    for change in &request.attachments {
        let id = change.attachment_arn.strip_prefix(&own).filter(|id| !id.is_empty());
        if id.is_none() {
            let arn = limits::cut(&change.attachment_arn, limits::ARN_SHOWN);
            return Err(errors::invalid_parameter(format!("Invalid attachment ARN: {arn}")));
        }
        if !STATUSES.contains(&change.status.as_str()) {
            let status = limits::cut(&change.status, limits::ARN_SHOWN);
            return Err(errors::invalid_parameter(format!("Invalid attachment status: {status}")));
        }
    }
    Ok(ecs::SubmitAttachmentStateChangesResponse { acknowledgment: Some("ACK".to_owned()) })
}
