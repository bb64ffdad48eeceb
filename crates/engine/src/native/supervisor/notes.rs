//! What libcontainer logs as errors while it makes a container, sent to the supervisor as it happens. When
//! libcontainer gives up, it first kills all that is in the container's groups, the runner with it: no
//! error ever comes back.

use std::fmt::Write as _;
use std::os::fd::{BorrowedFd, RawFd};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use super::sys;
use crate::native::proto::Progress;

/// Longest note, in bytes: it must fit into one packet, in which any byte may take six.
const NOTE_BYTES_MAX: usize = 1024;

/// Sends notes on a socket that is open for as long as this is.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) status: RawFd,
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let note = words.message + &words.fields;
        let note = note[..note.floor_char_boundary(NOTE_BYTES_MAX)].to_owned();
        let packet = serde_json::to_vec(&Progress::Note(note)).unwrap_or_default();
        // SAFETY: open, as said above.
        let status = unsafe { BorrowedFd::borrow_raw(self.status) };
        let _ = sys::send(status, &packet, None);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// An event as a line.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
