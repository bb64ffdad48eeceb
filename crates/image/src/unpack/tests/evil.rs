//! Tars that try to get out, and tars that are broken.

use proptest::prelude::*;

use super::*;

/// What a folder and all in it look like: path, kind, mode, owner, size, time of change.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u32, u32, u64, i64, i64)> {
    let mut seen = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = std::fs::symlink_metadata(&path).expect("is there");
        if metadata.is_dir() {
            todo.extend(std::fs::read_dir(&path).expect("a folder").map(|e| e.expect("an entry").path()));
        }
        // ctime shows every change, even one that was undone; a link count shows hard links.
        let looks =
            (metadata.mode(), metadata.uid(), metadata.nlink(), metadata.ctime(), metadata.ctime_nsec());
        seen.insert(path, looks);
    }
    seen
}

/// Unpacks and asserts that nothing outside has changed.
fn contained(place: &Place, tar: Tar) -> Result<Unpacked> {
    let before = snapshot(&place.outside);
    let result = place.unpack(tar);
    assert_eq!(before, snapshot(&place.outside));
    let beside = std::fs::read_dir(place.outside.parent().expect("a parent")).expect("a folder").count();
    assert_eq!(beside, 2, "something new beside the target");
    result
}

const UP: &str = "../../../../../../../..";

/// Makes a tar that knows where the folder outside is.
type Make = fn(&str) -> Tar;

/// What is tried, whether the tar may be taken (for what it does inside), and the tar.
const ATTACKS: &[(&str, bool, Make)] = &[
    ("a parent", false, |_| Tar::default().file("../evil", b"")),
    ("a parent further in", false, |_| Tar::default().dir("a").file("a/../../evil", b"")),
    ("a parent of a folder", false, |_| Tar::default().dir("../outside")),
    ("an absolute path", true, |out| Tar::default().file(&format!("{out}/evil"), b"")),
    ("a link out, absolute", false, |out| Tar::default().symlink("s", out).file("s/evil", b"")),
    ("a link out, relative", false, |_| Tar::default().symlink("s", "../outside").file("s/evil", b"")),
    ("a link out of the root", false, |out| {
        Tar::default().symlink("s", &format!("{UP}{out}")).file("s/evil", b"")
    }),
    ("a link through proc", false, |_| {
        Tar::default().symlink("s", "/proc/self/root/tmp").file("s/evil", b"")
    }),
    ("a chain of links", false, |_| {
        Tar::default().symlink("a", "b").symlink("b", "../outside").file("a/evil", b"")
    }),
    ("a loop of links", false, |_| Tar::default().symlink("a", "b").symlink("b", "a").file("a/evil", b"")),
    ("a file over a link", true, |out| {
        Tar::default().symlink("s", &format!("{out}/secret")).file("s", b"evil")
    }),
    ("a fifo over a link", true, |out| {
        Tar::default()
            .symlink("s", &format!("{out}/secret"))
            .with("s", EntryType::Fifo, |h| h.set_mode(0o777))
    }),
    ("a folder over a link", true, |out| {
        Tar::default().symlink("s", out).raw(b"s", b'5', b"", b"", |h| h.set_mode(0o777)).file("s/evil", b"")
    }),
    ("a link over a known folder", false, |out| {
        Tar::default().dir("d").file("d/a", b"").symlink("d", out).file("d/evil", b"")
    }),
    ("a link over a folder whose time is to be set", true, |out| Tar::default().dir("d").symlink("d", out)),
    ("a link over the folder above", false, |out| {
        Tar::default().file("d/e/a", b"").symlink("d", out).file("d/e/evil", b"")
    }),
    ("a hard link, relative", false, |_| Tar::default().hardlink("h", "../outside/secret")),
    ("a hard link, absolute", false, |out| Tar::default().hardlink("h", &format!("{out}/secret"))),
    ("a hard link through a link", false, |out| Tar::default().symlink("s", out).hardlink("h", "s/secret")),
    ("a hard link to a link, written to", true, |out| {
        Tar::default().symlink("s", &format!("{out}/secret")).hardlink("h", "s").file("h", b"evil")
    }),
    ("a hard link to a folder", false, |_| Tar::default().dir("d").hardlink("h", "d")),
    ("a hard link to the root", false, |_| Tar::default().hardlink("h", "/")),
    ("a hard link in the place of what it leads to", false, |_| {
        Tar::default().file("d/f", b"").hardlink("d", "d/f")
    }),
    ("a hard link to itself", true, |_| Tar::default().file("f", b"").hardlink("f", "f")),
    ("a hard link to nothing", false, |_| Tar::default().hardlink("h", "h")),
    ("a whiteout of the parent", false, |_| Tar::default().file("d/.wh...", b"")),
    ("a whiteout of the folder", false, |_| Tar::default().file("d/.wh..", b"")),
    ("a whiteout of nothing", false, |_| Tar::default().file("d/.wh.", b"")),
    ("a whiteout through a link", false, |out| Tar::default().symlink("s", out).file("s/.wh.secret", b"")),
    ("an opaque mark through a link", false, |out| {
        Tar::default().symlink("s", out).file("s/.wh..wh..opq", b"")
    }),
    ("a whiteout of a link", true, |out| Tar::default().symlink("s", out).file(".wh.s", b"")),
    ("a root that is a link", false, |out| Tar::default().symlink("./", out)),
    ("a root that is a file", false, |_| Tar::default().raw(b".", b'0', b"", b"x", |_| {})),
];

