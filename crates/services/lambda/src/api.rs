//! What is offered: the table of operations. What an operation is authorised on is from the
//! [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html).

use serde_json::Value;
use state::{
    Ctx,
    api::{Operation, text, typed},
};
use wire::Error;

use crate::{
    functions::{Function, Named, Origin},
    invoke::{self, Begun},
};

/// What begins an operation. The input meets the model.
pub type Handler = fn(&[Function], &Origin, Value) -> Result<Begun, Error>;

const NO_LOG: &str = "what a function logs stays where it runs";

/// All that is built, by name.
pub static OPERATIONS: &[Operation<Handler>] = &[Operation::new("Invoke", invoke as Handler)
    .on(function)
    .refusing(&["DurableExecutionName", "TenantId"])
    .without_effect(&[("LogType", NO_LOG)])];

fn invoke(functions: &[Function], from: &Origin, input: Value) -> Result<Begun, Error> {
    invoke::begin(functions, from, typed(input)?)
}

fn function(ctx: &Ctx, input: &Value) -> Vec<String> {
    let named = Named::read(text(input, "FunctionName").unwrap_or_default());
    let region = named.region.unwrap_or(&ctx.region);
    let account = named.account.unwrap_or(&ctx.account);
    let arn = format!("arn:{}:lambda:{region}:{account}:function:{}", ctx.partition, named.name);
    let qualifier = text(input, "Qualifier").or(named.qualifier);
    vec![qualifier.map_or(arn.clone(), |qualifier| format!("{arn}:{qualifier}"))]
}
