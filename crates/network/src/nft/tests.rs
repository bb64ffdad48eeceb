//! The text of the rules, without a kernel.

use super::*;

fn table() -> Table {
    Table {
        name: "roadstead_0123abcd".to_owned(),
        bridge: "rs0123abcd".to_owned(),
        subnet: "172.28.0.0/20".parse().unwrap(),
        vpc_links: "rw0123abcd-".to_owned(),
    }
}

fn published(entries: &[(Protocol, u16, u8, u16)]) -> Published {
    entries.iter().map(|(p, host, ip, port)| ((*p, *host), (Ipv4Addr::new(172, 28, 0, *ip), *port))).collect()
}

#[test]
fn a_new_table_replaces_the_old_one_in_the_same_batch() {
    let text =
        render_table(&table(), &published(&[(Protocol::Tcp, 80, 2, 8080), (Protocol::Tcp, 81, 3, 80)]));
    assert!(text.starts_with(
        "table inet roadstead_0123abcd\ndelete table inet roadstead_0123abcd\ntable inet roadstead_0123abcd {"
    ));
    assert!(text.contains("elements = { 80 : 172.28.0.2 . 8080, 81 : 172.28.0.3 . 80 }"));
    assert!(text.contains("map udp_ports { type inet_service : ipv4_addr . inet_service\n}"));
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

#[test]
fn a_difference_names_only_what_differs_and_deletes_first() {
    use nfnetlink::Change::{Add, Delete};
    let from =
        published(&[(Protocol::Tcp, 80, 2, 8080), (Protocol::Udp, 53, 2, 53), (Protocol::Tcp, 90, 9, 1)]);
    let to =
        published(&[(Protocol::Tcp, 80, 3, 8080), (Protocol::Udp, 54, 4, 53), (Protocol::Tcp, 90, 9, 1)]);
    let at = |last, port| (Ipv4Addr::new(172, 28, 0, last), port);
    assert_eq!(difference(&from, &to, Protocol::Tcp), [Delete(80), Add(80, at(3, 8080))]);
    assert_eq!(difference(&from, &to, Protocol::Udp), [Delete(53), Add(54, at(4, 53))]);
    assert_eq!(difference(&to, &to, Protocol::Tcp), []);
}