#[test]
fn no_tar_gets_out() {
    for (what, taken, make) in ATTACKS {
        let place = Place::new();
        let outside = place.outside.to_str().expect("UTF-8");
        let result = contained(&place, make(outside));
        match result {
            Ok(_) => assert!(taken, "{what}: was taken"),
            Err(error) => {
                assert!(!taken, "{what}: {error}");
                assert_eq!(error.kind(), Kind::Invalid, "{what}: {error}");
            }
        }
    }
}

#[test]
fn marks_of_the_overlay_cannot_be_forged() {
    let place = Place::new();
    let names = [
        "trusted.overlay.redirect",
        "trusted.overlay.opaque",
        "user.overlay.opaque",
        "security.selinux",
        "trusted.x",
    ];
    let keys: Vec<String> = names.iter().map(|name| format!("SCHILY.xattr.{name}")).collect();
    let records: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"y"[..])).collect();
    place.unpack(Tar::default().pax(&records).dir("d").pax(&records).file("f", b"")).expect("well formed");
    for path in ["d", "f"] {
        for name in names {
            let found = rustix::fs::lgetxattr(place.target.join(path), name, &mut [0_u8; 64][..]);
            assert!(found.is_err(), "{path}: {name}");
        }
    }
}

#[test]
fn broken_tars_are_refused_in_words() {
    let long = |length: usize| {
        Tar::default().raw(b"././@LongLink", b'L', b"", &vec![b'a'; length], |_| {}).file("x", b"")
    };
    let claims = |size: u64| Tar::default().raw(b"x", b'0', b"", b"", |h| h.set_size(size));
    let mut bad_sum = Tar::default().file("a", b"");
    bad_sum.0[0] = b'b';
    for (what, tar, kind, words) in [
        ("a wrong checksum", bad_sum, Kind::Invalid, "wrong checksum"),
        ("a long name that is too long", long(5000), Kind::Invalid, "too long"),
        ("a long name of megabytes", long(2 << 20), Kind::Limit, "extension"),
        ("a name over 255 bytes", long(300), Kind::Invalid, "cannot unpack"),
        ("a size of exabytes", claims(u64::MAX / 2), Kind::Invalid, "ends inside a file"),
        ("a size that overflows", claims(u64::MAX), Kind::Invalid, ""),
        ("an unknown type", Tar::default().raw(b"x", b'Z', b"", b"", |_| {}), Kind::Invalid, "unknown type"),
        (
            "a PAX path with NUL",
            Tar::default().pax(&[("path", b"a\0b")]).file("x", b""),
            Kind::Invalid,
            "PAX",
        ),
        (
            "an owner over 32 bits",
            Tar::default().pax(&[("uid", b"4294967296")]).file("x", b""),
            Kind::Invalid,
            "uid",
        ),
        (
            "the owner that means none",
            Tar::default().pax(&[("gid", b"4294967295")]).file("x", b""),
            Kind::Invalid,
            "gid",
        ),
        ("a link to nothing", Tar::default().symlink("x", ""), Kind::Invalid, "leads nowhere"),
        ("a file as a folder", Tar::default().file("x", b"").file("x/y", b""), Kind::Invalid, "in the way"),
    ] {
        let error = contained(&Place::new(), tar).expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
    }
}

