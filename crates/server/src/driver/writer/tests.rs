//! One writer over a state of plain texts: what one command, or a timer, does wrong harms no other.

use std::collections::BTreeMap;

use store::memory::Memory;

use super::*;

/// Rows by key. The time of the row `wake`, if there is one, is that of the timer.
#[derive(Clone, Default)]
struct Texts(BTreeMap<String, String>);

impl Machine for Texts {
    type Change = (String, String);

    fn encode(&self, (key, value): &(String, String)) -> store::Change {
        store::Change::Put { key: key.clone(), value: value.clone().into() }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.0.get("wake").map(|_| Timestamp(0))
    }
}

fn put(state: &Texts, key: &str, value: &str) -> Outcome<Texts> {
    let change = (key.to_owned(), value.to_owned());
    let mut state = state.clone();
    state.0.insert(change.0.clone(), change.1.clone());
    Outcome { state, changes: vec![change], effect: None }
}

async fn write(handle: &Handle<Texts>, key: &str, value: &str) -> Result<(), wire::Error> {
    let (key, value) = (key.to_owned(), value.to_owned());
    handle.execute(move |state, _| Ok((put(state, &key, &value), ()))).await
}

fn keys(handle: &Handle<Texts>) -> Vec<String> {
    handle.read().state.0.keys().cloned().collect()
}

#[tokio::test]
async fn what_no_store_takes_fails_alone() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let handle = Handle::start(Texts::default(), store.clone(), Arc::new(|_, _| None));
    let (long, key) = ("x".repeat(store::limits::MAX_VALUE_BYTES + 1), "k".repeat(2000));
    let (one, two, three, four) = tokio::join!(
        write(&handle, "one", "1"),
        write(&handle, "two", &long),
        write(&handle, &key, "1"),
        write(&handle, "four", "1"),
    );
    assert_eq!((one, four), (Ok(()), Ok(())));
    for refused in [two, three] {
        assert_eq!(refused.unwrap_err().code(), "ServerException");
    }
    assert_eq!(keys(&handle), ["four", "one"], "the state holds what is stored and no more");
    assert!(store.get("four").unwrap().is_some() && store.get("two").unwrap().is_none());
}

#[tokio::test]
async fn commands_go_on_while_a_timer_fails() {
    for panics in [true, false] {
        let tick: Tick<Texts> = Arc::new(move |state, _| {
            state.0.get("wake")?;
            assert!(!panics, "a timer that breaks an assertion");
            Some(put(state, &"k".repeat(2000), "1"))
        });
        let handle = Handle::start(Texts::default(), Arc::new(Memory::new()), tick);
        for key in ["wake", "one", "two"] {
            assert_eq!(write(&handle, key, "1").await, Ok(()), "panics: {panics}");
        }
        assert_eq!(keys(&handle), ["one", "two", "wake"]);
    }
}
