//! Layers as they should be; `evil` has those that should not.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use tar::{EntryType, Header};

use super::*;
use crate::Kind;

mod evil;
mod lower;
mod sparse;

/// As the store does it, with an allowance of its own.
fn unpack(input: &[u8], target: &Path, below: &[PathBuf]) -> Result<Unpacked> {
    super::unpack(input, target, below, &Allowance::by_reading(target))
}

/// A tar, entry by entry, with nothing checked.
#[derive(Default, Clone)]
struct Tar(Vec<u8>);

impl Tar {
    fn raw(
        mut self,
        path: &[u8],
        kind: u8,
        link: &[u8],
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        let fields = header.as_old_mut();
        fields.name[..path.len()].copy_from_slice(path);
        fields.linkname[..link.len()].copy_from_slice(link);
        fields.linkflag = [kind];
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.raw(path.as_bytes(), b'0', b"", content, |_| {})
    }

    fn dir(self, path: &str) -> Self {
        self.raw(path.as_bytes(), b'5', b"", b"", |_| {})
    }

    fn symlink(self, path: &str, target: &str) -> Self {
        self.raw(path.as_bytes(), b'2', target.as_bytes(), b"", |_| {})
    }

    fn hardlink(self, path: &str, target: &str) -> Self {
        self.raw(path.as_bytes(), b'1', target.as_bytes(), b"", |_| {})
    }

    fn with(self, path: &str, kind: EntryType, change: impl FnOnce(&mut Header)) -> Self {
        self.raw(path.as_bytes(), kind.as_byte(), b"", b"", change)
    }

    /// PAX records for the entry that follows.
    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let length = (body..).find(|l| l.to_string().len() + body == *l).expect("a length");
            content.extend_from_slice(format!("{length} {key}=").as_bytes());
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        self.raw(b"pax", b'x', b"", &content, |_| {})
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A folder to unpack into, beside one that must never change.
struct Place {
    _dir: tempfile::TempDir,
    target: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (target, outside) = (dir.path().join("target"), dir.path().join("outside"));
        for path in [&target, &outside] {
            std::fs::create_dir(path).expect("a folder");
        }
        std::fs::write(outside.join("secret"), "secret").expect("a file");
        Self { _dir: dir, target, outside }
    }

    fn unpack(&self, tar: Tar) -> Result<Unpacked> {
        unpack(tar.end().as_slice(), &self.target, &[])
    }

    fn metadata(&self, path: &str) -> std::fs::Metadata {
        std::fs::symlink_metadata(self.target.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.target.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn is_opaque(&self, path: &str) -> bool {
        let mut value = [0_u8; 8];
        rustix::fs::lgetxattr(self.target.join(path), "trusted.overlay.opaque", &mut value)
            .is_ok_and(|n| &value[..n] == b"y")
    }

    fn is_whiteout(&self, path: &str) -> bool {
        let metadata = self.metadata(path);
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }
}

#[test]
fn every_kind_of_entry_keeps_what_it_says() {
    let place = Place::new();
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let tar = Tar::default()
        .raw(b"./", b'5', b"", b"", |h| h.set_mode(0o700))
        .raw(b"bin/", b'5', b"", b"", |h| {
            h.set_mode(0o1777);
            h.set_uid(12);
            h.set_mtime(1_500_000_000);
        })
        .raw(b"bin/su", b'0', b"", b"su", |h| {
            h.set_mode(0o4755);
            h.set_uid(1000);
            h.set_gid(1001);
        })
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"a\nb"),
            ("mtime", b"1.5"),
        ])
        .file("bin/ping", b"ping")
        .symlink("bin/sh", "/bin/su")
        .hardlink("bin/su2", "/bin/su")
        .hardlink("bin/sh2", "bin/sh")
        .with("fifo", EntryType::Fifo, |h| h.set_mode(0o622))
        .with("null", EntryType::Char, |h| {
            h.set_mode(0o666);
            h.set_device_major(1).and_then(|()| h.set_device_minor(3)).expect("ustar");
        })
        .with("disk", EntryType::Block, |h| {
            h.set_device_major(7).and_then(|()| h.set_device_minor(0)).expect("ustar");
        });
    let bytes = tar.clone().end();
    let unpacked = place.unpack(tar).expect("well formed");
    assert_eq!(unpacked.diff_id, Digest::of(&bytes));
    assert!(unpacked.size >= 3 * 4096 && unpacked.size <= 16 * 4096, "{}", unpacked.size);

    assert_eq!(place.metadata("").permissions().mode() & 0o7777, 0o700);
    let bin = place.metadata("bin");
    assert_eq!((bin.permissions().mode() & 0o7777, bin.uid(), bin.mtime()), (0o1777, 12, 1_500_000_000));
    let su = place.metadata("bin/su");
    assert_eq!((su.permissions().mode() & 0o7777, su.uid(), su.gid()), (0o4755, 1000, 1001));
    assert_eq!((su.nlink(), su.ino(), su.mtime()), (2, place.metadata("bin/su2").ino(), 1_600_000_000));
    let link = |path: &str| std::fs::read_link(place.target.join(path)).expect("a link");
    assert_eq!((link("bin/sh"), link("bin/sh2")), ("/bin/su".into(), "/bin/su".into()));
    assert_eq!(place.metadata("bin/sh").mtime(), 1_600_000_000);
    let ping = place.metadata("bin/ping");
    assert_eq!((ping.mtime(), ping.mtime_nsec()), (1, 500_000_000));
    let mut value = [0_u8; 64];
    let file = place.target.join("bin/ping");
    let n = rustix::fs::lgetxattr(&file, "security.capability", &mut value).expect("kept");
    assert_eq!(&value[..n], capability);
    let n = rustix::fs::lgetxattr(&file, "user.note", &mut value).expect("kept");
    assert_eq!(&value[..n], b"a\nb");
    assert!(place.metadata("fifo").file_type().is_fifo());
    assert_eq!(place.metadata("fifo").permissions().mode() & 0o777, 0o622);
    let null = place.metadata("null");
    assert_eq!((null.rdev(), null.permissions().mode() & 0o777), (rustix::fs::makedev(1, 3), 0o666));
    assert!(place.metadata("disk").file_type().is_block_device());
}

