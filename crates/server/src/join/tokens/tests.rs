//! What a token is good for, and when it is not.

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: i64 = 3_600_000;

struct World {
    dir: tempfile::TempDir,
    tokens: Tokens,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::new(dir.path().join("tokens"));
    World { dir, tokens }
}

fn wish(hours: u64) -> Wish {
    Wish {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        cluster: None,
        ttl: Duration::from_secs(hours * 3600),
    }
}

fn trade(made: &Made, claim: &str, now: Timestamp) -> Trade {
    Trade { id: made.id.clone(), secret: made.secret.clone(), claim: claim.repeat(20), now: now.0 }
}

impl World {
    /// What a trade comes to: the key, or why not.
    fn trade(&self, trade: &Trade, key: &str, now: Timestamp) -> Result<String, Reason> {
        let traded = self.tokens.trade(trade, |_| key.to_owned(), now);
        traded.map(|(_, key)| key).map_err(|refused| refused.error)
    }

    fn fate(&self, id: &str, now: Timestamp) -> Option<Fate> {
        let listed = self.tokens.list(now).unwrap();
        listed.into_iter().find(|one| one.id == id).map(|one| one.fate)
    }
}

#[test]
fn a_token_brings_in_one_host_and_an_answer_that_is_lost_costs_nothing() {
    let world = world();
    let made = world.tokens.create(&wish(1), NOW).unwrap();
    let ours = trade(&made, "a", NOW);
    assert_eq!(world.trade(&ours, "KEY1", NOW), Ok("KEY1".to_owned()));
    assert_eq!(world.trade(&ours, "KEY2", NOW), Ok("KEY1".to_owned()));
    assert_eq!(world.trade(&trade(&made, "b", NOW), "KEY2", NOW), Err(Reason::Used));
    assert_eq!(world.fate(&made.id, NOW), Some(Fate::Used("KEY1".to_owned())));
    // After its own end too, but not after a day: the key is good for no first registration then.
    let later = NOW.plus_millis(2 * HOUR);
    assert_eq!(world.trade(&trade(&made, "a", later), "KEY2", later), Ok("KEY1".to_owned()));
    let later = NOW.plus_millis(24 * HOUR);
    assert_eq!(world.trade(&trade(&made, "a", later), "KEY2", later), Err(Reason::Used));
    assert!(matches!(world.tokens.revoke(&made.id, NOW), Err(Error::Used(key)) if key == "KEY1"));
}

#[test]
fn what_is_not_good_changes_nothing() {
    let world = world();
    let made = world.tokens.create(&wish(1), NOW).unwrap();
    let good = trade(&made, "a", NOW);
    let end = NOW.plus_millis(HOUR);
    for (bad, now, why) in [
        (Trade { secret: "x".repeat(64), ..good.clone() }, NOW, Reason::Unknown),
        (Trade { id: "0123456789abcdef".to_owned(), ..good.clone() }, NOW, Reason::Unknown),
        (Trade { id: "../../../etc/passwd".to_owned(), ..good.clone() }, NOW, Reason::Unknown),
        (Trade { claim: "short".to_owned(), ..good.clone() }, NOW, Reason::Malformed),
        (Trade { now: NOW.0 + SKEW_MS + 1, ..good.clone() }, NOW, Reason::Clock),
        (Trade { now: NOW.0 - SKEW_MS - 1, ..good.clone() }, NOW, Reason::Clock),
        (Trade { now: i64::MIN, ..good.clone() }, NOW, Reason::Clock),
        (trade(&made, "a", end), end, Reason::Expired),
    ] {
        assert_eq!(world.trade(&bad, "KEY", now), Err(why));
        assert_eq!(world.fate(&made.id, NOW), Some(Fate::Waits), "{why:?}");
    }
    world.tokens.revoke(&made.id, NOW).unwrap();
    assert_eq!(world.trade(&good, "KEY", NOW), Err(Reason::Revoked));
    assert!(matches!(world.tokens.revoke("0123456789abcdef", NOW), Err(Error::Unknown(_))));
    assert!(matches!(world.tokens.revoke("../lock", NOW), Err(Error::Unknown(_))));
}

#[test]
fn a_secret_is_nowhere() {
    let world = world();
    let made = world.tokens.create(&wish(1), NOW).unwrap();
    world.trade(&trade(&made, "claim", NOW), "KEY", NOW).unwrap();
    for entry in fs::read_dir(world.dir.path().join("tokens")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(&made.secret) && !text.contains("claimclaim"), "{text}");
    }
}

#[test]
fn there_is_a_limit_and_those_that_are_over_are_forgotten() {
    let world = world();
    for ttl in [0, 7 * 24 + 1] {
        assert!(matches!(world.tokens.create(&wish(ttl), NOW), Err(Error::Ttl)));
    }
    let first = world.tokens.create(&wish(1), NOW).unwrap();
    fs::write(world.dir.path().join("tokens").join("00000000000000aa.json"), "damaged").unwrap();
    for n in 2..MOST {
        let row = Row { id: format!("{n:016x}"), ..world.tokens.read(&first.id).unwrap().unwrap() };
        world.tokens.write(&row).unwrap();
    }
    // In the place of the damaged one, of which there is nothing to list.
    world.tokens.create(&wish(1), NOW).unwrap();
    assert_eq!(world.tokens.list(NOW).unwrap().len(), MOST);
    assert!(matches!(world.tokens.create(&wish(1), NOW), Err(Error::Full)));
    let later = NOW.plus_millis(HOUR + REMEMBERED + 1);
    world.tokens.create(&wish(1), later).unwrap();
    assert_eq!(world.tokens.list(later).unwrap().len(), 1);
    assert_eq!(world.fate(&first.id, later), None);
}
