//! What is shown: reads of a snapshot.

pub mod groups;
pub mod schedules;
mod target;

use scheduler_model::errors;
use state::paging::Request;
use wire::Error;

use crate::limits;

fn page(max_results: Option<i32>, next_token: Option<&str>) -> Result<Request, Error> {
    let read = Request::read(limits::PAGE, limits::PAGE, max_results, next_token);
    read.map_err(|refused| errors::validation(refused.to_string()))
}
