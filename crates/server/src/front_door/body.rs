//! A request's body as a stream, which its handler takes as fast as it can use it: no more of it is read than that. It
//! has its part of the room of all bodies, a longest length, and may not come too slowly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::Error;
use wire::sigv4::Payload;

use super::bodies::{Bodies, take};

/// So many bytes have to come, or the rest, within the time that a body may be waited for.
const PROGRESS: usize = 16 * 1024;

/// A body that has not been read yet. Dropped before its end, it ends the connection.
pub struct BodyStream {
    body: Option<Incoming>,
    /// It came whole.
    ended: bool,
    payload: Payload,
    limit: u64,
    come: u64,
    room: Arc<Semaphore>,
    window: usize,
    held: Option<OwnedSemaphorePermit>,
    patience: Duration,
    /// How long was waited, and what came, since there was progress.
    waited: Duration,
    since: usize,
}

impl BodyStream {
    /// Of at most `limit` bytes, which are waited for for `patience` at a time.
    pub(super) fn new(
        body: Incoming,
        payload: Payload,
        limit: u64,
        room: &Bodies,
        patience: Duration,
    ) -> BodyStream {
        BodyStream {
            body: Some(body),
            ended: false,
            payload,
            limit,
            come: 0,
            room: room.streamed.clone(),
            window: room.window(),
            held: None,
            patience,
            waited: Duration::ZERO,
            since: 0,
        }
    }

    /// One without anything in it.
    #[cfg(test)]
    pub(crate) fn empty() -> BodyStream {
        let (room, patience) = (Bodies::new(0), Duration::ZERO);
        BodyStream {
            body: None,
            ended: true,
            payload: Payload::any(),
            limit: 0,
            come: 0,
            room: room.streamed.clone(),
            window: 0,
            held: None,
            patience,
            waited: patience,
            since: 0,
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn whole(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut all = vec![first];
        while let Some(piece) = self.next().await? {
            all.push(piece);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { all.concat().into() })
    }

    /// The next piece; `None` at the end, once the whole is what the signature covers. What came before the end may
    /// be anything, and must have no effect that lasts.
    ///
    /// # Errors
    /// Too long, too slow, cut, or not what was signed. There is nothing more then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let cut = || Error::new("IncompleteBody", 400, "The request's body ended too early");
        let Some(mut body) = self.body.take() else {
            return if self.ended { Ok(None) } else { Err(cut()) };
        };
        let begun = Instant::now();
        let left = self.patience.saturating_sub(self.waited);
        let reading = async {
            if self.held.is_none() {
                let length = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
                self.held = take(&self.room, length.unwrap_or(self.window).min(self.window)).await;
            }
            body.frame().await
        };
        let Ok(frame) = tokio::time::timeout(left, reading).await else {
            let text = "The request's body did not come in time";
            return Err(Error::new("RequestTimeoutException", 408, text));
        };
        let Some(frame) = frame else { return self.end().map(|()| None) };
        // Trailers say nothing that is signed.
        let piece = frame.map_err(|_| cut())?.into_data().unwrap_or_default();
        self.come += piece.len() as u64;
        if self.come > self.limit {
            return Err(too_long(self.limit));
        }
        self.payload.piece(&piece);
        self.waited += begun.elapsed();
        self.since += piece.len();
        if self.since >= PROGRESS {
            (self.since, self.waited) = (0, Duration::ZERO);
        }
        self.body = Some(body);
        Ok(Some(piece))
    }

    fn end(&mut self) -> Result<(), Error> {
        self.held = None;
        let payload = std::mem::replace(&mut self.payload, Payload::any());
        self.ended = payload.end().is_ok();
        if self.ended {
            return Ok(());
        }
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        Err(Error::new("XAmzContentSHA256Mismatch", 400, text))
    }
}

/// A body of more than `limit` bytes.
pub(super) fn too_long(limit: u64) -> Error {
    let text = format!("The request's body is longer than {limit} bytes");
    Error::new("RequestEntityTooLargeException", 413, text)
}
