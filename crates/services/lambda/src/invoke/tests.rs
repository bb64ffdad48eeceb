//! What endpoints are asked, and what their answers mean.

use super::*;

fn functions() -> Vec<Function> {
    vec![Function {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        name: "f".to_owned(),
        qualifier: None,
        url: "http://127.0.0.1:9000/2015-03-31/functions/function/invocations".to_owned(),
        timeout_seconds: 3,
    }]
}

fn begun(request: Value) -> Result<Begun, Error> {
    let from = Origin {
        partition: "aws",
        account: "000000000000",
        region: "us-east-1",
        caller: "arn:aws:iam::000000000000:root",
    };
    begin(&functions(), &from, serde_json::from_value(request).unwrap())
}

fn read(output: Vec<u8>) -> Value {
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn the_endpoint_is_asked_what_the_caller_gives() {
    let Begun::Ask(question) =
        begun(json!({"FunctionName": "f", "Payload": "eyJhIjoxfQ==", "ClientContext": "e30="})).unwrap()
    else {
        panic!("it is asked")
    };
    assert_eq!(question.body, br#"{"a":1}"#);
    assert_eq!((question.timeout_seconds, question.client_context.as_deref()), (3, Some("e30=")));
    let Begun::Ask(question) = begun(json!({"FunctionName": "f"})).unwrap() else { panic!("it is asked") };
    assert_eq!(question.body, b"{}");
    let dry = begun(json!({"FunctionName": "f", "InvocationType": "DryRun"})).unwrap();
    let Begun::Done(output) = dry else { panic!("nobody is asked") };
    assert_eq!(read(output), json!({"StatusCode": 204}));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let long = format!("\"{}\"", "x".repeat(limits::PAYLOAD));
    for (request, code, status) in [
        (json!({"FunctionName": "g"}), "ResourceNotFoundException", 404),
        (json!({"FunctionName": "f", "Payload": Blob(b"{".to_vec())}), "InvalidRequestContentException", 400),
        (json!({"FunctionName": "f", "Payload": Blob(long.into_bytes())}), "RequestTooLargeException", 413),
        (json!({"FunctionName": "f", "InvocationType": "Event"}), "InvalidParameterValueException", 400),
    ] {
        let error = begun(request).unwrap_err();
        assert_eq!((error.code(), error.status()), (code, status), "{error:?}");
    }
}

#[test]
fn an_answer_is_passed_on_and_a_failure_of_the_function_is_one() {
    let answer = |status, function_error: Option<&str>, body: &str| {
        let (function_error, body) = (function_error.map(str::to_owned), body.as_bytes().to_vec());
        end(Heard::Answer { status, function_error, body })
    };
    let error = r#"{"errorMessage":"no","errorType":"E"}"#;
    for (heard, want) in [
        (answer(200, None, "[1]"), (None, "[1]")),
        (answer(200, None, error), (Some("Unhandled"), error)),
        (answer(200, Some("Handled"), "null"), (Some("Handled"), "null")),
        (answer(500, Some("Unhandled"), error), (Some("Unhandled"), error)),
        (answer(200, None, r#"{"errorMessage":"no"}"#), (None, r#"{"errorMessage":"no"}"#)),
        (answer(200, None, ""), (None, "")),
    ] {
        let output = read(heard.unwrap());
        let payload: Blob = serde_json::from_value(output["Payload"].clone()).unwrap();
        assert_eq!((output["FunctionError"].as_str(), &*String::from_utf8(payload.0).unwrap()), want);
        assert_eq!(output["StatusCode"], 200);
    }
    let late = read(end(Heard::Late { seconds: 3 }).unwrap());
    assert_eq!(late["FunctionError"], "Unhandled");
    assert_eq!(read(end(Heard::TooLong).unwrap())["FunctionError"], "Unhandled");
    for (heard, code) in [
        (Heard::Nothing("refused".to_owned()), "ServiceException"),
        (Heard::Answer { status: 404, function_error: None, body: Vec::new() }, "ServiceException"),
        (Heard::Answer { status: 429, function_error: None, body: Vec::new() }, "TooManyRequestsException"),
    ] {
        assert_eq!(end(heard).unwrap_err().code(), code);
    }
}
