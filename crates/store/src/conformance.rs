//! What every engine must do, as tests that an engine's own tests call with a way to make a store.
//! [`conformance_tests`](crate::conformance_tests) makes one `#[test]` of each case.
//! Nothing here may know which engine it runs against.

use std::sync::Arc;

use crate::{Error, ManualClock, Revision, Store};

pub mod commits;
pub mod leases;
pub mod reads;
pub mod watches;

/// What a case wants of its store, which must be empty.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The clock of the store's leases.
    pub clock: Arc<ManualClock>,
    /// How many changes watches can go back; the engine may keep a few more, no fewer.
    pub history: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { clock: Arc::default(), history: 100_000 }
    }
}

/// Makes an empty store.
pub type Make<'a> = &'a dyn Fn(Setup) -> Arc<dyn Store>;

/// Makes one `#[test]` of each case of the suite. `$make` is an expression of a function from [`Setup`] to
/// `Arc<dyn Store>`.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests! { @each $make;
            commits::a_commit_moves_the_revision_by_one
            commits::a_commit_without_effect_moves_nothing
            commits::a_refused_commit_changes_nothing
            commits::conditions_hold_or_refuse
            commits::conditions_see_the_commits_before
            commits::limits_are_kept
            commits::commits_keep_their_order
            commits::counting_by_condition_loses_nothing
            commits::a_full_queue_says_busy
            commits::a_panic_in_an_answer_is_survived
            commits::an_answered_commit_is_visible
            commits::what_is_closed_has_what_was_queued_and_takes_no_more
            reads::rows_come_in_key_order
            reads::pages_join_without_gap_or_overlap
            reads::a_large_range_is_cut
            reads::empty_and_odd_spans
            reads::a_scan_sees_one_moment
            watches::a_watch_sees_all_since
            watches::a_watch_sees_its_span_only
            watches::deletes_of_nothing_are_not_seen
            watches::a_slow_watch_misses_nothing
            watches::watches_and_writers_at_once
            watches::trimmed_history_is_told
            watches::a_revision_to_come_is_refused
            watches::readiness_is_called
            watches::a_quiet_watch_never_falls_behind
            watches::a_watch_ends_with_the_store
            leases::one_holder_at_a_time
            leases::a_lease_runs_out
            leases::renewal_prolongs
            leases::release_frees
            leases::tokens_rise_and_fence
            leases::lease_limits_are_kept
        }
    };
    (@each $make:expr; $($module:ident::$case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$module::$case(&$make);
            }
        )+
    };
}

/// The outcome of a commit that must succeed.
fn ok(outcome: Result<Revision, Error>) -> Revision {
    outcome.expect("the commit succeeds")
}

/// The value at `key` as text.
fn text(store: &dyn Store, key: &str) -> Option<String> {
    let entry = store.get(key).expect("the row can be read")?;
    Some(String::from_utf8_lossy(&entry.value).into_owned())
}