#[test]
fn folders_that_could_not_be_deleted_again_are_refused() {
    // Each link leads forty folders deeper than the one before it.
    let step = "d/".repeat(40);
    let tar = (0..20).fold(Tar::default().symlink("s0", "."), |tar, n| {
        tar.pax(&[("path", format!("s{n}/{step}x").as_bytes())])
            .file("x", b"")
            .symlink(&format!("s{}", n + 1), &format!("s{n}/{step}"))
    });
    let place = Place::new();
    let error = contained(&place, tar).expect_err("too deep");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
    std::fs::remove_dir_all(&place.target).expect("can be deleted");
}

#[test]
fn names_need_not_be_text() {
    let place = Place::new();
    let tar =
        Tar::default().raw(b"caf\xe9/\xff\x01", b'0', b"", b"x", |_| {}).file("a\\b", b"y").file("-rf", b"");
    place.unpack(tar).expect("well formed");
    use std::os::unix::ffi::OsStrExt;
    let path = place.target.join(std::ffi::OsStr::from_bytes(b"caf\xe9/\xff\x01"));
    assert_eq!(std::fs::read(path).expect("is there"), b"x");
    assert_eq!(place.read("a\\b"), "y");
}

/// One entry of a small world, where paths meet often.
fn any_entry() -> impl Strategy<Value = (u8, String, String)> {
    let path = prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "b/a",
        "a/b/c",
        "../outside",
        "a/../../outside/x",
        "/a",
        "outside/secret",
        ".",
        "",
        "a/.wh.b",
        ".wh.a",
        ".wh..wh..opq",
        "a/.wh..wh..opq",
        "b/secret",
        "a/secret",
        "a/.wh..",
        "s/a",
        "s",
        "s/secret",
    ]);
    let link = prop::sample::select(vec![
        "OUT",
        "../outside",
        "../../outside",
        "a",
        "b",
        "/a",
        "a/b",
        "s",
        "OUT/secret",
        "../outside/secret",
        ".",
        "/",
        "..",
        "/proc/self/cwd",
        "",
    ]);
    let kind = prop::sample::select(b"0001112223455555".to_vec());
    (kind, path, link).prop_map(|(kind, path, link)| (kind, path.to_owned(), link.to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_entries_gets_out(entries in prop::collection::vec(any_entry(), 1..14)) {
        let place = Place::new();
        let out = place.outside.to_str().expect("UTF-8");
        let tar = entries.iter().fold(Tar::default(), |tar, (kind, path, link)| {
            let link = link.replace("OUT", out);
            let (link, content): (&[u8], &[u8]) = if *kind == b'0' { (b"", b"evil") } else { (link.as_bytes(), b"") };
            tar.raw(path.as_bytes(), *kind, link, content, |h| h.set_mode(0o777))
        });
        if let Err(error) = contained(&place, tar) {
            prop_assert_eq!(error.kind(), Kind::Invalid, "{}", error);
        }
        // Whatever came of it can be deleted again.
        prop_assert!(std::fs::remove_dir_all(&place.target).is_ok());
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let place = Place::new();
        let before = snapshot(&place.outside);
        let _ = unpack(bytes.as_slice(), &place.target, &[]);
        prop_assert_eq!(before, snapshot(&place.outside));
    }

    #[test]
    fn damage_to_a_tar_is_survived(at in 0..4000_usize, value: u8) {
        let mut tar = Tar::default().dir("d").file("d/f", &[7; 700]).symlink("s", "d").hardlink("h", "d/f")
            .pax(&[("path", b"p/q"), ("mtime", b"1.5")]).file("x", b"z").end();
        let at = at % tar.len();
        tar[at] = value;
        let place = Place::new();
        let before = snapshot(&place.outside);
        let _ = unpack(tar.as_slice(), &place.target, &[]);
        prop_assert_eq!(before, snapshot(&place.outside));
    }
}
