//! Sparse files: as GNU's tar writes them, and as it never would.

use std::process::Command;

use super::*;

/// A file with more pieces than a header and one block behind it take.
fn make_sparse(path: &Path, pieces: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path).expect("a file");
    for n in 0..pieces {
        file.write_all_at(format!("piece {n}").as_bytes(), n * 64 * 1024).expect("written");
    }
    file.set_len(pieces * 64 * 1024 + 5_000_000).expect("longer");
}

#[test]
fn what_gnu_tar_writes_is_read_and_stays_sparse() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(120));
    std::fs::create_dir(dir.path().join("d".repeat(120))).expect("a folder");
    for (name, pieces) in [("none", 0), ("few", 3), ("many", 30), ("more", 200), (long.as_str(), 7)] {
        make_sparse(&dir.path().join(name), pieces);
    }
    std::fs::write(dir.path().join("plain"), "plain").expect("a file");
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let made = Command::new("tar")
            .args(["-S", "-c", "-f", "-"])
            .args(format)
            .arg("-C")
            .arg(dir.path())
            .args(["none", "few", "many", "more", &long, "plain"])
            .output()
            .expect("tar");
        assert!(made.status.success(), "{format:?}: {}", String::from_utf8_lossy(&made.stderr));
        assert!(made.stdout.len() < 2_000_000, "{format:?}: the test's own tar is sparse");
        let place = Place::new();
        let unpacked = unpack(&made.stdout, &place.target, &[]).unwrap_or_else(|e| panic!("{format:?}: {e}"));
        assert_eq!(unpacked.diff_id, Digest::of(&made.stdout));
        assert!(unpacked.size < 2_000_000, "{format:?}: {}", unpacked.size);
        for name in ["none", "few", "many", "more", &long, "plain"] {
            let (was, is) = (dir.path().join(name), place.target.join(name));
            assert!(
                std::fs::read(&was).expect("was") == std::fs::read(&is).expect("is"),
                "{format:?}: {name}"
            );
            let (was, is) = (was.metadata().expect("was"), is.metadata().expect("is"));
            assert!(is.blocks() <= was.blocks(), "{format:?}: {name}: {} of {}", is.blocks(), was.blocks());
        }
    }
}

/// An old entry: `map` in the header, the rest of it in blocks behind, then `content`.
fn old(path: &str, size: u64, map: &[(u64, u64)], content: &[u8]) -> Tar {
    let octal = |number: u64| format!("{number:011o}\0").into_bytes();
    let fill = |entries: &mut [u8], pieces: &[(u64, u64)]| {
        for (entry, (offset, length)) in entries.chunks_exact_mut(24).zip(pieces) {
            entry[..12].copy_from_slice(&octal(*offset));
            entry[12..].copy_from_slice(&octal(*length));
        }
    };
    let (first, rest) = map.split_at(map.len().min(4));
    let blocks: Vec<u8> = rest
        .chunks(21)
        .enumerate()
        .flat_map(|(n, pieces)| {
            let mut block = [0_u8; 512];
            fill(&mut block[..504], pieces);
            block[504] = u8::from((n + 1) * 21 < rest.len());
            block
        })
        .collect();
    let mut header = Header::new_gnu();
    header.set_path(path).expect("short");
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(content.len() as u64);
    let gnu = header.as_gnu_mut().expect("is one");
    gnu.realsize.copy_from_slice(&octal(size));
    gnu.isextended = [u8::from(!rest.is_empty())];
    let bytes: &mut [u8; 512] = header.as_mut_bytes();
    fill(&mut bytes[386..482], first);
    header.set_cksum();
    let mut tar = Tar::default();
    tar.0.extend_from_slice(header.as_bytes());
    tar.0.extend_from_slice(&blocks);
    tar.0.extend_from_slice(content);
    tar.0.resize(tar.0.len().next_multiple_of(512), 0);
    tar
}

fn records(records: &[(&str, &str)], content: &[u8]) -> Tar {
    let records: Vec<(&str, &[u8])> = records.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
    Tar::default().pax(&records).file("GNUSparseFile.0/x", content)
}

/// The newest way: the map is in front of the content.
fn newest(size: &str, map: &str, content: &[u8]) -> Tar {
    let mut body = map.as_bytes().to_vec();
    body.resize(body.len().next_multiple_of(512), 0);
    body.extend_from_slice(content);
    let said = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "x"),
        ("GNU.sparse.realsize", size),
    ];
    records(&said, &body)
}