#[test]
fn the_last_of_several_entries_counts() {
    let place = Place::new();
    let tar = Tar::default()
        .file("a", b"1")
        .file("a", b"22")
        .dir("d")
        .file("d/x", b"x")
        .file("d", b"a file now")
        .file("e", b"e")
        .dir("e")
        .file("e/x", b"in e")
        .dir("f")
        .file("f/kept", b"kept")
        .raw(b"f", b'5', b"", b"", |h| h.set_mode(0o711))
        .symlink("s", "f")
        .file("s/through", b"in f")
        .symlink("s", "e")
        .file("s/x", b"now in e");
    place.unpack(tar).expect("well formed");
    assert_eq!(
        (place.read("a"), place.read("d"), place.read("e/x")),
        ("22".into(), "a file now".into(), "now in e".into())
    );
    assert_eq!((place.read("f/kept"), place.read("f/through")), ("kept".into(), "in f".into()));
    assert_eq!(place.metadata("f").permissions().mode() & 0o777, 0o711);
}

#[test]
fn whiteouts_become_overlay_marks_whatever_their_order() {
    let place = Place::new();
    let tar = Tar::default()
        .file("a/.wh.gone", b"")
        .file("a/.wh..wh.plnk", b"")
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/own", b"own")
        // The layer's own things stay, before the mark and after it.
        .file("own-file", b"1")
        .file(".wh.own-file", b"")
        .file(".wh.later-file", b"")
        .file("later-file", b"2")
        .file("own-dir/x", b"3")
        .file(".wh.own-dir", b"")
        .file(".wh.later-dir", b"")
        .dir("later-dir")
        .file(".wh.implied-dir", b"")
        .file("implied-dir/y", b"4");
    place.unpack(tar).expect("well formed");
    assert!(place.is_whiteout("a/gone") && !place.is_opaque("a"));
    assert!(place.is_opaque("opaque"));
    assert_eq!((place.read("own-file"), place.read("later-file")), ("1".into(), "2".into()));
    assert!(place.is_opaque("own-dir") && place.is_opaque("later-dir") && place.is_opaque("implied-dir"));
    assert_eq!((place.read("own-dir/x"), place.read("implied-dir/y")), ("3".into(), "4".into()));
    let names = std::fs::read_dir(place.target.join("a")).expect("a").count();
    assert_eq!(names, 1, "aufs's own marks are not unpacked");
}

