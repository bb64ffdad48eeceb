//! Lambda: each call begun and ended by the service's table; between the two the endpoint of the function is asked, by plain
//! HTTP.

use std::{sync::LazyLock, time::Duration};

use ::lambda::{
    api::OPERATIONS,
    functions::{Function, Origin},
    invoke::{self, Begun, CLIENT_CONTEXT, FUNCTION_ERROR, Heard, Question},
    limits,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::Semaphore;
use wire::{Error, schema};

use super::entry;
use crate::gate::{Call, Service, Support};

/// How long a connection to an endpoint may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The Lambda API.
pub struct Lambda {
    functions: Vec<Function>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Calls that may be under way.
    room: Semaphore,
}

/// What of Lambda is built.
pub(crate) static SUPPORT: LazyLock<Support> = LazyLock::new(|| Support::by(OPERATIONS));

#[async_trait]
impl Service for Lambda {
    fn schema(&self) -> &'static schema::Service {
        &lambda_model::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    /// Some more than a function may be given, so that Lambda's own words say that it is too much.
    fn body_bytes(&self) -> Option<usize> {
        Some(limits::PAYLOAD + 64 * 1024)
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let handler = entry(OPERATIONS, &call)?.handler;
        let Call { caller, input, region, .. } = call;
        let (account, arn) = (&caller.account, &caller.arn);
        let from = Origin { partition: caller.partition(), account, region: &region, caller: arn };
        match handler(&self.functions, &from, input)? {
            Begun::Done(output) => Ok(output.into()),
            Begun::Ask(question) => {
                let Ok(_room) = self.room.try_acquire() else {
                    return Err(lambda_model::errors::too_many_requests("Rate Exceeded."));
                };
                invoke::end(self.ask(question).await).map(Bytes::from)
            }
        }
    }
}

impl Lambda {
    /// Lambda with these functions.
    pub fn new(functions: Vec<Function>) -> Lambda {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Lambda { functions, client, room: Semaphore::new(limits::TOGETHER) }
    }

    async fn ask(&self, question: Question) -> Heard {
        let seconds = question.timeout_seconds;
        match tokio::time::timeout(Duration::from_secs(seconds), self.answer(question)).await {
            Ok(heard) => heard,
            Err(_) => Heard::Late { seconds },
        }
    }

    async fn answer(&self, question: Question) -> Heard {
        let mut request = Request::post(&question.url).header(header::CONTENT_TYPE, "application/json");
        if let Some(context) = question.client_context.and_then(|text| HeaderValue::try_from(text).ok()) {
            request = request.header(CLIENT_CONTEXT, context);
        }
        let request = match request.body(Full::new(Bytes::from(question.body))) {
            Ok(request) => request,
            Err(error) => return Heard::Nothing(error.to_string()),
        };
        let (head, body) = match self.client.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return Heard::Nothing(causes(&error)),
        };
        let function_error = head.headers.get(FUNCTION_ERROR).and_then(|value| value.to_str().ok());
        let function_error = function_error.map(str::to_owned);
        match Limited::new(body, limits::PAYLOAD).collect().await {
            Ok(body) => {
                let (status, body) = (head.status.as_u16(), body.to_bytes().to_vec());
                Heard::Answer { status, function_error, body }
            }
            Err(error) if error.is::<LengthLimitError>() => Heard::TooLong,
            Err(error) => Heard::Nothing(error.to_string()),
        }
    }
}

/// An error with what caused it: the outermost says little.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
