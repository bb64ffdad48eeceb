//! How far a pull or a load is, on standard error: on a terminal one line that is drawn anew, elsewhere a line
//! for each layer, and for each so many bytes of a large one.

use std::{
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use image::Progress;

/// Who is told how far it is.
pub type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

/// Between two drawings on a terminal: more are not seen.
const DRAW: Duration = Duration::from_millis(100);
/// Where there is no terminal, a layer has a line after each so many bytes.
const LINE_BYTES: u64 = 64 << 20;

/// Shows progress; what is drawn on a terminal is wiped away when this is dropped.
pub struct Shown(Arc<Mutex<State>>);

struct State {
    is_terminal: bool,
    /// When the line was drawn, if it stands there.
    drawn: Option<Instant>,
    lines: Lines,
}

/// What was said in lines so far.
#[derive(Default)]
struct Lines {
    /// By layer: how many bytes its last line said, and whether that said that it is done.
    layers: Vec<(u64, bool)>,
}

impl Shown {
    /// Begins.
    pub fn new() -> Shown {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let is_terminal = std::io::stderr().is_terminal() && !is_dumb;
        Shown(Arc::new(Mutex::new(State { is_terminal, drawn: None, lines: Lines::default() })))
    }

    /// To be told.
    pub fn listener(&self) -> Listener {
        let state = self.0.clone();
        Arc::new(move |progress| state.lock().unwrap_or_else(PoisonError::into_inner).show(&progress))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.drawn.is_some() {
            write("\r\x1b[K");
        }
    }
}

impl State {
    fn show(&mut self, progress: &Progress) {
        if self.is_terminal {
            if self.drawn.is_none_or(|drawn| drawn.elapsed() >= DRAW) {
                self.drawn = Some(Instant::now());
                write(&format!("\r{}\x1b[K", summary(progress)));
            }
        } else if let Some(line) = self.lines.next(progress) {
            write(&format!("{line}\n"));
        }
    }
}

/// Progress is for people: one that is not there to read it is no failure.
fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Short enough for any terminal.
fn summary(progress: &Progress) -> String {
    let Progress { layers, layers_done, bytes, bytes_done, last } = progress;
    if *layers == 0 {
        return format!("reading {}", share(*bytes_done, *bytes));
    }
    let sum = format!("{layers_done} of {layers} layers, {}", share(*bytes_done, *bytes));
    match last.filter(|last| last.bytes > 0) {
        Some(last) if last.is_done => sum,
        Some(last) => format!("{sum}; layer {}: {}", last.index + 1, share(last.bytes_done, last.bytes)),
        None => sum,
    }
}

impl Lines {
    /// The line that this is worth, if it is.
    fn next(&mut self, progress: &Progress) -> Option<String> {
        let Progress { layers, bytes, bytes_done, last, .. } = progress;
        if *layers == 0 {
            // The archive itself, before its layers are known.
            let slot = self.slot(0);
            let is_due = *bytes_done >= slot.0.saturating_add(LINE_BYTES);
            return is_due.then(|| {
                slot.0 = *bytes_done;
                format!("reading: {}", share(*bytes_done, *bytes))
            });
        }
        let Some(last) = last else {
            // A new image.
            self.layers.clear();
            let what = if *bytes == 0 { "all here".to_owned() } else { format!("{} to come", size(*bytes)) };
            let layers = if *layers == 1 { "1 layer".to_owned() } else { format!("{layers} layers") };
            return Some(format!("{layers}, {what}"));
        };
        let name = format!("layer {} of {layers}", last.index + 1);
        let slot = self.slot(last.index);
        if last.is_done && !slot.1 {
            *slot = (last.bytes_done, true);
            return (last.bytes > 0).then(|| format!("{name}: {}, unpacked", size(last.bytes)));
        }
        if last.bytes_done < slot.0.saturating_add(LINE_BYTES) {
            return None;
        }
        slot.0 = last.bytes_done;
        Some(format!("{name}: {}", share(last.bytes_done, last.bytes)))
    }

    fn slot(&mut self, index: usize) -> &mut (u64, bool) {
        if self.layers.len() <= index {
            self.layers.resize(index + 1, (0, false));
        }
        &mut self.layers[index]
    }
}

fn share(done: u64, all: u64) -> String {
    format!("{} of {}", size(done), size(all))
}

/// Bytes as registries and disks are sold.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    format!("{:.1} {name}", bytes as f64 / unit)
}

#[cfg(test)]
mod tests {
    use image::LayerProgress;

    use super::*;

    fn progress(index: usize, bytes: u64, bytes_done: u64, is_done: bool) -> Progress {
        let last = Some(LayerProgress { index, bytes, bytes_done, is_done });
        Progress { layers: 3, layers_done: 1, bytes: 200_000_000, bytes_done: 70_000_000, last }
    }

    #[test]
    fn off_a_terminal_there_is_a_line_for_a_layer_and_for_so_many_bytes() {
        let mut lines = Lines::default();
        let begin = Progress { layers: 3, bytes: 200_000_000, ..Progress::default() };
        let reading = Progress { bytes: 100_000_000, bytes_done: 70_000_000, ..Progress::default() };
        for (progress, line) in [
            (reading, Some("reading: 70.0 MB of 100.0 MB")),
            (begin, Some("3 layers, 200.0 MB to come")),
            (progress(1, 180_000_000, 10_000_000, false), None),
            (progress(1, 180_000_000, 67_200_000, false), Some("layer 2 of 3: 67.2 MB of 180.0 MB")),
            (progress(1, 180_000_000, 67_200_001, false), None),
            (progress(0, 0, 0, true), None),
            (progress(2, 1500, 1500, true), Some("layer 3 of 3: 1.5 kB, unpacked")),
            (progress(2, 1500, 1500, true), None),
            (progress(1, 180_000_000, 180_000_000, true), Some("layer 2 of 3: 180.0 MB, unpacked")),
            (Progress { layers: 1, ..Progress::default() }, Some("1 layer, all here")),
        ] {
            assert_eq!(lines.next(&progress).as_deref(), line, "{progress:?}");
        }
    }

    #[test]
    fn the_line_of_a_terminal_is_short() {
        for (progress, line) in [
            (
                progress(1, 180_000_000, 1, false),
                "1 of 3 layers, 70.0 MB of 200.0 MB; layer 2: 0.0 kB of 180.0 MB",
            ),
            (progress(1, 180_000_000, 180_000_000, true), "1 of 3 layers, 70.0 MB of 200.0 MB"),
            (Progress { bytes: 2_500_000_000, ..Progress::default() }, "reading 0.0 kB of 2.5 GB"),
        ] {
            assert_eq!(summary(&progress), line);
            assert!(line.len() < 79);
        }
    }
}
