//! What a request is answered with: whole, or as a stream of pieces.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::places::{Open, Place, Places};

/// The body of a reply.
pub struct ReplyBody(Inner);

enum Inner {
    Whole(Bytes),
    Stream(Pieces, Option<OwnedSemaphorePermit>),
}

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl ReplyBody {
    /// Pieces as they come, of some 64 KiB at most each. One is asked for when the client has taken most of those before
    /// it. An error cuts the connection, by which the client knows that it does not have the whole.
    pub fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> ReplyBody {
        ReplyBody(Inner::Stream(Box::pin(pieces), None))
    }

    /// Whether it comes in pieces.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Inner::Stream(..))
    }

    /// Keeps the place of a stream among all streams until it ends.
    pub(super) fn hold(&mut self, place: OwnedSemaphorePermit) {
        if let Inner::Stream(_, held) = &mut self.0 {
            *held = Some(place);
        }
    }
}

impl From<Bytes> for ReplyBody {
    fn from(whole: Bytes) -> ReplyBody {
        ReplyBody(Inner::Whole(whole))
    }
}

impl Default for ReplyBody {
    fn default() -> ReplyBody {
        Bytes::new().into()
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Inner::Whole(whole) if whole.is_empty() => Poll::Ready(None),
            Inner::Whole(whole) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(whole))))),
            Inner::Stream(pieces, _) => {
                pieces.as_mut().poll_next(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Whole(whole) if whole.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(whole) => SizeHint::with_exact(whole.len() as u64),
            Inner::Stream(..) => SizeHint::default(),
        }
    }
}

/// A reply on its way: its bytes count as waiting until the client has taken them, and while a stream goes on its
/// connection is busy.
pub(super) struct Sent {
    body: ReplyBody,
    places: Arc<Places>,
    place: Arc<Place>,
    /// Last: what it answers is over when all else is.
    _open: Open,
}

impl Sent {
    pub fn new(body: ReplyBody, places: &Arc<Places>, place: &Arc<Place>, open: Open) -> Sent {
        let body = match body.0 {
            Inner::Whole(whole) => {
                place.answered();
                places.counted(place, whole).into()
            }
            stream @ Inner::Stream(..) => ReplyBody(stream),
        };
        Sent { body, places: places.clone(), place: place.clone(), _open: open }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let streams = this.body.is_stream();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if !streams {
            return polled;
        }
        polled.map(|frame| {
            frame.map(|frame| {
                this.place.asked();
                frame.map(|frame| frame.map_data(|piece| this.places.counted(&this.place, piece)))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.body.is_stream() {
            self.place.answered();
        }
    }
}
