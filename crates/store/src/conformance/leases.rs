//! Leases: one holder, for a time, with a token that fences those before.

use std::time::Duration;

use super::{Make, Setup};
use crate::{Commit, Condition, Error, Lease};

const TTL: Duration = Duration::from_secs(10);

fn under(lease: &Lease) -> Commit {
    let token = Condition::Lease { name: lease.name.clone(), token: lease.token };
    Commit::new().put("by", lease.holder.clone()).when(token)
}

fn held(by: &str) -> Error {
    Error::LeaseHeld { lease: "l".to_owned(), holder: by.to_owned() }
}

fn lost() -> Error {
    Error::LeaseLost { lease: "l".to_owned() }
}

/// While one holds it, another does not get it; other leases are free.
pub fn one_holder_at_a_time(make: Make<'_>) {
    let store = make(Setup::default());
    let lease = store.acquire_lease("l", "one", TTL).expect("it is free");
    assert_eq!((lease.holder.as_str(), lease.ttl), ("one", TTL));
    assert_eq!(store.acquire_lease("l", "two", TTL), Err(held("one")));
    assert!(store.acquire_lease("m", "two", TTL).is_ok());
    assert!(store.commit(under(&lease)).is_ok());
}

/// After its time a lease is worth nothing, even if nobody else took it.
pub fn a_lease_runs_out(make: Make<'_>) {
    let setup = Setup::default();
    let store = make(setup.clone());
    let lease = store.acquire_lease("l", "one", TTL).expect("it is free");
    setup.clock.advance(TTL - Duration::from_millis(1));
    assert!(store.commit(under(&lease)).is_ok());
    setup.clock.advance(Duration::from_millis(1));
    assert!(matches!(store.commit(under(&lease)), Err(Error::Fenced { .. })));
    assert_eq!(store.renew_lease(&lease), Err(lost()));
    assert_eq!(store.release_lease(&lease), Err(lost()));
    assert!(store.acquire_lease("l", "two", TTL).is_ok());
}

/// Renewal counts from now.
pub fn renewal_prolongs(make: Make<'_>) {
    let setup = Setup::default();
    let store = make(setup.clone());
    let lease = store.acquire_lease("l", "one", TTL).expect("it is free");
    for _ in 0..3 {
        setup.clock.advance(TTL * 3 / 4);
        assert_eq!(store.renew_lease(&lease), Ok(()));
    }
    assert_eq!(store.acquire_lease("l", "two", TTL), Err(held("one")));
    assert!(store.commit(under(&lease)).is_ok());
}

/// A lease that was given up is free at once.
pub fn release_frees(make: Make<'_>) {
    let store = make(Setup::default());
    let lease = store.acquire_lease("l", "one", TTL).expect("it is free");
    assert_eq!(store.release_lease(&lease), Ok(()));
    assert_eq!(store.release_lease(&lease), Err(lost()));
    assert!(matches!(store.commit(under(&lease)), Err(Error::Fenced { .. })));
    assert!(store.acquire_lease("l", "two", TTL).is_ok());
}

/// Each acquisition, by the same holder too, has a larger token, and ends what the earlier one allowed.
pub fn tokens_rise_and_fence(make: Make<'_>) {
    let setup = Setup::default();
    let store = make(setup.clone());
    let first = store.acquire_lease("l", "one", TTL).expect("it is free");
    let again = store.acquire_lease("l", "one", TTL).expect("it is one's own");
    assert!(again.token > first.token);
    assert!(matches!(store.commit(under(&first)), Err(Error::Fenced { .. })));
    assert_eq!(store.renew_lease(&first), Err(lost()));
    assert!(store.commit(under(&again)).is_ok());
    setup.clock.advance(TTL);
    let other = store.acquire_lease("l", "two", TTL).expect("it ran out");
    assert!(other.token > again.token);
    assert_eq!(store.release_lease(&again), Err(lost()));
    assert!(store.commit(under(&other)).is_ok());
    assert_eq!(store.release_lease(&other), Ok(()));
    let last = store.acquire_lease("l", "one", TTL).expect("it was released");
    assert!(last.token > other.token);
}

/// Names and times beyond the limits are refused.
pub fn lease_limits_are_kept(make: Make<'_>) {
    let store = make(Setup::default());
    let long = "x".repeat(256);
    for (name, holder, ttl) in [("", "h", TTL), ("l", "", TTL), (&long, "h", TTL), ("l", "h", Duration::ZERO)]
    {
        let refused = store.acquire_lease(name, holder, ttl);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}
