//! What libcontainer logs as errors while it makes a container, sent to the supervisor as it happens. When
//! libcontainer gives up, it first kills all that is in the container's groups, the runner with it: no
//! error ever comes back.

use std::fmt::Write as _;
use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use super::sys;
use crate::native::proto::Progress;

/// Longest note, in bytes: it must fit into one packet, in which any byte may take six.
const NOTE_BYTES_MAX: usize = 1024;

/// Beyond the kernel's error numbers.
const ERRNO_MAX: i32 = 140;

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
        let note = words.plain();
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

/// An event, to be made a line for a user.
#[derive(Default)]
struct Words {
    message: String,
    /// Its error, as programmers read it.
    error: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "err" | "e" => write!(self.error, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl Words {
    fn plain(&self) -> String {
        let mut line = without_structures(&self.message) + &without_structures(&self.fields);
        if let Some(why) = reason(&self.error) {
            line = format!("{line}: {why}");
        }
        line
    }
}

/// Puts the destination in the place of a whole mount, and dots in that of any other value with members.
fn without_structures(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(open) = rest.find(" { ") {
        let name = rest[..open].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        let inside = &rest[open + 3..];
        let mut depth = 1;
        let end = inside.char_indices().find(|(_, letter)| {
            depth += i32::from(*letter == '{') - i32::from(*letter == '}');
            depth == 0
        });
        let end = end.map_or(inside.len(), |(at, _)| at);
        let destination =
            inside[..end].split_once("destination: \"").and_then(|(_, path)| path.split('"').next());
        out.push_str(&rest[..name]);
        out.push_str(destination.unwrap_or("…"));
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    out + rest
}

/// What an error says to a user: the kernel's words for its number, or a text in it.
fn reason(error: &str) -> Option<String> {
    let errno = error
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.starts_with('E'))
        .find_map(|word| (1..ERRNO_MAX).map(Errno::from_raw).find(|errno| format!("{errno:?}") == word));
    let text = || error.split('"').nth(1).filter(|text| !text.is_empty()).map(str::to_owned);
    errno.map(|errno| errno.desc().to_lowercase()).or_else(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_structure_reaches_a_user() {
        let mount = r#"failed to mount Mount { destination: "/run", typ: Some("tmpfs"), options: Some(["a{b}"]) }: EINVAL"#;
        assert_eq!(without_structures(mount), "failed to mount /run: EINVAL");
        assert_eq!(without_structures("a Thing { x: Y { z: 1 } } b"), "a … b");
        assert_eq!(without_structures("plain {text}"), "plain {text}");
        for (error, want) in [
            ("SyscallOther(Nix(EPERM))", Some("operation not permitted")),
            ("Io(Custom { kind: Other, error: \"no such profile\" })", Some("no such profile")),
            ("Unknown", None),
        ] {
            assert_eq!(reason(error).as_deref(), want);
        }
        let words = Words {
            message: "failed to chdir to cwd".into(),
            error: "ENOENT".into(),
            fields: " cwd=\"/x\"".into(),
        };
        assert_eq!(words.plain(), "failed to chdir to cwd cwd=\"/x\": no such file or directory");
    }
}
