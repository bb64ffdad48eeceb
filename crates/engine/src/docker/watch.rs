//! Hints that a container has written: by inotify, of the files in which Docker keeps its output.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::sync::broadcast;

use crate::spec::ContainerId;
use crate::state::Event;

/// Who waits for which file, by the kernel's number for that.
type Waiting = Arc<Mutex<HashMap<i32, ContainerId>>>;

/// Tells once of each file that somebody waits for.
pub(super) struct Watch {
    files: Arc<AsyncFd<OwnedFd>>,
    waiting: Waiting,
    events: broadcast::Sender<Event>,
    reader: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// To be called in a runtime.
    pub(super) fn open(events: broadcast::Sender<Event>) -> io::Result<Watch> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        // SAFETY: the descriptor is owned by what is made of it, and is neither replaced nor closed before.
        let files = Arc::new(unsafe { AsyncFd::register(fd) }?);
        let waiting = Waiting::default();
        let reader = tokio::spawn(read(files.clone(), waiting.clone(), events.clone()));
        Ok(Watch { files, waiting, events, reader })
    }

    /// Tells when the file grows beyond `length`, at once if it has.
    pub(super) fn add(&self, id: &ContainerId, path: &Path, length: u64) -> io::Result<()> {
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::ONESHOT;
        {
            // Held until it is noted: the reader might be told before.
            let mut waiting = self.waiting.lock();
            let number = inotify::add_watch(self.files.get_ref(), path, flags)?;
            waiting.insert(number, id.clone());
        }
        if std::fs::metadata(path)?.len() > length {
            let _ = self.events.send(Event::Output { id: id.clone() });
        }
        Ok(())
    }

    /// Nobody waits for a task any more.
    pub(super) fn forget(&self, task: &str) {
        self.waiting.lock().retain(|_, id| id.task != task);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(files: Arc<AsyncFd<OwnedFd>>, waiting: Waiting, events: broadcast::Sender<Event>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    loop {
        let Ok(mut ready) = files.readable().await else { return };
        let mut reader = inotify::Reader::new(files.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let id = waiting.lock().remove(&event.wd());
                    if let Some(id) = id {
                        // Nobody listens: nobody needs to know.
                        let _ = events.send(Event::Output { id });
                    }
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "it is not heard any more when containers write");
                    return;
                }
            }
        }
        ready.clear_ready();
    }
}
