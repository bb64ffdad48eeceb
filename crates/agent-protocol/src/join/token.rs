//! The text of a token: `rs1.` and, in base64 for URLs, where the control plane is, by which CAs it is known, and the secret.
//! Whoever reads the text can join one host; it is never in a log or an error.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::AUTHORITIES;

/// How every token begins.
const PREFIX: &str = "rs1.";
/// Characters of a token, at the most.
const LENGTH: usize = 4096;
/// Digits of an id.
const ID: usize = 16;
/// Digits of a fingerprint.
const FINGERPRINT: usize = 64;

/// A token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The control plane, `https://host:port`.
    #[serde(rename = "e")]
    pub endpoint: String,
    /// The fingerprints of its CAs: the certificate of one of them has to come with the server's.
    #[serde(rename = "a")]
    pub authorities: Vec<String>,
    /// By which it is stored, listed and revoked: 16 hexadecimal digits.
    #[serde(rename = "i")]
    pub id: String,
    /// What it is worth.
    #[serde(rename = "s")]
    pub secret: String,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is no token: one begins with {PREFIX}")]
    Foreign,
    #[error("the token is damaged or cut short")]
    Damaged,
    #[error("the token is of a version that is not known here")]
    Version,
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// Why the text is none; without the text.
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            let newer =
                text.strip_prefix("rs").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            return Err(if newer { TokenError::Version } else { TokenError::Foreign });
        };
        if text.len() > LENGTH {
            return Err(TokenError::Damaged);
        }
        let json = BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?;
        let token: Token = serde_json::from_slice(&json).map_err(|_| TokenError::Damaged)?;
        let whole = is_id(&token.id)
            && token.secret.len() >= 32
            && (1..=AUTHORITIES).contains(&token.authorities.len())
            && token.authorities.iter().all(|of| is_hex(of, FINGERPRINT))
            && token.endpoint.strip_prefix("https://").is_some_and(|host| !host.is_empty());
        if whole { Ok(token) } else { Err(TokenError::Damaged) }
    }

    /// The text to carry to a host.
    pub fn to_text(&self) -> String {
        // Texts and lists of texts always are JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
    }
}

impl fmt::Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Whether it is the id of a token; such a text is a safe name of a file.
pub fn is_id(text: &str) -> bool {
    is_hex(text, ID)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            endpoint: "https://10.0.0.1:4567".to_owned(),
            authorities: vec!["0a".repeat(32)],
            id: "0123456789abcdef".to_owned(),
            secret: "s".repeat(43),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let text = token().to_text();
        assert!(text.starts_with("rs1."));
        assert_eq!(Token::parse(&format!(" {text}\n")), Ok(token()));
        assert!(!format!("{:?}", token()).contains("sss"));
    }

    #[test]
    fn what_is_no_token_says_why() {
        let whole = token().to_text();
        for length in 4..whole.len() {
            assert_eq!(Token::parse(&whole[..length]), Err(TokenError::Damaged), "{length}");
        }
        for other in ["", "rs", "K10abc::server:x", "é"] {
            assert_eq!(Token::parse(other), Err(TokenError::Foreign), "{other}");
        }
        assert_eq!(Token::parse("rs2.AAAA"), Err(TokenError::Version));
        assert_eq!(Token::parse(&format!("rs1.{}", "A".repeat(5000))), Err(TokenError::Damaged));
        for bad in [
            Token { endpoint: "http://10.0.0.1".to_owned(), ..token() },
            Token { authorities: Vec::new(), ..token() },
            Token { authorities: vec!["zz".repeat(32)], ..token() },
            Token { id: "../../etc/passwd".to_owned(), ..token() },
            Token { secret: "short".to_owned(), ..token() },
        ] {
            assert_eq!(Token::parse(&bad.to_text()), Err(TokenError::Damaged), "{bad:?}");
        }
    }
}
