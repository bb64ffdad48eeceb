//! Mounted images: what layers hide, how many there may be, whose root it is.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use image::LoadOptions;
use image::testing::{ImageBuilder, tar_of};

use super::support::Scratch;

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn upper_layers_hide_what_they_remove() {
    let scratch = Scratch::new();
    let image = ImageBuilder::new()
        .layer(tar_of(&[
            ("d/a", b"1"),
            ("d/b", b"1"),
            ("e/a", b"1"),
            ("f/a", b"1"),
            ("g", b"1"),
            ("h/a", b"1"),
        ]))
        .layer(tar_of(&[
            ("d/.wh.a", b""),
            ("e/.wh..wh..opq", b""),
            ("e/b", b"2"),
            (".wh.f", b""),
            (".wh.g", b""),
        ]))
        .layer(tar_of(&[("f/c", b"3"), (".wh.h", b""), ("h/c", b"3"), ("g/now-a-folder", b"3")]));
    let images =
        scratch.load("image", &image.docker_archive(&["x"]), &LoadOptions::default()).expect("loads");
    let mounted = scratch.mount(&images[0], "container");
    let root = mounted.root();
    assert_eq!(names(root), ["d", "e", "f", "g", "h"]);
    for (dir, expected) in [("d", "b"), ("e", "b"), ("f", "c"), ("g", "now-a-folder"), ("h", "c")] {
        assert_eq!(names(&root.join(dir)), [expected], "{dir}");
    }
    // What the container does stays its own.
    std::fs::remove_file(root.join("d/b")).expect("writable");
    std::fs::write(root.join("new"), "x").expect("writable");
    drop(mounted);
    let other = scratch.mount(&images[0], "other");
    assert_eq!(names(other.root()), ["d", "e", "f", "g", "h"]);
    assert_eq!(names(&other.root().join("d")), ["b"]);
}

#[test]
fn as_many_layers_as_docker_takes_can_be_mounted() {
    let scratch = Scratch::new();
    let image = (0..127_u8)
        .fold(ImageBuilder::new(), |image, n| image.layer(tar_of(&[("top", &[n]), (&format!("l{n}"), b"")])));
    let images =
        scratch.load("image", &image.docker_archive(&["x"]), &LoadOptions::default()).expect("loads");
    let mounted = scratch.mount(&images[0], "container");
    assert_eq!(std::fs::read(mounted.root().join("top")).expect("a file"), [126]);
    assert_eq!(names(mounted.root()).len(), 128);

    let one_more = image.layer(tar_of(&[("x", b"")]));
    let error = scratch
        .load("more", &one_more.docker_archive(&["x"]), &LoadOptions::default())
        .expect_err("too many");
    assert_eq!(error.kind(), image::Kind::Limit, "{error}");
}

#[test]
fn the_root_keeps_the_images_owner_and_mode_and_a_container_can_be_mounted_again() {
    let scratch = Scratch::new();
    let mut header = tar::Header::new_ustar();
    header.set_path("./").expect("short");
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o751);
    header.set_uid(11);
    header.set_gid(12);
    header.set_size(0);
    header.set_cksum();
    let mut layer = header.as_bytes().to_vec();
    layer.extend(tar_of(&[("a", b"1")]));
    let archive = ImageBuilder::new().layer(layer).docker_archive(&["x"]);
    let images = scratch.load("image", &archive, &LoadOptions::default()).expect("loads");
    for round in 0..2 {
        let mounted = scratch.mount(&images[0], "container");
        let root = std::fs::metadata(mounted.root()).expect("mounted");
        assert_eq!((root.permissions().mode() & 0o7777, root.uid(), root.gid()), (0o751, 11, 12));
        assert_eq!(mounted.root().join("mine").exists(), round == 1, "what a container wrote is there again");
        std::fs::write(mounted.root().join("mine"), "x").expect("writable");
    }
}
