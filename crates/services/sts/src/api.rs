//! What is offered: the table of operations. What an operation is authorised on is from the
//! [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html).

use serde_json::Value;
use state::api::{Operation, json, typed};
use wire::Error;

use crate::describe::{self, Who};

/// What carries an operation out. The input meets the model; the output is JSON.
pub type Handler = fn(&Who, Value) -> Result<Vec<u8>, Error>;

/// All that is built, by name.
pub static OPERATIONS: &[Operation<Handler>] =
    &[Operation::new("GetCallerIdentity", get_caller_identity as Handler).for_all()];

fn get_caller_identity(who: &Who, input: Value) -> Result<Vec<u8>, Error> {
    json(&describe::get_caller_identity(who, &typed(input)?))
}
