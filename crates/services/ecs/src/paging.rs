//! Pages of ECS's lists.

use ecs_model::errors;
pub use state::paging::Request;
use wire::Error;

/// ECS gives at most 100 items a page.
const PAGE: i32 = 100;

/// Reads the two members that every List operation has; pages hold 100 items unless fewer are asked for.
///
/// # Errors
/// `InvalidParameterException` for a page size or token out of range.
pub fn read(max_results: Option<i32>, next_token: Option<&str>) -> Result<Request, Error> {
    read_up_to(PAGE, PAGE, max_results, next_token)
}

/// As [`read`], with a default and a greatest page size of the operation's own.
///
/// # Errors
/// Likewise.
pub fn read_up_to(
    default: i32,
    most: i32,
    max_results: Option<i32>,
    next_token: Option<&str>,
) -> Result<Request, Error> {
    let read = Request::read(default, most, max_results, next_token);
    read.map_err(|refused| errors::invalid_parameter(refused.to_string()))
}

/// Behind what the page begins, as `read` understands its token; `None` for the first page.
///
/// # Errors
/// `InvalidParameterException` for a token that is none of this list's.
pub fn behind<'a, T>(page: &'a Request, read: impl FnOnce(&'a str) -> Option<T>) -> Result<Option<T>, Error> {
    let read = |text| read(text).ok_or_else(|| errors::invalid_parameter("Invalid token"));
    page.after().map(read).transpose()
}
