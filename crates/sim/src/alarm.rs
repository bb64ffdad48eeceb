//! Hears what the program logs as its own mistakes: whatever breaks an assertion is contained there, and is a broken
//! promise here.

use std::{fmt::Write, sync::Arc};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};

use crate::world::World;

/// See the module.
pub struct Alarm(pub Arc<World>);

/// What is no one's fault but ours.
const MISTAKES: [&str; 3] = ["breaks an assertion", "broke an assertion", "cannot be read"];

impl Subscriber for Alarm {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR || self.0.tells() && *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.tells() { LevelFilter::INFO } else { LevelFilter::ERROR })
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.tell(|| format!("{}{}", event.metadata().target(), text.0));
        if MISTAKES.iter().any(|mistake| text.0.contains(mistake)) {
            self.0.fail(format!("the log says:{}", text.0));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Into a text nothing fails.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
