//! Authentication: the registry challenges, and is answered with a password or with a token from the
//! token server that it names.

use http_auth::ChallengeRef;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::client::{bounded_body, send};
use super::words;
use super::{Auth, transport};
use crate::{Error, Reference, Result, limits};

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A user and a password.
    Basic,
    /// A token from `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The challenge of an answer; a token is preferred.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Self> = values
            .filter_map(|value| http_auth::parse_challenges(value).ok())
            .flatten()
            .filter_map(read)
            .collect();
        let bearer = challenges.iter().find(|c| matches!(c, Self::Bearer { .. })).cloned();
        bearer.or_else(|| challenges.into_iter().next())
    }
}

fn read(challenge: ChallengeRef<'_>) -> Option<Challenge> {
    let parameter = |name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        Some(Challenge::Basic)
    } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
        let realm = parameter("realm")?;
        Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") })
    } else {
        None
    }
}

/// The credentials to make a request with.
#[derive(Clone)]
pub enum Credentials {
    /// Until the registry asks for others.
    None,
    /// As given.
    Basic { username: String, password: String },
    /// From a token server, or as given.
    Bearer(String),
}

impl Credentials {
    /// Puts them on a request.
    pub fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Bearer(token) => match HeaderValue::from_str(&format!("Bearer {token}")) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    request.header(reqwest::header::AUTHORIZATION, value)
                }
                Err(_) => request,
            },
        }
    }
}

/// Answers a challenge.
pub async fn answer(
    http: &reqwest::Client,
    reference: &Reference,
    auth: &Auth,
    challenge: Challenge,
    insecure: &[String],
) -> Result<Credentials> {
    match (challenge, auth) {
        (_, Auth::Bearer(token)) => Ok(Credentials::Bearer(token.clone())),
        (Challenge::Basic, Auth::Basic { username, password }) => {
            Ok(Credentials::Basic { username: username.clone(), password: password.clone() })
        }
        (Challenge::Basic, Auth::Anonymous) => {
            Err(words::denied(reference, Some("no basic auth credentials")))
        }
        (Challenge::Bearer { realm, service, scope }, auth) => {
            let mut url = token_url(&realm, insecure)?;
            let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", reference.repository()));
            url.query_pairs_mut().append_pair("scope", &scope);
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", &service);
            }
            let mut request = http.get(url);
            if let Auth::Basic { username, password } = auth {
                request = request.basic_auth(username, Some(password));
            }
            fetch_token(reference, request).await.map(Credentials::Bearer)
        }
    }
}

/// Passwords are told to this server, so it must be one that nobody can listen to.
fn token_url(realm: &str, insecure: &[String]) -> Result<Url> {
    let url = Url::parse(realm)
        .map_err(|_| Error::Invalid(format!("the registry's token server {realm:?} is no URL")))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if transport::may_be_plain(&transport::host_of(&url), insecure) => Ok(url),
        _ => Err(Error::Invalid(format!("the registry's token server {realm} does not speak HTTPS"))),
    }
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

async fn fetch_token(reference: &Reference, request: RequestBuilder) -> Result<String> {
    let response = send(request).await?;
    let status = response.status();
    let body = bounded_body(response, limits::TOKEN_BYTES_MAX).await?;
    if status == StatusCode::UNAUTHORIZED {
        return Err(words::denied(reference, Some("unauthorized: incorrect username or password")));
    }
    if !status.is_success() {
        return Err(words::refusal(reference, words::Wanted::Blob, status, &body));
    }
    let answer: Token = serde_json::from_slice(&body)
        .map_err(|_| Error::invalid("the registry's token server gave no token"))?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    if token.is_empty() {
        Err(Error::invalid("the registry's token server gave no token"))
    } else {
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        let token = Challenge::Bearer {
            realm: "https://auth.docker.io/token".into(),
            service: Some("registry.docker.io".into()),
            scope: Some("repository:library/nginx:pull".into()),
        };
        assert_eq!(challenge(&[hub]), Some(token.clone()));
        assert_eq!(challenge(&["Basic realm=\"x\"", hub]), Some(token));
        assert_eq!(challenge(&["basic realm=\"x\""]), Some(Challenge::Basic));
        for nothing in ["", "Bearer", "Digest realm=\"x\"", "Bearer realm=\"", "\"", "Bearer service=\"x\""] {
            assert_eq!(challenge(&[nothing]), None, "{nothing}");
        }
    }

    #[test]
    fn passwords_go_nowhere_in_plain_text() {
        for (realm, taken) in [
            ("https://auth.example.com/token", true),
            ("http://127.0.0.1:5000/token", true),
            ("http://auth.example.com/token", false),
            ("ftp://auth.example.com/token", false),
            ("/token", false),
        ] {
            assert_eq!(token_url(realm, &[]).is_ok(), taken, "{realm}");
        }
        assert!(token_url("http://auth.example.com/token", &["auth.example.com".into()]).is_ok());
    }
}
