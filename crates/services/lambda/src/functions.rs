//! Which functions there are, and how calls name them.

use wire::Error;

/// A function that somebody runs behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Twelve digits.
    pub account: String,
    pub region: String,
    pub name: String,
    /// The version or alias that this endpoint is; none for all of them.
    pub qualifier: Option<String>,
    /// Where it is invoked: a plain HTTP URL that speaks Lambda's Invoke.
    pub url: String,
    /// For how long it may run.
    pub timeout_seconds: u64,
}

/// What a call names: parts that it does not name are none.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<'a> {
    pub region: Option<&'a str>,
    pub account: Option<&'a str>,
    pub name: &'a str,
    pub qualifier: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// Reads a name, a partial ARN or an ARN, each with a version or alias or without.
    pub fn read(text: &'a str) -> Named<'a> {
        let parts: Vec<&str> = text.split(':').collect();
        let word = parts.iter().position(|part| *part == "function").filter(|at| at + 1 < parts.len());
        let (before, rest) = word.map_or((&parts[..0], &parts[..]), |at| (&parts[..at], &parts[at + 1..]));
        let from_end = |back: usize| {
            let at = before.len().checked_sub(back)?;
            before.get(at).copied().filter(|text| !text.is_empty())
        };
        Named {
            region: from_end(2),
            account: from_end(1),
            name: rest.first().copied().unwrap_or_default(),
            qualifier: rest.get(1).copied(),
        }
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub partition: &'a str,
    pub account: &'a str,
    pub region: &'a str,
    /// The caller's ARN.
    pub caller: &'a str,
}

/// Finds the function that a call names.
///
/// # Errors
/// `ResourceNotFoundException` where there is none, `AccessDeniedException` for one of another account,
/// `InvalidParameterValueException` for two qualifiers that differ.
pub fn find<'f>(
    functions: &'f [Function],
    from: &Origin,
    text: &str,
    qualifier: Option<&str>,
) -> Result<&'f Function, Error> {
    let named = Named::read(text);
    if let (Some(one), Some(other)) = (named.qualifier, qualifier)
        && one != other
    {
        return Err(lambda_model::errors::invalid_parameter_value(
            "The derived qualifier from the function name does not match the specified qualifier.",
        ));
    }
    let qualifier = qualifier.or(named.qualifier);
    let region = named.region.unwrap_or(from.region);
    if region != from.region {
        return Err(lambda_model::errors::resource_not_found(format!(
            "Functions from '{region}' are not reachable in this region ('{}')",
            from.region
        )));
    }
    let account = named.account.unwrap_or(from.account);
    let arn = format!("arn:{}:lambda:{region}:{account}:function:{}", from.partition, named.name);
    let arn = qualifier.map_or(arn.clone(), |qualifier| format!("{arn}:{qualifier}"));
    if account != from.account {
        let text = format!(
            "User: {} is not authorized to perform: lambda:InvokeFunction on resource: {arn} because no resource-based \
             policy allows the lambda:InvokeFunction action",
            from.caller
        );
        return Err(Error::new("AccessDeniedException", 403, text));
    }
    let is_it = |function: &&Function| {
        (&*function.account, &*function.region, &*function.name) == (account, region, named.name)
    };
    let wanted = qualifier.filter(|qualifier| *qualifier != "$LATEST");
    let exact = functions.iter().filter(is_it).find(|function| function.qualifier.as_deref() == wanted);
    let any = || functions.iter().filter(is_it).find(|function| function.qualifier.is_none());
    exact
        .or_else(any)
        .ok_or_else(|| lambda_model::errors::resource_not_found(format!("Function not found: {arn}")))
}

#[cfg(test)]
mod tests;
