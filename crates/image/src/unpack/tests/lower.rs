//! Hard links to files of the layers below.

use super::*;

/// Layers, one on another; what `tars` say, bottom first.
fn layers(tars: Vec<Tar>) -> Vec<(Place, Result<Unpacked>)> {
    let mut made: Vec<(Place, Result<Unpacked>)> = Vec::new();
    for tar in tars {
        let below: Vec<PathBuf> = made.iter().rev().map(|(place, _)| place.target.clone()).collect();
        let place = Place::new();
        let unpacked = unpack(tar.end().as_slice(), &place.target, &below);
        made.push((place, unpacked));
    }
    made
}

fn base() -> Tar {
    Tar::default()
        .raw(b"d", b'5', b"", b"", |h| {
            h.set_mode(0o1770);
            h.set_uid(7);
        })
        .pax(&[("SCHILY.xattr.user.note", b"hello")])
        .raw(b"d/tool", b'0', b"", b"tool", |h| {
            h.set_mode(0o4751);
            h.set_uid(1000);
            h.set_gid(1001);
        })
        .hardlink("d/tool2", "d/tool")
        .symlink("d/link", "tool")
        .with("d/fifo", EntryType::Fifo, |h| h.set_mode(0o622))
        .dir("e")
}

#[test]
fn a_link_into_a_layer_below_copies_the_file_up() {
    let top = Tar::default()
        .hardlink("bin/tool", "d/tool")
        .hardlink("bin/again", "/d/tool")
        .hardlink("bin/link", "d/link")
        .hardlink("bin/fifo", "d/fifo");
    let made = layers(vec![base(), Tar::default().file("f", b""), top]);
    let (below, (place, unpacked)) = (&made[0].0, &made[2]);
    let unpacked = unpacked.as_ref().expect("well formed");
    assert!(unpacked.size >= 4096, "{}", unpacked.size);
    let (tool, was) = (place.metadata("bin/tool"), below.metadata("d/tool"));
    assert_eq!((place.read("bin/tool"), tool.nlink(), tool.mode()), ("tool".into(), 3, was.mode()));
    assert_eq!((tool.uid(), tool.gid(), tool.mtime()), (1000, 1001, 1_600_000_000));
    for name in ["bin/again", "d/tool"] {
        assert_eq!(place.metadata(name).ino(), tool.ino(), "{name}");
    }
    assert_ne!(tool.ino(), was.ino(), "the layer below is other images' too");
    assert_eq!(was.nlink(), 2);
    let mut value = [0_u8; 8];
    let n = rustix::fs::lgetxattr(place.target.join("bin/tool"), "user.note", &mut value).expect("kept");
    assert_eq!(&value[..n], b"hello");
    assert_eq!(std::fs::read_link(place.target.join("bin/link")).expect("a link"), Path::new("tool"));
    assert!(place.metadata("bin/fifo").file_type().is_fifo());
    // The folder that is implied by the copy looks as it does below.
    let folder = place.metadata("d");
    assert_eq!((folder.mode() & 0o7777, folder.uid()), (0o1770, 7));
}

#[test]
fn holes_stay_holes_in_the_copy() {
    let place = Place::new();
    let file = std::fs::File::create(place.target.join("sparse")).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 1_000_000).expect("written");
    file.set_len(3_000_000).expect("longer");
    let top = Place::new();
    let below = [place.target.clone()];
    unpack(&Tar::default().hardlink("x", "sparse").end(), &top.target, &below).expect("well formed");
    assert!(
        std::fs::read(place.target.join("sparse")).expect("was")
            == std::fs::read(top.target.join("x")).expect("is")
    );
    assert!(top.metadata("x").blocks() <= place.metadata("sparse").blocks());
}

#[test]
fn only_what_shows_can_be_linked_to() {
    let link = || Tar::default().hardlink("x", "d/tool");
    for (what, tars, taken) in [
        ("it shows", vec![base(), link()], true),
        ("it is not there", vec![base(), Tar::default().hardlink("x", "d/none")], false),
        ("a folder", vec![base(), Tar::default().hardlink("x", "e")], false),
        ("it is removed between", vec![base(), Tar::default().file("d/.wh.tool", b""), link()], false),
        ("its folder is removed between", vec![base(), Tar::default().file(".wh.d", b""), link()], false),
        (
            "its folder is opaque between",
            vec![base(), Tar::default().file("d/.wh..wh..opq", b""), link()],
            false,
        ),
        ("a file is in the way between", vec![base(), Tar::default().file("d", b""), link()], false),
        (
            "it is removed here, before",
            vec![base(), Tar::default().file("d/.wh.tool", b"").hardlink("x", "d/tool")],
            false,
        ),
        (
            "the root is opaque here",
            vec![base(), Tar::default().file(".wh..wh..opq", b"").hardlink("x", "d/tool")],
            false,
        ),
        (
            "it is removed, and there again",
            vec![base(), Tar::default().file("d/.wh.tool", b""), Tar::default().file("d/tool", b""), link()],
            true,
        ),
        (
            "it is the folder's name that leads out",
            vec![base(), Tar::default().hardlink("x", "../outside/secret")],
            false,
        ),
    ] {
        let made = layers(tars);
        let (place, unpacked) = made.last().expect("a layer");
        match unpacked {
            Ok(_) => assert!(taken && place.metadata("x").is_file(), "{what}"),
            Err(error) => {
                assert!(!taken, "{what}: {error}");
                assert_eq!(error.kind(), Kind::Invalid, "{what}: {error}");
            }
        }
    }
}

#[test]
fn a_file_that_is_moved_by_link_and_whiteout_is_at_its_new_place_only() {
    let top = Tar::default().hardlink("d/new", "d/tool").file("d/.wh.tool", b"");
    let made = layers(vec![base(), top]);
    let place = &made[1].0;
    made[1].1.as_ref().expect("well formed");
    assert_eq!(place.read("d/new"), "tool");
    assert!(place.is_whiteout("d/tool"));
    // What the layer itself has under that name stays.
    let top = Tar::default().hardlink("d/new", "d/tool").file("d/tool", b"own").file("d/.wh.tool", b"");
    let made = layers(vec![base(), top]);
    made[1].1.as_ref().expect("well formed");
    assert_eq!((made[1].0.read("d/new"), made[1].0.read("d/tool")), ("tool".into(), "own".into()));
}
