//! Both sides come to the same, whoever fails in between, and from whatever each begins with.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};
use state::{
    Agenda, Change, Ctx, Domain, Txn,
    contract::{Interface, InterfaceWanted, Interfaces},
};
use store::{Store, memory::Memory};

use super::*;
use crate::runtime::{
    Shards,
    testing::{self, place, plain, until},
};

/// That a task was told something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeardRow {
    task: Id128,
    text: String,
}

impl state::Row for HeardRow {
    fn weight(&self) -> usize {
        128
    }
}

mod table {
    use state::{Id128, contract::InterfaceWanted};

    use super::HeardRow;

    state::rows! {
        /// Tasks.
        "wanted" Wanted(InterfaceWanted, Id128): |row| row.task,
        "heard" Heard(HeardRow, Id128): |row| row.task,
    }
}
use table::{Key, Row};

/// Tasks that write down what they hear.
#[derive(Clone, Default)]
struct Tasks {
    wanted: BTreeMap<Id128, Arc<InterfaceWanted>>,
    heard: BTreeMap<Id128, String>,
    agenda: Agenda<Key, ()>,
}

impl Domain for Tasks {
    plain!("tasks", (), Key::Heard(Id128(0)));

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Wanted(row)) => drop(self.wanted.insert(row.task, row.clone())),
            Change::Put(Row::Heard(row)) => drop(self.heard.insert(row.task, row.text.clone())),
            Change::Delete(Key::Wanted(id)) => drop(self.wanted.remove(id)),
            Change::Delete(Key::Heard(id)) => drop(self.heard.remove(id)),
        }
    }
}

impl Wants for Tasks {
    fn wanted(&self, task: Id128) -> Option<&Arc<InterfaceWanted>> {
        self.wanted.get(&task)
    }

    fn concerned(&self) -> Vec<Id128> {
        self.wanted.keys().copied().collect()
    }

    fn concerns(key: &Key) -> Option<Id128> {
        match key {
            Key::Wanted(id) => Some(*id),
            Key::Heard(_) => None,
        }
    }

    /// A few at a time.
    fn hear(txn: &mut Txn<Tasks>, mut told: Vec<(Id128, Given)>) -> Vec<(Id128, Given)> {
        let left = told.split_off(told.len().min(3));
        for (task, given) in told {
            let text = match given {
                Given::Interface(interface) => interface.id,
                Given::Refused { code, .. } => code,
                Given::Gone => "gone".to_owned(),
            };
            if txn.state.heard.get(&task) != Some(&text) {
                txn.put(HeardRow { task, text });
            }
        }
        left
    }
}

/// The other side: rows of interfaces in a shard of its own.
#[derive(Clone, Default)]
struct Made {
    made: BTreeMap<Id128, Arc<InterfaceWanted>>,
    agenda: Agenda<Key, ()>,
}

impl Domain for Made {
    plain!("made", (), Key::Heard(Id128(0)));

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Wanted(row)) => drop(self.made.insert(row.task, row.clone())),
            Change::Delete(Key::Wanted(id)) => drop(self.made.remove(id)),
            _ => {}
        }
    }
}

impl Interfaces for Made {
    fn bring(txn: &mut Txn<Made>, _sender: &str, wants: &[Want]) -> Vec<(Id128, Given)> {
        let one = |(task, wanted): &Want| {
            let given = match wanted {
                Some(wanted) if wanted.subnet == "full" => {
                    Given::Refused { code: "full".to_owned(), message: String::new() }
                }
                Some(wanted) => {
                    if !txn.state.made.contains_key(task) {
                        txn.put(wanted.as_ref().clone());
                    }
                    Given::Interface(Box::new(Interface { id: task.to_string(), ..Interface::default() }))
                }
                None => {
                    if txn.state.made.contains_key(task) {
                        txn.delete(Key::Wanted(*task));
                    }
                    Given::Gone
                }
            };
            (*task, given)
        };
        wants.iter().take(7).map(one).collect()
    }

    fn given_to(&self, _sender: &str) -> Vec<Id128> {
        self.made.keys().copied().collect()
    }

    fn on_host(&self, _: &str, _: &str, _: &[Id128]) -> HostNetwork {
        HostNetwork::default()
    }

    fn touched(_: &state::Delta<Made>) -> Option<Vec<String>> {
        None
    }

    fn network(&self, _: &Ctx, _: &[String], _: &[String]) -> Result<Network, NotANetwork> {
        Err(NotANetwork::Unknown)
    }
}

