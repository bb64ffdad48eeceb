//! The calls of CloudWatch Logs that shipping needs.

use logs_model::{CreateLogGroupRequest, CreateLogStreamRequest, PutLogEventsRequest, PutLogEventsResponse};
use serde_json::Value;

use crate::api::{Api, Error, LOGS};

/// What became of a batch.
pub(super) enum Outcome {
    Done,
    /// Repeating will not help.
    Refused(Error),
    /// The stream, or its group, is not there.
    NoStream,
    /// Not by us, as things stand.
    Denied(Error),
    Later(Error),
}

/// One attempt to put a batch.
pub(super) async fn put(api: &Api, request: &PutLogEventsRequest) -> Outcome {
    match api.call::<PutLogEventsResponse>(LOGS, "PutLogEvents", request).await {
        Ok(response) => {
            if let Some(rejected) = response.rejected_log_events_info {
                tracing::warn!(stream = request.log_stream_name, ?rejected, "log events were rejected");
            }
            Outcome::Done
        }
        Err(error) => match error.code() {
            Some("ResourceNotFoundException") => Outcome::NoStream,
            Some("AccessDeniedException") => Outcome::Denied(error),
            Some("DataAlreadyAcceptedException") => Outcome::Done,
            Some("InvalidParameterException" | "ValidationException" | "SerializationException") => {
                Outcome::Refused(error)
            }
            _ => Outcome::Later(error),
        },
    }
}

/// Makes the stream, and the group where that is wanted. There already: as well.
pub async fn ensure(api: &Api, group: &str, stream: &str, create_group: bool) -> Result<(), Error> {
    match make_stream(api, group, stream).await {
        Err(error) if create_group && error.code() == Some("ResourceNotFoundException") => {
            let request = CreateLogGroupRequest { log_group_name: group.to_owned(), ..Default::default() };
            exists_too(api.call::<Value>(LOGS, "CreateLogGroup", &request).await)?;
            make_stream(api, group, stream).await
        }
        outcome => outcome,
    }
}

async fn make_stream(api: &Api, group: &str, stream: &str) -> Result<(), Error> {
    let request =
        CreateLogStreamRequest { log_group_name: group.to_owned(), log_stream_name: stream.to_owned() };
    exists_too(api.call::<Value>(LOGS, "CreateLogStream", &request).await)
}

fn exists_too(outcome: Result<Value, Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.code() != Some("ResourceAlreadyExistsException") => Err(error),
        _ => Ok(()),
    }
}
