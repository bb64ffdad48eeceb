//! `kill -9` at any moment of a load: what is there afterwards is whole, and loading again succeeds.
//!
//! The test starts itself as the process that is killed.

use std::process::{Command, Stdio};
use std::time::Duration;

use image::testing::{ImageBuilder, tar_of};
use image::{Store, gc};
use jiff::Timestamp;

use super::support::{Scratch, incompressible, named};

const STORE: &str = "IMAGE_TEST_STORE";
const ARCHIVE: &str = "IMAGE_TEST_ARCHIVE";

/// The process that is killed: loads and removes without end.
#[test]
fn victim() {
    let (Ok(store), Ok(archive)) = (std::env::var(STORE), std::env::var(ARCHIVE)) else { return };
    let store = Store::open(store.as_ref()).expect("a store");
    loop {
        store.load(archive.as_ref(), &named("victim:1")).expect("loads");
        store.remove("victim:1").expect("removes");
    }
}

#[test]
fn a_load_that_is_killed_leaves_nothing_half_made() {
    let scratch = Scratch::new();
    let image = (0..4_u8).fold(ImageBuilder::new(), |image, n| {
        let content = incompressible(200_000, u64::from(n) + 1);
        image.gzip_layer(tar_of(&[("a", &content), ("b/c", &[n]), ("d", &content[..5000])]))
    });
    let file = scratch.path("archive");
    std::fs::write(&file, image.docker_archive(&[])).expect("a file");
    let me = std::env::current_exe().expect("a test runs");
    for round in 0..25_u64 {
        let mut victim = Command::new(&me)
            .args(["--exact", "it::crash::victim", "--nocapture"])
            .env(STORE, scratch.path("images"))
            .env(ARCHIVE, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        // The point of the kill is what varies; no outcome waits for it.
        std::thread::sleep(Duration::from_millis(20 + round * 7 % 90));
        assert!(victim.try_wait().expect("is a child").is_none(), "the victim ended by itself");
        victim.kill().expect("is running");
        victim.wait().expect("is a child");

        let store = Store::open(&scratch.path("images")).expect("opens");
        for image in store.list().expect("the index is whole") {
            assert_whole(&scratch, &image);
        }
        let loaded = store.load(&file, &named("after:1")).expect("loads");
        assert_whole(&scratch, &loaded[0]);
        store.remove("after:1").expect("removes");
        let _ = store.remove("victim:1");
        store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
        for folder in ["layers", "tmp", "locks"] {
            assert!(scratch.names(folder).is_empty(), "round {round}: {folder}: {:?}", scratch.names(folder));
        }
    }
}

fn assert_whole(scratch: &Scratch, image: &image::Image) {
    for (n, layer) in image.layers.iter().enumerate() {
        let fs = scratch.path("images/layers").join(layer.chain.hex()).join("fs");
        let content = incompressible(200_000, n as u64 + 1);
        assert_eq!(std::fs::read(fs.join("a")).expect("a"), content);
        assert_eq!(std::fs::read(fs.join("b/c")).expect("b/c"), [n as u8]);
        assert_eq!(std::fs::read(fs.join("d")).expect("d"), content[..5000]);
    }
}
