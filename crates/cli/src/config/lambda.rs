//! `[lambda]`: the functions that can be invoked, each behind an endpoint that somebody runs.

use ::lambda::{
    functions::{Function, Named},
    limits,
};
use serde::Deserialize;

use super::{Error, Server, is_account, is_region};

/// Which functions there are.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Lambda {
    /// Default none.
    pub functions: Vec<Endpoint>,
}

/// Where a function is invoked.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// Its name, or its ARN where it is not of `server.account` in `server.region`; with `:QUALIFIER` of one version or alias.
    pub name: String,
    /// A plain HTTP URL that speaks Lambda's Invoke.
    pub url: String,
    /// Seconds for which it may run, at most 900. Default 60.
    pub timeout_seconds: u64,
}

impl Default for Endpoint {
    fn default() -> Endpoint {
        Endpoint { name: String::new(), url: String::new(), timeout_seconds: 60 }
    }
}

impl Lambda {
    /// The functions.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn functions(&self, server: &Server) -> Result<Vec<Function>, Error> {
        let refuse = |message: String| Err(Error::Value { key: "lambda.functions", message });
        if self.functions.len() > limits::FUNCTIONS {
            return refuse(format!("at most {}", limits::FUNCTIONS));
        }
        let mut all: Vec<Function> = Vec::new();
        for Endpoint { name, url, timeout_seconds } in &self.functions {
            let named = Named::read(name);
            let word = |text: &str| {
                (1..=140).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            };
            let (account, region) =
                (named.account.unwrap_or(&server.account), named.region.unwrap_or(&server.region));
            if !word(named.name)
                || !is_account(account)
                || !is_region(region)
                || !named.qualifier.is_none_or(word)
            {
                return refuse(format!("name is a function's name or ARN, and not `{name}`"));
            }
            if !is_plain_http(url) {
                return refuse(format!("url begins with http:// and names a host, and is not `{url}`"));
            }
            if !(1..=limits::TIMEOUT_SECONDS).contains(timeout_seconds) {
                return refuse(format!("timeout_seconds is from 1 to {}", limits::TIMEOUT_SECONDS));
            }
            let function = Function {
                account: account.to_owned(),
                region: region.to_owned(),
                name: named.name.to_owned(),
                qualifier: named.qualifier.map(str::to_owned),
                url: url.clone(),
                timeout_seconds: *timeout_seconds,
            };
            let same = |other: &Function| {
                let key =
                    |f: &Function| (f.account.clone(), f.region.clone(), f.name.clone(), f.qualifier.clone());
                key(other) == key(&function)
            };
            if all.iter().any(same) {
                return refuse(format!("{name} is there twice"));
            }
            all.push(function);
        }
        Ok(all)
    }
}

fn is_plain_http(url: &str) -> bool {
    let parsed = url.parse::<hyper::Uri>();
    parsed
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, url: &str, timeout_seconds: u64) -> Result<Vec<Function>, String> {
        let endpoint = Endpoint { name: name.to_owned(), url: url.to_owned(), timeout_seconds };
        let lambda = Lambda { functions: vec![endpoint] };
        lambda.functions(&Server::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn functions_are_of_the_own_account_and_region_unless_said_otherwise() {
        let one = read("approve", "http://127.0.0.1:9000/x", 60).unwrap().remove(0);
        assert_eq!((&*one.account, &*one.region, &*one.name), ("000000000000", "us-east-1", "approve"));
        let arn = "arn:aws:lambda:eu-west-1:111111111111:function:approve:prod";
        let one = read(arn, "http://host/", 1).unwrap().remove(0);
        assert_eq!((&*one.account, &*one.region), ("111111111111", "eu-west-1"));
        assert_eq!(one.qualifier.as_deref(), Some("prod"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (name, url, timeout, what) in [
            ("", "http://h/", 1, "name"),
            ("a b", "http://h/", 1, "name"),
            ("f", "https://h/", 1, "url"),
            ("f", "h:9000", 1, "url"),
            ("f", "http://h/", 0, "timeout_seconds"),
            ("f", "http://h/", 901, "timeout_seconds"),
        ] {
            let refused = read(name, url, timeout).unwrap_err();
            assert!(refused.starts_with(&format!("lambda.functions: {what}")), "{refused}");
        }
    }
}
