//! Which instances are connected. One socket of a kind for each: a newer one ends the older, and begins
//! only once the older's session is gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Refusal, RefusalKind};

/// How long an older session may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open sockets of one kind.
pub(super) struct Registry {
    max: usize,
    closing: CancellationToken,
    /// By instance ARN. Only looked up, never walked.
    places: parking_lot::Mutex<HashMap<String, Tokens>>,
}

#[derive(Clone)]
struct Tokens {
    generation: u64,
    end: CancellationToken,
    ended: CancellationToken,
}

/// One instance's socket; gives the place up when dropped.
pub(super) struct Place {
    registry: Arc<Registry>,
    instance: String,
    tokens: Tokens,
}

impl Registry {
    pub(super) fn new(max: usize) -> Registry {
        Registry { max, closing: CancellationToken::new(), places: Default::default() }
    }

    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Takes the instance's place, once whoever has it has left.
    pub(super) async fn take(self: &Arc<Registry>, instance: &str) -> Result<Place, Refusal> {
        let refuse = |message: &str| Refusal { kind: RefusalKind::Server, message: message.into() };
        if self.closing.is_cancelled() {
            return Err(refuse("the server is stopping"));
        }
        let (place, before) = {
            let mut places = self.places.lock();
            let before = places.get(instance).cloned();
            if before.is_none() && places.len() >= self.max {
                return Err(refuse("too many agents are connected"));
            }
            let tokens = Tokens {
                generation: before.as_ref().map_or(0, |before| before.generation + 1),
                end: self.closing.child_token(),
                ended: CancellationToken::new(),
            };
            places.insert(instance.to_owned(), tokens.clone());
            (Place { registry: self.clone(), instance: instance.to_owned(), tokens }, before)
        };
        if let Some(before) = before {
            before.end.cancel();
            let left = tokio::time::timeout(PATIENCE, before.ended.cancelled()).await;
            left.map_err(|_| refuse("the instance's previous session has not ended yet"))?;
        }
        Ok(place)
    }
}

impl Place {
    /// Fires when the session must end.
    pub(super) fn end(&self) -> CancellationToken {
        self.tokens.end.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.registry.places.lock();
        if places.get(&self.instance).is_some_and(|t| t.generation == self.tokens.generation) {
            places.remove(&self.instance);
        }
        self.tokens.ended.cancel();
    }
}
