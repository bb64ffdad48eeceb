//! A domain: one service's logic and rows.

use wire::Timestamp;

use crate::{Agenda, Change, ShardId, Table, Txn};

/// The state of one shard: its rows with the indexes derived from them. Cloning is cheap (persistent maps): a
/// snapshot is a clone.
pub trait Domain: Clone + Send + Sync + Sized + 'static {
    /// Its rows.
    type Rows: Table;
    /// What is settled on its own, once for all that a batch has changed.
    type Mark: Clone + Ord + std::fmt::Debug + Send + Sync + 'static;
    /// What it may read of others while it works: snapshots, and never a write.
    type Ports: Send + Sync + 'static;

    /// The service whose state it is: a part of every key.
    const SERVICE: &'static str;

    /// A shard with nothing in it.
    fn new(shard: &ShardId) -> Self;

    /// What there is still to do.
    fn agenda(&self) -> &Agenda<KeyOf<Self>, Self::Mark>;

    /// Likewise.
    fn agenda_mut(&mut self) -> &mut Agenda<KeyOf<Self>, Self::Mark>;

    /// When a row has to be looked at, as the row says it. A domain in which nothing waits for a time says nothing of
    /// this, nor of [`Domain::due`] and what follows from it.
    fn timer(&self, _key: &KeyOf<Self>) -> Option<Timestamp> {
        None
    }

    /// Takes a change into the rows and every index, and marks what has to be settled for it. The only place that
    /// changes either: loading, committing and following run the same code. Called by [`Domain::apply`] alone.
    fn take(&mut self, change: &Change<Self::Rows>);

    /// The time of a row has come.
    fn due(_txn: &mut Txn<Self>, _key: KeyOf<Self>) {}

    /// Brings what was marked as far as it can go now.
    fn settle(txn: &mut Txn<Self>, mark: Self::Mark);

    /// The row that a mark belongs to: what breaks an assertion is set aside by it.
    fn marked(&self, mark: &Self::Mark) -> KeyOf<Self>;

    /// Whether a row that is due is about to be forgotten. When the clock was set ahead, it is kept for
    /// [`Domain::KEPT_MS`] more: what seems old may have come about a moment ago, and somebody waits to see it.
    fn forgets(&self, _key: &KeyOf<Self>) -> bool {
        false
    }

    /// How long such a row is kept at the most, in milliseconds.
    const KEPT_MS: i64 = 0;

    /// The shortest time that anything waits for, in milliseconds: what waits for less is not looked at when the
    /// clock was set back.
    const SHORTEST_MS: i64 = 0;

    /// The clock was set back, perhaps while nothing ran: the row waits no longer than one of its kind ever does.
    fn set_back(_txn: &mut Txn<Self>, _key: KeyOf<Self>) {}

    /// How many rows, and about how many bytes of them, [`Domain::announce`] writes for a change at the most: a step
    /// keeps room for them.
    fn announces(&self, _ports: &Self::Ports, _change: &Change<Self::Rows>) -> (usize, usize) {
        (0, 0)
    }

    /// Whether anybody wants to hear of what happens: [`Domain::announce`] is asked only then, since it takes a copy of the
    /// state as it was before each step.
    fn listens(_ports: &Self::Ports) -> bool {
        false
    }

    /// A step is done: says what others shall hear of what it has changed since `before`. Asked once for each step
    /// that changed anything, while somebody listens.
    fn announce(_txn: &mut Txn<Self>, _before: &Self) {}

    /// The state was made anew from rows, as a command failed half-way: takes over from the one that is given up what is in no
    /// row and would be missed. What the command did to it is to do no harm.
    fn recall(&mut self, _given_up: &Self) {}

    /// Whether nothing is left of the shard, so that it may be let go of.
    fn gone(&self) -> bool {
        false
    }

    /// Takes a change into the rows, every index and the agenda.
    fn apply(&mut self, change: &Change<Self::Rows>) {
        let key = change.key();
        let before = self.timer(&key);
        self.agenda_mut().unplan(&key, before);
        self.take(change);
        let after = self.timer(&key);
        self.agenda_mut().plan(key, after);
    }

    /// Leaves a row alone until then, or until it is changed.
    fn set_aside(&mut self, key: &KeyOf<Self>, until: Timestamp) {
        let timer = self.timer(key);
        self.agenda_mut().set_aside(key, timer, until);
    }

    /// Whether a row is left alone at `now`.
    fn is_aside(&self, key: &KeyOf<Self>, now: Timestamp) -> bool {
        self.agenda().aside_until(key).is_some_and(|until| until > now)
    }
}

/// The key of a domain's rows.
pub type KeyOf<D> = <<D as Domain>::Rows as Table>::Key;
