//! Tables for the files under /etc.

use proptest::prelude::*;

use super::*;

/// Host's file, servers, search domains, whether it has a namespace of its own, and the outcome.
type ResolvCase<'a> = (&'a str, &'a [&'a str], &'a [&'a str], bool, &'a str);

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[test]
fn resolv_conf() {
    let host = "# ours\nnameserver 127.0.0.53\nnameserver 10.0.0.2 # main\nnameserver ::1\n\
                domain old.example\nsearch a.example b.example\noptions edns0 ; x\noptions ndots:2\nsortlist 1\n";
    let table: &[ResolvCase<'_>] = &[
        (
            host,
            &[],
            &[],
            true,
            "nameserver 10.0.0.2\nsearch a.example b.example\noptions edns0\noptions ndots:2\n",
        ),
        (
            host,
            &[],
            &[],
            false,
            "nameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver ::1\nsearch a.example b.example\n\
             options edns0\noptions ndots:2\n",
        ),
        (
            host,
            &["1.1.1.1", "127.0.0.1"],
            &["c.example"],
            true,
            "nameserver 1.1.1.1\nnameserver 127.0.0.1\nsearch c.example\noptions edns0\noptions ndots:2\n",
        ),
        ("nameserver 127.0.0.53\n", &[], &[], true, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
        ("nameserver fe80::1%eth0\nnameserver ::1\n", &[], &[], true, "nameserver fe80::1%eth0\n"),
        ("", &[], &[], true, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
        ("", &[], &[], false, ""),
        ("search x\ndomain y\n", &["1.1.1.1"], &[], true, "nameserver 1.1.1.1\nsearch y\n"),
        ("search x\n", &["1.1.1.1"], &["."], true, "nameserver 1.1.1.1\n"),
        ("nameserverx 1.2.3.4\nnameserver\nnameserver 9.9.9.9\n", &[], &[], true, "nameserver 9.9.9.9\n"),
        ("nameserver\t9.9.9.9\r\n", &[], &[], true, "nameserver 9.9.9.9\n"),
    ];
    for (host, servers, search, own, wanted) in table {
        let got = render_resolv_conf(host, &strings(servers), &strings(search), *own);
        assert_eq!(got, *wanted, "{host:?} {servers:?} {search:?} {own}");
    }
}

#[test]
fn hosts() {
    let extra = [HostsEntry { ip: "10.0.0.9".to_owned(), names: strings(&["db", "db.example"]) }];
    let text = render_hosts("web.example", Some(Ipv4Addr::new(172, 28, 0, 2)), &extra);
    assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"));
    assert!(text.ends_with("10.0.0.9\tdb db.example\n172.28.0.2\tweb.example web\n"), "{text}");
    let text = render_hosts("web", Some(Ipv4Addr::new(172, 28, 0, 2)), &[]);
    assert!(text.ends_with("\n172.28.0.2\tweb\n"), "{text}");
    let text = render_hosts("web", None, &[]);
    assert!(text.ends_with("ff02::2\tip6-allrouters\n"), "{text}");
    assert_eq!(render_hostname("web"), "web\n");
}

#[test]
fn links() {
    let ipv4 = Ipv4Addr::new(172, 28, 0, 2);
    let targets = [
        LinkTarget { container: "db".to_owned(), hostname: Some("0123456789ab".to_owned()), ipv4 },
        LinkTarget { container: "cache".to_owned(), hostname: None, ipv4: Ipv4Addr::new(172, 28, 0, 3) },
    ];
    let names = |link: &str| link_entries(&strings(&[link]), &targets).map(|e| e[0].names.join(" "));
    assert_eq!(names("db").unwrap(), "db 0123456789ab");
    assert_eq!(names("db:postgres").unwrap(), "postgres 0123456789ab db");
    assert_eq!(names("cache:db").unwrap(), "db cache");
    for (bad, message) in [
        ("nobody", "could not get container for nobody"),
        ("db:", "bad format for links: db:"),
        (":x", "bad format for links: :x"),
        ("", "bad format for links: "),
    ] {
        assert_eq!(names(bad).unwrap_err().to_string(), message);
    }
    let both = link_entries(&strings(&["cache", "db:pg"]), &targets).unwrap();
    assert_eq!(both.iter().map(|e| e.ip.as_str()).collect::<Vec<_>>(), ["172.28.0.3", "172.28.0.2"]);
}

proptest! {
    /// Whatever the host's file holds, what we write means the same when it is read again.
    #[test]
    fn rendering_is_stable(host in "(?s)([a-z ]{0,12}(nameserver|search|domain|options) [ -~]{0,20}\n){0,6}.{0,40}") {
        let once = render_resolv_conf(&host, &[], &[], true);
        prop_assert_eq!(render_resolv_conf(&once, &[], &[], true), once.clone());
        prop_assert!(once.contains("nameserver "));
    }
}
