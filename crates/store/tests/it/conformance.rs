//! Both engines against the one suite.

use std::sync::Arc;

use store::Store;
use store::conformance::Setup;

fn memory(setup: Setup) -> Arc<dyn Store> {
    Arc::new(store::memory::Memory::with(setup.clock, setup.history))
}

mod memory_engine {
    store::conformance_tests!(super::memory);
}

fn sqlite(dir: &std::path::Path, setup: Setup) -> Arc<dyn Store> {
    let history = store::sqlite::HistoryLimits { changes: setup.history as u64, ..Default::default() };
    let options = store::sqlite::Options { clock: setup.clock, history, keeps_room: true };
    Arc::new(store::sqlite::Sqlite::open(&dir.join("state.db"), options).expect("a new store opens"))
}

mod sqlite_engine {
    fn make(setup: store::conformance::Setup) -> std::sync::Arc<dyn store::Store> {
        // The directory goes with the test's thread, after the store.
        thread_local!(static DIR: tempfile::TempDir = tempfile::tempdir().expect("a directory"));
        DIR.with(|dir| super::sqlite(dir.path(), setup))
    }
    store::conformance_tests!(make);
}
