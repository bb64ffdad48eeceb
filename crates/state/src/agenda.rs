//! What a domain has still to do: rows that wait for a time, and marks of what has to be settled. Timers are times
//! in rows and marks follow from changes, so nothing of it is stored: a start makes it anew.

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

/// What waits, by key `K` of a row, and what has to be settled, by mark `M`.
#[derive(Debug, Clone)]
pub struct Agenda<K: Ord + Clone, M: Ord + Clone> {
    /// Everything that waits for a time, earliest first.
    timers: OrdSet<(Timestamp, K)>,
    /// What was touched and is to be settled.
    marks: OrdSet<M>,
    /// What broke an assertion, and when it is tried again: nothing else waits for it.
    aside: OrdMap<K, Timestamp>,
}

impl<K: Ord + Clone, M: Ord + Clone> Default for Agenda<K, M> {
    fn default() -> Self {
        Agenda { timers: OrdSet::new(), marks: OrdSet::new(), aside: OrdMap::new() }
    }
}

impl<K: Ord + Clone, M: Ord + Clone> Agenda<K, M> {
    /// When something waits for its time, the earliest; long ago where something is to be settled.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if !self.marks.is_empty() {
            return Some(Timestamp(0));
        }
        self.timers.get_min().map(|(at, _)| *at)
    }

    /// What is due at `now`, earliest first, at most `limit`.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<K> {
        self.timers.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, key)| key.clone()).collect()
    }

    /// What waits for a time after `at`, latest first.
    pub fn due_after(&self, at: Timestamp) -> impl Iterator<Item = &K> {
        self.timers.iter().rev().take_while(move |(time, _)| *time > at).map(|(_, key)| key)
    }

    /// All that waits for a time, earliest first.
    pub fn timers(&self) -> impl Iterator<Item = &(Timestamp, K)> {
        self.timers.iter()
    }

    /// Marks something for settling.
    pub fn mark(&mut self, mark: M) {
        self.marks.insert(mark);
    }

    /// Takes the first mark.
    pub fn take_mark(&mut self) -> Option<M> {
        let first = self.marks.get_min().cloned()?;
        self.marks.remove(&first);
        Some(first)
    }

    /// What is marked.
    pub fn marks(&self) -> impl Iterator<Item = &M> {
        self.marks.iter()
    }

    /// Has marked what another has.
    pub fn recall(&mut self, other: &Agenda<K, M>) {
        self.marks = other.marks.clone();
    }

    /// Leaves a row alone until then, or until it is changed. `timer` is when it was to be looked at.
    pub fn set_aside(&mut self, key: &K, timer: Option<Timestamp>, until: Timestamp) {
        self.unplan(key, timer);
        self.aside.insert(key.clone(), until);
        self.timers.insert((until, key.clone()));
    }

    /// Until when a row is left alone.
    pub fn aside_until(&self, key: &K) -> Option<Timestamp> {
        if self.aside.is_empty() {
            return None;
        }
        self.aside.get(key).copied()
    }

    /// A row is about to change: forgets when it was to be looked at.
    pub fn unplan(&mut self, key: &K, timer: Option<Timestamp>) {
        let aside = self.aside_until(key);
        if let Some(at) = aside.or(timer) {
            self.timers.remove(&(at, key.clone()));
        }
        if aside.is_some() {
            self.aside.remove(key);
        }
    }

    /// A row has changed: looks at it then.
    pub fn plan(&mut self, key: K, timer: Option<Timestamp>) {
        if let Some(at) = timer {
            self.timers.insert((at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_in_the_order_of_time_and_what_is_aside_later() {
        let mut agenda: Agenda<u32, u32> = Agenda::default();
        for (key, at) in [(1, 30), (2, 10), (3, 20), (4, 20)] {
            agenda.plan(key, Some(Timestamp(at)));
        }
        assert_eq!(agenda.wake_at(), Some(Timestamp(10)));
        assert_eq!(agenda.due(Timestamp(20), 9), [2, 3, 4]);
        assert_eq!(agenda.due_after(Timestamp(10)).copied().collect::<Vec<_>>(), [1, 4, 3]);
        assert_eq!(agenda.due_after(Timestamp(30)).count(), 0);
        agenda.set_aside(&2, Some(Timestamp(10)), Timestamp(50));
        assert_eq!(agenda.due(Timestamp(50), 9), [3, 4, 1, 2]);
        agenda.unplan(&2, Some(Timestamp(10)));
        assert_eq!((agenda.aside_until(&2), agenda.due(Timestamp(99), 9)), (None, vec![3, 4, 1]));
    }

    #[test]
    fn marks_are_taken_once_and_wake_at_once() {
        let mut agenda: Agenda<u32, u32> = Agenda::default();
        agenda.mark(2);
        agenda.mark(1);
        agenda.mark(2);
        assert_eq!(agenda.wake_at(), Some(Timestamp(0)));
        assert_eq!((agenda.take_mark(), agenda.take_mark(), agenda.take_mark()), (Some(1), Some(2), None));
        assert_eq!(agenda.wake_at(), None);
    }
}
