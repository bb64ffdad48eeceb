//! Pages of lists: `maxResults` and `nextToken`. A token says after which item to go on, so a list that
//! changes between two pages neither repeats nor skips what stood in both.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};

/// A page that cannot be given. Each service has its own error for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A size out of range.
    #[error("maxResults must be between 1 and {most}.")]
    Size {
        /// The largest page.
        most: i32,
    },
    /// A token that no page gave.
    #[error("Invalid token")]
    Token,
}

/// What begins every token; a token of something else is refused.
const MARK: &str = "rs1:";
/// The longest token that is looked at, in bytes.
const TOKEN_LENGTH: usize = 2048;

/// Which page a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    after: Option<String>,
    limit: usize,
}

impl Request {
    /// Reads the two members that every List operation has, with the default and the greatest page size of the
    /// operation.
    ///
    /// # Errors
    /// A page size or token out of range.
    pub fn read(
        default: i32,
        most: i32,
        max_results: Option<i32>,
        next_token: Option<&str>,
    ) -> Result<Request, Refused> {
        let limit = max_results.unwrap_or(default);
        if !(1..=most).contains(&limit) {
            return Err(Refused::Size { most });
        }
        let limit = usize::try_from(limit).expect("checked to be positive");
        let after = next_token.filter(|token| !token.is_empty()).map(decode).transpose()?;
        Ok(Request { after, limit })
    }

    /// The key after which the page begins.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Takes the page out of `items`, which must come in the order of `key`; gives it and the next token.
    pub fn take<T: Copy>(
        &self,
        items: impl Iterator<Item = T>,
        keeps: impl Fn(T) -> bool,
        key: impl Fn(T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let from =
            items.filter(|item| keeps(*item) && self.after.as_ref().is_none_or(|after| key(*item) > *after));
        let mut page: Vec<T> = from.take(self.limit + 1).collect();
        if page.len() <= self.limit {
            return (page, None);
        }
        page.truncate(self.limit);
        let next = page.last().map(|item| encode(&key(*item)));
        (page, next)
    }
}

impl Request {
    /// Takes the page out of items that already begin behind [`Request::after`], in whatever order.
    pub fn cut<T>(
        &self,
        items: impl Iterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut page: Vec<T> = items.take(self.limit + 1).collect();
        if page.len() <= self.limit {
            return (page, None);
        }
        page.truncate(self.limit);
        let next = page.last().map(|item| encode(&key(item)));
        (page, next)
    }
}

fn encode(key: &str) -> String {
    BASE64.encode(format!("{MARK}{key}"))
}

fn decode(token: &str) -> Result<String, Refused> {
    let bad = || Refused::Token;
    if token.len() > TOKEN_LENGTH {
        return Err(bad());
    }
    let bytes = BASE64.decode(token).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    text.strip_prefix(MARK).map(str::to_owned).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once_and_in_order() {
        let items: Vec<String> = (0..23).map(|n| format!("{n:03}")).collect();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = Request::read(100, 100, Some(5), token.as_deref()).unwrap();
            let (found, next) = page.take(items.iter(), |_| true, String::clone);
            seen.extend(found.into_iter().cloned());
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn sizes_and_tokens_out_of_range_are_refused() {
        for (size, token) in [(Some(0), None), (Some(101), None), (None, Some("!")), (None, Some("eHh4"))] {
            assert!(Request::read(100, 100, size, token).is_err(), "{size:?} {token:?}");
        }
    }
}
