//! Invoke: what is asked of a function's endpoint, and what its answer means.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use lambda_model::{InvocationRequest, InvocationResponse, InvocationType, errors};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use wire::{Blob, Error};

use crate::{
    functions::{self, Function, Origin},
    limits,
};

/// The header by which a function's endpoint says that the function failed.
pub const FUNCTION_ERROR: &str = "x-amz-function-error";
/// The header that carries a client's context there.
pub const CLIENT_CONTEXT: &str = "x-amz-client-context";

/// What a call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Its answer is known: JSON.
    Done(Vec<u8>),
    /// The endpoint is asked.
    Ask(Question),
}

/// What the endpoint of a function is asked, by POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub url: String,
    pub timeout_seconds: u64,
    /// JSON.
    pub body: Vec<u8>,
    /// The value of [`CLIENT_CONTEXT`].
    pub client_context: Option<String>,
}

/// What came of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Answer {
        status: u16,
        /// The value of [`FUNCTION_ERROR`].
        function_error: Option<String>,
        body: Vec<u8>,
    },
    /// It was longer than [`limits::PAYLOAD`].
    TooLong,
    /// It did not come in time.
    Late { seconds: u64 },
    /// There was none, and why.
    Nothing(String),
}

/// Begins a call.
///
/// # Errors
/// Those of [`functions::find`]; `RequestTooLargeException` and `InvalidRequestContentException` for what the function is to
/// be given, `InvalidParameterValueException` for a call that nobody waits for.
pub fn begin(functions: &[Function], from: &Origin, request: InvocationRequest) -> Result<Begun, Error> {
    let function = functions::find(functions, from, &request.function_name, request.qualifier.as_deref())?;
    let body = request.payload.map(|Blob(bytes)| bytes).unwrap_or_default();
    if body.len() > limits::PAYLOAD {
        let most = limits::PAYLOAD;
        return Err(errors::request_too_large(format!(
            "Request must be smaller than {most} bytes for the InvokeFunction operation"
        )));
    }
    let body = if body.is_empty() { b"{}".to_vec() } else { body };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&body) {
        let text = format!("Could not parse request body into json: {error}");
        return Err(errors::invalid_request_content(text));
    }
    match request.invocation_type {
        Some(InvocationType::Event) => Err(errors::invalid_parameter_value(
            "InvocationType Event is not built in Roadstead yet; RequestResponse waits for the answer. See docs/support.md.",
        )),
        Some(InvocationType::DryRun) => {
            output(&InvocationResponse { status_code: Some(204), ..Default::default() }).map(Begun::Done)
        }
        Some(InvocationType::RequestResponse) | None => Ok(Begun::Ask(Question {
            url: function.url.clone(),
            timeout_seconds: function.timeout_seconds,
            body,
            client_context: request.client_context,
        })),
    }
}

/// Ends a call. A function that failed is an answer, which says so; AWS's Runtime Interface Emulator says it in the body
/// alone.
///
/// # Errors
/// `TooManyRequestsException` where the endpoint has too many, `ServiceException` where it was not reached or answers in
/// another way than Lambda does: these pass.
pub fn end(heard: Heard) -> Result<Vec<u8>, Error> {
    let failed = |kind: &str, message: String| {
        let told = json!({"errorMessage": message, "errorType": kind}).to_string().into_bytes();
        answered(Some("Unhandled".to_owned()), told)
    };
    match heard {
        Heard::Answer { status: 200..=299, function_error, body } => {
            let failed = function_error.or_else(|| is_error(&body).then(|| "Unhandled".to_owned()));
            answered(failed, body)
        }
        Heard::Answer { function_error: Some(error), body, .. } => answered(Some(error), body),
        Heard::Answer { status: 429, .. } => Err(errors::too_many_requests("Rate Exceeded.")),
        Heard::Answer { status, .. } => {
            Err(errors::service(format!("The function's endpoint answered with the status {status}.")))
        }
        Heard::TooLong => failed(
            "Function.ResponseSizeTooLarge",
            format!(
                "Response payload size exceeded maximum allowed payload size ({} bytes).",
                limits::PAYLOAD
            ),
        ),
        Heard::Late { seconds } => {
            failed("Sandbox.Timedout", format!("Task timed out after {seconds}.00 seconds"))
        }
        Heard::Nothing(why) => {
            Err(errors::service(format!("The function's endpoint could not be reached: {why}.")))
        }
    }
}

/// Whether a body is what a runtime tells of a function that failed.
fn is_error(body: &[u8]) -> bool {
    let Ok(Value::Object(told)) = serde_json::from_slice(body) else { return false };
    let is_text = |member: &str| told.get(member).is_some_and(Value::is_string);
    is_text("errorMessage") && is_text("errorType")
}

fn answered(function_error: Option<String>, body: Vec<u8>) -> Result<Vec<u8>, Error> {
    output(&InvocationResponse {
        status_code: Some(200),
        function_error,
        executed_version: Some("$LATEST".to_owned()),
        payload: Some(Blob(body)),
        ..Default::default()
    })
}

fn output(response: &InvocationResponse) -> Result<Vec<u8>, Error> {
    state::api::json(response)
}

#[cfg(test)]
mod tests;
