//! Hears the engine, and passes on what happens to the tasks it happens to.

use std::sync::Arc;

use engine::Event;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Host, Message};
use crate::task::Fact;

impl Host {
    /// Passes the engine's events on, for as long as the engine lives.
    pub async fn listen(self: Arc<Host>, mut events: Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(Event::Exited { id, exit }) => self.exited(&id, exit),
                Ok(Event::Output { id }) => {
                    if let Some(shipper) = self.output.lock().get(&id) {
                        shipper.notify_one();
                    }
                }
                Ok(Event::Missed) | Err(RecvError::Lagged(_)) => self.resync().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn exited(&self, id: &engine::ContainerId, exit: engine::Exit) {
        let handle = self.tasks.lock().get(&id.task).cloned();
        let Some(handle) = handle else { return };
        let index = handle.snapshot.lock().containers.iter().position(|c| c.id == *id);
        if let Some(index) = index {
            // The actor may have ended meanwhile; then it knows more than this.
            let _ = handle.mailbox.send(Message::Fact(Fact::Exited(index, exit)));
        }
    }

    /// Events were missed: shows every task how it stands in the engine.
    async fn resync(&self) {
        let found = self.found().await;
        let ids: Vec<engine::TaskId> = self.tasks.lock().keys().cloned().collect();
        for id in ids {
            if let Some(task) = found.iter().find(|found| found.task == id) {
                self.tell(&id, Message::Resync(task.clone()));
            }
        }
        self.output.lock().values().for_each(|shipper| shipper.notify_one());
    }
}
