//! What is kept, for how long, and how much of it.

use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name, Record};

use super::*;
use crate::zone::name;

fn question(number: usize) -> Question {
    let name = name(&format!("n{number}.example.com")).unwrap();
    Question { name, kind: RecordType::A, dnssec: false, unchecked: false }
}

fn address(ttl: u32) -> Record {
    Record::from_rdata(name("n.example.com").unwrap(), ttl, RData::A(A([192, 0, 2, 1].into())))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let apex: Name = name("example.com").unwrap();
    let soa = SOA::new(apex.clone(), apex.clone(), 1, 1, 1, 1, minimum);
    Record::from_rdata(apex, ttl, RData::SOA(soa))
}

fn answer(records: Vec<Record>, authority: Vec<Record>, code: ResponseCode) -> Answer {
    Answer { records, authority, ..Answer::failed(code) }
}

fn found(ttl: u32) -> Answer {
    answer(vec![address(ttl)], Vec::new(), ResponseCode::NoError)
}

#[test]
fn how_long_an_answer_counts() {
    let alias = Record::from_rdata(
        name("n.example.com").unwrap(),
        9,
        RData::CNAME(CNAME(name("m.example.com").unwrap())),
    );
    for (case, answer, expected) in [
        (
            "the least of all",
            answer(vec![address(300), address(20)], vec![], ResponseCode::NoError),
            Some(20),
        ),
        ("a day", found(1_000_000), Some(86_400)),
        ("not at all", found(0), None),
        ("the first bit", found(1 << 31), None),
        ("not there: minimum", answer(vec![], vec![soa(500, 30)], ResponseCode::NXDomain), Some(30)),
        ("not there: its own", answer(vec![], vec![soa(20, 30)], ResponseCode::NXDomain), Some(20)),
        ("not there: a quarter", answer(vec![], vec![soa(9999, 9999)], ResponseCode::NoError), Some(900)),
        ("not there, and nobody says so", answer(vec![], vec![], ResponseCode::NXDomain), None),
        ("an alias of nothing", answer(vec![alias], vec![soa(60, 60)], ResponseCode::NoError), Some(9)),
        ("it failed", answer(vec![], vec![soa(60, 60)], ResponseCode::ServFail), None),
    ] {
        assert_eq!(lifetime(&answer, RecordType::A), expected, "{case}");
    }
}

#[test]
fn ttls_go_down_and_what_is_old_is_kept_for_need() {
    let (mut cache, start) = (Cache::new(Limits::default()), Instant::now());
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    cache.put(&question(1), &found(60), 100, start);
    let ttl = |found: Option<Found>| match found {
        Some(Found::New(answer)) => Some((true, answer.records[0].ttl)),
        Some(Found::Old(answer)) => Some((false, answer.records[0].ttl)),
        None => None,
    };
    assert_eq!(ttl(cache.get(&question(1), start)), Some((true, 60)));
    assert_eq!(ttl(cache.get(&question(1), at(59))), Some((true, 1)));
    assert_eq!(ttl(cache.get(&question(1), at(60))), Some((false, 30)));
    assert_eq!(ttl(cache.get(&question(1), at(60 + 86_399))), Some((false, 30)));
    assert_eq!(ttl(cache.get(&question(1), at(60 + 86_400))), None);
    assert_eq!(cache.size(), (0, 0));
    let mut other = question(1);
    cache.put(&other, &found(60), 100, start);
    other.dnssec = true;
    assert_eq!(cache.get(&other, start), None, "it is another question");
}

#[test]
fn what_was_used_last_stays() {
    let (mut cache, now) = (Cache::new(Limits { entries: 3, bytes: 1 << 20 }), Instant::now());
    (0..3).for_each(|number| cache.put(&question(number), &found(60), 100, now));
    assert!(cache.get(&question(0), now).is_some());
    cache.put(&question(3), &found(60), 100, now);
    let there: Vec<bool> = (0..4).map(|number| cache.get(&question(number), now).is_some()).collect();
    assert_eq!(there, [true, false, true, true]);
    cache.put(&question(9), &found(60), 1 << 20, now);
    assert!(cache.get(&question(9), now).is_none(), "one answer alone takes too much");
}

proptest::proptest! {
    #[test]
    fn never_more_than_it_may(sizes in proptest::collection::vec((0usize..40, 1usize..5_000, 0u32..100), 0..200)) {
        let limits = Limits { entries: 20, bytes: 40_000 };
        let (mut cache, start) = (Cache::new(limits), Instant::now());
        for (at, (number, size, ttl)) in sizes.into_iter().enumerate() {
            let now = start + Duration::from_secs(at as u64);
            cache.put(&question(number), &found(ttl), size, now);
            cache.get(&question(at % 40), now);
            let (entries, bytes) = cache.size();
            proptest::prop_assert!(entries <= limits.entries && bytes <= limits.bytes);
            proptest::prop_assert_eq!(entries, cache.order.len());
            proptest::prop_assert_eq!(bytes, cache.entries.values().map(|entry| entry.bytes).sum::<usize>());
        }
    }
}
