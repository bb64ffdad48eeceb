//! What outcomes of calls mean, and what hooks come to by them.

use super::*;

fn replied(function_error: Option<&str>, payload: &str) -> Result<Value, Error> {
    let payload = Blob(payload.as_bytes().to_vec());
    Ok(json!({"StatusCode": 200, "FunctionError": function_error, "Payload": payload}))
}

/// The first word of what was said, its delay and its details.
fn read(outcome: &Result<Value, Error>) -> (&'static str, i64, Option<String>) {
    match said(outcome) {
        Said::Succeeded => ("succeeded", 0, None),
        Said::Failed(why) => {
            assert!(!why.is_empty());
            ("failed", 0, None)
        }
        Said::InProgress(delay, details) => ("in progress", delay, details),
        Said::Nothing(why) => {
            assert!(!why.is_empty());
            ("nothing", 0, None)
        }
    }
}

#[test]
fn an_answer_says_how_the_deployment_goes_on() {
    for (payload, want) in [
        (r#"{"hookStatus":"SUCCEEDED"}"#, ("succeeded", 0, None)),
        (r#"{"hookStatus":"FAILED","more":1}"#, ("failed", 0, None)),
        (r#"{"hookStatus":"IN_PROGRESS"}"#, ("in progress", 30_000, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":60}"#, ("in progress", 60_000, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":1.5}"#, ("in progress", 1500, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":0}"#, ("in progress", 1000, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":-1e300}"#, ("in progress", 1000, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":1e300}"#, ("in progress", 86_400_000, None)),
        (r#"{"hookStatus":"IN_PROGRESS","callBackDelay":"60"}"#, ("in progress", 30_000, None)),
        (
            r#"{"hookStatus":"IN_PROGRESS","hookDetails":{"n":1}}"#,
            ("in progress", 30_000, Some(r#"{"n":1}"#.to_owned())),
        ),
        (r#"{"hookStatus":"IN_PROGRESS","hookDetails":[1]}"#, ("in progress", 30_000, None)),
        (r#"{"hookStatus":"succeeded"}"#, ("failed", 0, None)),
        (r#"{"hookStatus":1}"#, ("failed", 0, None)),
        (r#""SUCCEEDED""#, ("failed", 0, None)),
        ("null", ("failed", 0, None)),
        ("", ("failed", 0, None)),
        ("{", ("failed", 0, None)),
    ] {
        assert_eq!(read(&replied(None, payload)), want, "{payload}");
    }
    let long = format!(r#"{{"hookStatus":"IN_PROGRESS","hookDetails":{{"a":"{}"}}}}"#, "x".repeat(4096));
    assert_eq!(read(&replied(None, &long)).0, "failed");
    assert_eq!(read(&Ok(json!({"StatusCode": 200}))).0, "failed");
    assert_eq!(read(&replied(Some("Unhandled"), r#"{"hookStatus":"SUCCEEDED"}"#)).0, "failed");
}

#[test]
fn what_may_pass_is_no_answer() {
    for (code, status, want) in [
        ("ServiceException", 500, "nothing"),
        ("TooManyRequestsException", 429, "nothing"),
        ("ServiceUnavailable", 503, "nothing"),
        ("ResourceNotFoundException", 404, "failed"),
        ("AccessDeniedException", 403, "failed"),
    ] {
        assert_eq!(read(&Err(Error::new(code, status, "why"))).0, want, "{code}");
    }
}

#[test]
fn a_function_that_is_not_reached_is_called_with_growing_pauses_until_its_hook_fails() {
    let now = Timestamp(1_000_000);
    let function = HookFunctionRow { call_at: now, ..Default::default() };
    let mut hook = HookRow {
        id: "a635edb5-a66b-4f44-bf3f-fcee4b3641a5".to_owned(),
        stage: Stage::PostScaleUp,
        status: DeploymentLifecycleHookStatus::InProgress,
        expires_at: now.plus_millis(60_000),
        timeout_action: Default::default(),
        function: Some(Box::new(function)),
    };
    let pause = |hook: &HookRow| hook.function.as_ref().unwrap().call_at.millis_since(now);
    let away = || Said::Nothing("away".to_owned());
    for want in [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000] {
        hook = after(&hook, away(), now);
        assert_eq!((pause(&hook), hook.status), (want, DeploymentLifecycleHookStatus::InProgress));
    }
    assert_eq!(after(&hook, away(), now).status, DeploymentLifecycleHookStatus::Failed);
    // An answer begins the count anew.
    let heard = after(&hook, Said::InProgress(5000, Some("{}".to_owned())), now);
    assert_eq!(pause(&heard), 5000);
    let function = heard.function.as_deref().unwrap();
    assert_eq!((function.attempts, &function.why, function.details.as_deref()), (0, &None, Some("{}")));
    let kept = after(&heard, Said::InProgress(5000, None), now);
    assert_eq!(kept.function.unwrap().details.as_deref(), Some("{}"), "nothing said changes nothing");
}