#[test]
fn entries_behind_a_sparse_file_are_found() {
    let place = Place::new();
    let map: Vec<(u64, u64)> = (0..60).map(|n| (n * 10_000, 1)).collect();
    let mut tar = old("a", 700_000, &map, &[b'x'; 60]).file("between", b"1");
    tar.0.extend(newest("70000", "2\n0\n1\n50000\n2\n", b"xyz").file("behind", b"2").0);
    place.unpack(tar).expect("well formed");
    assert_eq!((place.read("between"), place.read("behind")), ("1".into(), "2".into()));
    assert_eq!((place.metadata("a").len(), place.metadata("x").len()), (700_000, 70_000));
    let content = std::fs::read(place.target.join("x")).expect("x");
    assert_eq!((content[0], &content[50_000..50_003]), (b'x', &b"yz\0"[..]));
}

#[test]
fn maps_that_do_not_fit_are_refused() {
    let huge = u64::MAX.to_string();
    let way = |map: &str| records(&[("GNU.sparse.size", "100"), ("GNU.sparse.map", map)], b"12345");
    for (what, tar, kind) in [
        ("a piece outside", old("x", 10, &[(8, 5)], b"12345"), Kind::Invalid),
        ("pieces over each other", old("x", 100, &[(0, 3), (2, 2)], b"12345"), Kind::Invalid),
        ("pieces in disorder", old("x", 100, &[(50, 3), (0, 2)], b"12345"), Kind::Invalid),
        ("more than the tar has", old("x", 100, &[(0, 6)], b"12345"), Kind::Invalid),
        ("less than the tar has", old("x", 100, &[(0, 4)], b"12345"), Kind::Invalid),
        ("no size", records(&[("GNU.sparse.map", "0,5")], b"12345"), Kind::Invalid),
        ("half a piece", way("0,5,7"), Kind::Invalid),
        ("no number", way("0,five"), Kind::Invalid),
        ("a blank", way("0, 5"), Kind::Invalid),
        ("an end beyond numbers", way(&format!("{huge},5")), Kind::Invalid),
        (
            "lengths without offsets",
            records(&[("GNU.sparse.size", "9"), ("GNU.sparse.numbytes", "5")], b"12345"),
            Kind::Invalid,
        ),
        (
            "a newer version",
            records(&[("GNU.sparse.major", "2"), ("GNU.sparse.realsize", "9")], b""),
            Kind::Invalid,
        ),
        ("a map that ends early", newest("100", "3\n0\n1\n", b""), Kind::Invalid),
        ("a map of text", newest("100", "one\n", b"1"), Kind::Invalid),
        ("a number without end", newest("100", &"1".repeat(600), b"1"), Kind::Invalid),
        ("ever so many pieces", newest("100", &format!("{huge}\n"), b""), Kind::Invalid),
        ("terabytes of nothing", newest("1099511627776", "0\n", b""), Kind::Limit),
        ("the end of all files", newest(&huge, "0\n", b""), Kind::Limit),
    ] {
        let place = Place::new();
        let error = place.unpack(tar).expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
    }
}

#[test]
fn pieces_count_by_what_they_take() {
    // A byte in each block: little in the tar, four thousand times that on disk.
    let count = 90_000_u64;
    let map: String = (0..count).map(|n| format!("{}\n1\n", n * 4096)).collect();
    let tar = newest(&(count * 4096).to_string(), &format!("{count}\n{map}"), &vec![0; count as usize]).end();
    let packed = zstd::encode_all(tar.as_slice(), 3).expect("memory");
    let place = Place::new();
    let error = unpack(&packed, &place.target, &[]).expect_err("too much");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
    let is = std::fs::read_dir(&place.target).expect("a folder").count();
    assert_eq!(is, 0, "nothing is written before it is counted");

    // Pieces in one block share it.
    let close = newest("4096", "3\n0\n1\n100\n1\n4000\n1\n", b"abc");
    assert_eq!(Place::new().unpack(close).expect("well formed").size, 4096);
}

proptest::proptest! {
    #[test]
    fn damage_to_a_sparse_tar_is_survived(at in 0..4000_usize, value: u8) {
        let map: Vec<(u64, u64)> = (0..30).map(|n| (n * 5000, 3)).collect();
        let mut tar = old("a", 200_000, &map, &[7; 90]);
        tar.0.extend(newest("9000", "1\n5000\n3\n", b"xyz").0);
        let mut tar = tar.end();
        let at = at % tar.len();
        tar[at] = value;
        let _ = unpack(&tar, &Place::new().target, &[]);
    }
}