#[test]
fn implied_folders_look_like_those_below() {
    let (base, top) = (Place::new(), Place::new());
    let lower = Tar::default()
        .raw(b"tmp", b'5', b"", b"", |h| {
            h.set_mode(0o1777);
            h.set_uid(5);
        })
        .symlink("link", "tmp")
        .file("file", b"");
    base.unpack(lower).expect("well formed");
    let upper = Tar::default()
        .file("tmp/new/x", b"")
        .file("link/x", b"")
        .file("file/x", b"")
        .dir("said")
        .file("said/x", b"");
    unpack(upper.end().as_slice(), &top.target, std::slice::from_ref(&base.target)).expect("well formed");
    let looks = |path: &str| {
        let metadata = top.metadata(path);
        (metadata.permissions().mode() & 0o7777, metadata.uid())
    };
    assert_eq!(looks("tmp"), (0o1777, 5));
    assert_eq!(top.metadata("tmp").mtime(), 1_600_000_000);
    for path in ["tmp/new", "link", "file", "said"] {
        assert_eq!(looks(path), (0o755, 0), "{path}");
    }
}

#[test]
fn each_compression_gives_the_same() {
    let tar = Tar::default().file("a", b"hello").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let (first, second) = tar.split_at(600);
    let members: Vec<u8> = [first, second]
        .iter()
        .flat_map(|part| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(part).expect("memory");
            encoder.finish().expect("memory")
        })
        .collect();
    let zstd = zstd::encode_all(tar.as_slice(), 3).expect("memory");
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd].concat();
    for (what, packed) in
        [("none", &tar), ("gzip", &gzip), ("members", &members), ("zstd", &zstd), ("frames", &skippable)]
    {
        let place = Place::new();
        let unpacked =
            unpack(packed.as_slice(), &place.target, &[]).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!((unpacked.diff_id, place.read("a")), (Digest::of(&tar), "hello".into()), "{what}");
        let half = &packed[..packed.len() / 2];
        let error = unpack(half, &Place::new().target, &[]).and_then(|u| {
            // Half of an uncompressed tar may end between entries; its digest tells.
            if u.diff_id == Digest::of(&tar) { Ok(()) } else { Err(Error::invalid("another digest")) }
        });
        assert_eq!(error.expect_err(what).kind(), Kind::Invalid, "{what}");
    }
    for (what, packed) in [("bzip2", b"BZh91AY".to_vec()), ("xz", b"\xfd7zXZ\0\0".to_vec())] {
        let error = unpack(packed.as_slice(), &Place::new().target, &[]).expect_err(what);
        assert!(error.to_string().contains("only gzip, zstd"), "{what}: {error}");
    }
}

#[test]
fn what_grows_without_measure_is_stopped() {
    // Zeros after the end of the archive are read for the digest, though nothing of them is kept.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..400 {
        gzip.write_all(&zeros).expect("memory");
    }
    let bomb = gzip.finish().expect("memory");
    let error = unpack(bomb.as_slice(), &Place::new().target, &[]).expect_err("a bomb");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
    assert!(error.to_string().contains("times its size"), "{error}");

    // Ever so many empty folders, which take more of a disk than of a tar.
    let folders = (0..80_000).fold(Tar::default(), |tar, n| tar.dir(&format!("{n}"))).end();
    let packed = zstd::encode_all(folders.as_slice(), 3).expect("memory");
    let error = unpack(packed.as_slice(), &Place::new().target, &[]).expect_err("a bomb");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
}

#[test]
fn attributes_that_no_file_system_takes_are_refused_in_words() {
    let place = Place::new();
    let long = vec![b'x'; 100_000];
    let tar = Tar::default().pax(&[("SCHILY.xattr.user.long", &long)]).file("a", b"");
    let error = place.unpack(tar).expect_err("too long");
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("user.long of a is too long"), "{error}");
}

#[test]
fn marks_of_aufs_do_not_show_but_what_links_lead_to_in_them_does() {
    let place = Place::new();
    let tar = Tar::default()
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/12.34", b"linked")
        .hardlink("one", ".wh..wh.plnk/12.34")
        .hardlink("two", "/.wh..wh.plnk/12.34")
        .dir(".wh..wh.orph")
        .file(".wh..wh.orph/x/y", b"")
        .file(".wh..wh.aufs", b"")
        .file("d/.wh..wh.plnk/56", b"")
        .file("d/.wh..wh..tmp/x", b"")
        .file("d/kept", b"");
    place.unpack(tar).expect("well formed");
    let names = |path: &str| {
        let entries = std::fs::read_dir(place.target.join(path)).expect("a folder");
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["d", "one", "two"]);
    assert_eq!(names("d"), ["kept"]);
    assert_eq!(
        (place.read("one"), place.metadata("one").ino()),
        ("linked".into(), place.metadata("two").ino())
    );
    for path in [".wh.a/b", "d/.wh.a/b", ".wh..wh..opq/b"] {
        let error = Place::new().unpack(Tar::default().file(path, b"")).expect_err(path);
        assert!(error.to_string().contains("no folder"), "{path}: {error}");
    }
}