struct Sea {
    made: Shards<Made>,
    is_there: AtomicBool,
    fails: AtomicBool,
}

#[async_trait]
impl Vpcs for Sea {
    fn network(&self, _: &Place, _: &[String], _: &[String]) -> Result<Network, NotANetwork> {
        Err(NotANetwork::Unknown)
    }

    fn given_to(&self, place: &Place, sender: &str) -> Option<Vec<Id128>> {
        let is_there = self.is_there.load(Ordering::SeqCst);
        is_there.then(|| self.made.of(place).unwrap().read().state.given_to(sender))
    }

    fn on_host(&self, _: &Place, _: &str, _: &[Id128]) -> Option<HostNetwork> {
        None
    }

    fn listen(&self, _: &Place) -> Option<Ear> {
        None
    }

    async fn bring(
        &self,
        place: &Place,
        sender: String,
        wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error> {
        let shard = self.made.of(place)?;
        let given = shard.execute("", move |txn| Ok(Made::bring(txn, &sender, &wants))).await?;
        // What was done is done, whether or not anybody hears of it.
        match self.fails.swap(false, Ordering::SeqCst) {
            true => Err(Error::internal("lost")),
            false => Ok(Some(given)),
        }
    }
}

fn want(task: u128, subnet: &str) -> InterfaceWanted {
    InterfaceWanted {
        task: Id128(task),
        subnet: subnet.to_owned(),
        groups: vec!["sg".to_owned()],
        public: false,
        description: String::new(),
        instance: None,
        at: None,
        tags: Vec::new(),
        has: None,
    }
}

async fn forget(shard: &Shard<Tasks>, tasks: impl IntoIterator<Item = u128>) {
    let tasks: Vec<u128> = tasks.into_iter().collect();
    let forget = move |txn: &mut Txn<Tasks>| {
        tasks.iter().for_each(|task| txn.delete(Key::Wanted(Id128(*task))));
        Ok(())
    };
    shard.execute("", forget).await.unwrap();
}

#[tokio::test]
async fn what_is_wanted_is_made_and_what_is_not_goes_whoever_fails() {
    let store = Arc::new(Memory::new());
    let sea = Arc::new(Sea {
        made: testing::open(&store, |_| {}),
        is_there: AtomicBool::new(false),
        fails: AtomicBool::new(true),
    });
    // One that nobody wants is there from before.
    testing::write(&sea.made.of(&place()).unwrap(), [want(99, "s")]).await.unwrap();
    let vpcs: Arc<dyn Vpcs> = sea.clone();
    let tasks: Shards<Tasks> = testing::open(&store, move |shard| start(shard, vpcs.clone()));
    let shard = tasks.of(&place()).unwrap();
    testing::write(&shard, (0..20).map(|task| want(task, if task == 5 { "full" } else { "s" })))
        .await
        .unwrap();
    sea.is_there.store(true, Ordering::SeqCst);
    let heard = |count: usize, text: &'static str| {
        let shard = shard.clone();
        move || shard.read().state.heard.values().filter(|heard| *heard == text).count() == count
    };
    until("all hear of theirs", || shard.read().state.heard.len() == 21).await;
    assert!(heard(1, "full")() && heard(1, "gone")());
    let made = || sea.made.of(&place()).unwrap().read().state.made.len();
    assert_eq!(made(), 19);
    sea.fails.store(true, Ordering::SeqCst);
    forget(&shard, 0..10).await;
    until("they go", heard(11, "gone")).await;
    assert_eq!(made(), 10);
    // A restart finds what was wanted and not made, and what was made and is not wanted.
    drop((shard, tasks));
    let quiet: Shards<Tasks> = testing::open(&store, |_| {});
    let shard = quiet.of(&place()).unwrap();
    testing::write(&shard, [want(50, "s")]).await.unwrap();
    forget(&shard, [15]).await;
    drop((shard, quiet));
    let vpcs: Arc<dyn Vpcs> = sea.clone();
    let tasks: Shards<Tasks> = testing::open(&store, move |shard| start(shard, vpcs.clone()));
    let shard = tasks.of(&place()).unwrap();
    until("it is made", || shard.read().state.heard.contains_key(&Id128(50))).await;
    until("it goes", || shard.read().state.heard.get(&Id128(15)).is_some_and(|text| text == "gone")).await;
    assert_eq!(made(), 10);
    assert!(store.revision() > 0);
}
