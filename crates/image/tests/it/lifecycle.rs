//! Names, holds, removal, collection, and several processes at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::testing::{ImageBuilder, Registry, busybox_image, tar_of};
use image::{Digest, Error, Image, Kind, LoadOptions, PullOptions, Reference, Store, gc};
use jiff::{SignedDuration, Timestamp};

use super::support::{Scratch, named};

fn reference(name: &str) -> Reference {
    name.parse().expect("a reference")
}

fn archive(content: &[u8]) -> Vec<u8> {
    ImageBuilder::new()
        .layer(tar_of(&[("base", b"base")]))
        .layer(tar_of(&[("a", content)]))
        .docker_archive(&[])
}

fn load(scratch: &Scratch, content: &[u8], name: &str) -> Arc<Image> {
    scratch.load(&name.replace(['/', ':'], "-"), &archive(content), &named(name)).expect("loads").remove(0)
}

#[test]
fn an_image_goes_with_its_last_tag_and_its_layers_with_their_last_image() {
    let scratch = Scratch::new();
    let one = load(&scratch, b"1", "one:1");
    load(&scratch, b"1", "one:2");
    load(&scratch, b"2", "two:1");
    assert_eq!(scratch.names("layers").len(), 3);

    let removed = scratch.store.remove("one:1").expect("removes");
    assert_eq!((removed.untagged, removed.deleted), (vec!["docker.io/library/one:1".to_owned()], None));
    let removed = scratch.store.remove("one:2").expect("removes");
    assert_eq!(removed.deleted.as_ref(), Some(&one.digest));
    assert_eq!(scratch.names("layers").len(), 2, "the shared one stays");
    assert!(
        matches!(scratch.store.remove("one:2"), Err(Error::NotFound(words)) if words == "No such image: one:2")
    );

    let two = scratch.store.resolve(&reference("two:1")).expect("a store").expect("is there");
    scratch.store.remove(two.id.as_str()).expect("removes by the id that Docker shows");
    assert!(scratch.names("layers").is_empty());
}

#[test]
fn what_is_held_stays() {
    let scratch = Scratch::new();
    let image = load(&scratch, b"1", "one:1");
    scratch.store.hold(&image.digest, "task-1.web").expect("holds");
    scratch.store.hold(&image.digest, "task-1.web").expect("again is no error");
    scratch.store.hold(&image.digest, "task-2.web").expect("holds");
    assert_eq!(scratch.store.holders(&image.digest).expect("a store"), ["task-1.web", "task-2.web"]);
    let error = scratch.store.remove("one:1").expect_err("held");
    assert_eq!(error.kind(), Kind::InUse);
    assert_eq!(error.to_string(), format!("image {} is in use by task-1.web, task-2.web", image.digest));

    // Holds are for all processes and outlive them.
    let other = Store::open(&scratch.path("images")).expect("a store");
    assert_eq!(other.holds().expect("a store").len(), 2);
    other.release(&image.digest, "task-1.web").expect("releases");
    other.release(&image.digest, "task-2.web").expect("releases");
    other.release(&image.digest, "task-2.web").expect("again is no error");
    other.remove("one:1").expect("removes");
    let error = scratch.store.hold(&image.digest, "task-3.web").expect_err("gone");
    assert_eq!(error.kind(), Kind::NotFound);
    for holder in ["", "..", ".x", "a/b", "a b", &"x".repeat(201)] {
        assert_eq!(scratch.store.hold(&image.digest, holder).expect_err(holder).kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn a_round_of_collection_takes_what_nobody_used_and_can_be_had_again() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let mut pulled = Vec::new();
    for n in 0..3_u8 {
        registry.push("x", &n.to_string(), &ImageBuilder::new().layer(tar_of(&[("a", &[n])])));
        let name = reference(&registry.reference("x", &n.to_string()));
        pulled.push(scratch.store.pull(&name, &PullOptions::default()).await.expect("pulls"));
    }
    let loaded = load(&scratch, b"1", "loaded:1");
    scratch.store.hold(&pulled[0].digest, "task").expect("holds");
    // Never under pressure, however full the test's disk is.
    let policy = gc::Policy { high_percent: 100, ..gc::Policy::default() };
    let in_an_hour = Timestamp::now() + SignedDuration::from_mins(61);
    assert_eq!(scratch.store.collect(&policy, Timestamp::now()).expect("collects"), []);
    let gone = scratch.store.collect(&policy, in_an_hour).expect("collects");
    let gone: Vec<&Digest> = gone.iter().map(|removal| &removal.digest).collect();
    assert_eq!(gone, [&pulled[1].digest, &pulled[2].digest]);
    let left: Vec<Digest> = scratch.store.list().expect("a store").iter().map(|i| i.digest.clone()).collect();
    assert!(left.contains(&pulled[0].digest) && left.contains(&loaded.digest) && left.len() == 2);
    // A process that is being started beside this one has a copy of all locks for a moment: the next round does it then.
    let began = std::time::Instant::now();
    while scratch.names("layers").len() != 3 && began.elapsed().as_secs() < 30 {
        assert_eq!(scratch.store.collect(&policy, Timestamp::now()).expect("collects"), []);
    }
    assert_eq!(scratch.names("layers").len(), 3);

    scratch.store.release(&pulled[0].digest, "task").expect("releases");
    assert_eq!(scratch.store.collect(&policy, Timestamp::now()).expect("collects"), [], "just used");
    assert_eq!(scratch.store.collect(&policy, in_an_hour).expect("collects").len(), 1);
}

#[test]
fn a_store_sees_what_another_process_did() {
    let scratch = Scratch::new();
    let other = Store::open(&scratch.path("images")).expect("a store");
    assert!(other.resolve(&reference("one:1")).expect("a store").is_none());
    load(&scratch, b"1", "one:1");
    assert!(other.resolve(&reference("one:1")).expect("a store").is_some());
    other.remove("one:1").expect("removes");
    assert!(scratch.store.resolve(&reference("one:1")).expect("a store").is_none());
}

#[test]
fn loads_and_removals_at_once_leave_a_whole_store() {
    let scratch = Scratch::new();
    let files: Vec<_> = (0..3_u8)
        .map(|n| {
            let file = scratch.path(&format!("archive-{n}"));
            std::fs::write(&file, archive(&[n])).expect("a file");
            file
        })
        .collect();
    let images = scratch.path("images");
    std::thread::scope(|scope| {
        for worker in 0..6_usize {
            let (files, images) = (&files, &images);
            scope.spawn(move || {
                let store = Store::open(images).expect("a store");
                for round in 0..8 {
                    let n = (worker + round) % 3;
                    let name = format!("x{n}:1");
                    if worker % 2 == 0 {
                        let loaded = store.load(&files[n], &named(&name)).expect("loads");
                        // Held, it is whole; or it was removed again before it could be held.
                        if store.hold(&loaded[0].digest, &format!("w{worker}")).is_ok() {
                            for layer in &loaded[0].layers {
                                let marker = images.join("layers").join(layer.chain.hex()).join("layer.json");
                                assert!(marker.exists(), "a layer of a held image is gone");
                            }
                            store.release(&loaded[0].digest, &format!("w{worker}")).expect("releases");
                        }
                    } else if let Err(error) = store.remove(&name) {
                        assert!(matches!(error.kind(), Kind::NotFound | Kind::InUse), "{error}");
                    }
                }
            });
        }
    });
    for n in 0..3 {
        let _ = scratch.store.remove(&format!("x{n}:1"));
    }
    // One that is left without a name is removed by its digest.
    for image in scratch.store.list().expect("a store") {
        scratch.store.remove(image.digest.as_str()).expect("nobody holds it");
    }
    scratch.store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
    for folder in ["layers", "tmp", "locks", "downloads"] {
        assert!(scratch.names(folder).is_empty(), "{folder}: {:?}", scratch.names(folder));
    }
}

#[test]
fn resolving_among_many_images_takes_microseconds() {
    let scratch = Scratch::new();
    let file = busybox_image(scratch.dir.path()).docker_archive;
    for n in 0..50 {
        scratch.store.load(&file, &named(&format!("many:{n}"))).expect("loads");
    }
    let name = reference("many:25");
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(scratch.store.resolve(&name).expect("a store").is_some());
    }
    let each = start.elapsed() / 1000;
    println!("resolve: {each:?}");
    assert!(each < Duration::from_millis(1), "{each:?}");
}

#[test]
fn an_image_that_was_loaded_and_renamed_is_reached_by_all_its_names() {
    let scratch = Scratch::new();
    let image = load(&scratch, b"1", "localhost:5000/a/b:c");
    scratch.load("again", &archive(b"1"), &LoadOptions::default()).expect("loads without a name");
    for name in ["localhost:5000/a/b:c", &format!("localhost:5000/a/b@{}", image.digest)] {
        let found = scratch.store.resolve(&reference(name)).expect("a store").expect(name);
        assert_eq!(found.digest, image.digest);
    }
}

#[test]
fn a_damaged_list_of_images_costs_what_is_damaged() {
    use image::testing::{ImageBuilder, tar_of};
    let scratch = Scratch::new();
    let load = |name: &str| {
        let archive =
            ImageBuilder::new().layer(tar_of(&[(name, b"")])).docker_archive(&[&format!("{name}:1")]);
        scratch.load(name, &archive, &Default::default()).expect("loads")[0].digest.clone()
    };
    let (one, two) = (load("one"), load("two"));
    let three = load("three");
    let path = scratch.path("images/index.json");
    let whole = std::fs::read_to_string(&path).expect("a list");
    let open = || image::Store::open(&scratch.path("images")).expect("a store");
    let known = |store: &image::Store| -> Vec<image::Digest> {
        store.list().expect("a list").iter().map(|image| image.digest.clone()).collect()
    };
    let sorted = |mut digests: Vec<image::Digest>| {
        digests.sort();
        digests
    };
    assert_eq!(known(&scratch.store).len(), 3);
    // One image is not as it should be.
    std::fs::write(&path, whole.replacen("\"origin\":\"loaded\"", "\"origin\":\"found\"", 1))
        .expect("a file");
    assert_eq!(known(&scratch.store).len(), 3, "who has read it before goes on");
    let store = open();
    assert_eq!(known(&store).len(), 2);
    assert!(scratch.path("images/index.json.damaged-1").exists());
    assert_eq!(known(&open()).len(), 2, "what was salvaged is the list");

    // The file as a whole: the version before it serves, without what has gone since.
    std::fs::write(&path, &whole).expect("a file");
    assert_eq!(known(&open()), sorted(vec![one.clone(), two.clone(), three.clone()]));
    let store = open();
    store.hold(&two, "runs").expect("holds");
    store.remove("one:1").expect("removes");
    for damage in [&b"\0\0\0\0"[..], b"", &whole.as_bytes()[..100]] {
        std::fs::write(&path, damage).expect("a file");
        assert_eq!(known(&open()), sorted(vec![two.clone(), three.clone()]));
    }
    // Both: nothing is known, and what a container runs on stays until it has ended.
    std::fs::write(scratch.path("images/index.before.json"), "{").expect("a file");
    std::fs::write(&path, "{").expect("a file");
    let store = open();
    assert!(known(&store).is_empty());
    store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
    assert_eq!(scratch.names("layers").len(), 2);
    store.release(&two, "runs").expect("releases");
    store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
    assert!(scratch.names("layers").is_empty());
}

#[test]
fn a_damaged_list_of_images_is_replaced_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let one = load(&scratch, b"1", "one:1");
    let two = load(&scratch, b"2", "two:1");
    let (path, before) = (scratch.path("images/index.json"), scratch.path("images/index.before.json"));
    let kept = std::fs::read(&before).expect("a version before");
    let whole = std::fs::read(&path).expect("a list");
    let open = || Store::open(&scratch.path("images")).expect("a store");
    assert_eq!(scratch.store.list().expect("a list").len(), 2);
    // Nothing can be written: a folder lies where the next version is made.
    std::fs::remove_file(scratch.path("images/index.spare")).expect("a spare");
    std::fs::create_dir_all(scratch.path("images/index.new/in-the-way")).expect("a folder");
    std::fs::write(&path, "{").expect("a file");
    let store = open();
    assert_eq!(store.list().expect("a list"), std::slice::from_ref(&one));
    assert_eq!(std::fs::read(&path).expect("a list"), b"{", "all is as it was");
    assert!(!scratch.path("images/index.json.damaged-1").exists());
    assert_eq!(scratch.store.list().expect("a list").len(), 2, "who has read it before goes on");
    // It can again.
    std::fs::remove_dir_all(scratch.path("images/index.new")).expect("out of the way");
    assert_eq!(open().list().expect("a list"), std::slice::from_ref(&one));
    assert_eq!(std::fs::read(scratch.path("images/index.json.damaged-1")).expect("set aside"), b"{");
    assert_eq!(std::fs::read(&before).expect("a version before"), kept);
    // Lost is as damaged; and who runs on writes what he knows.
    std::fs::write(&path, &whole).expect("a file");
    assert_eq!(scratch.store.list().expect("a list").len(), 2);
    std::fs::remove_file(&path).expect("a list");
    load(&scratch, b"3", "three:1");
    let found = open().list().expect("a list");
    assert_eq!(found.len(), 3);
    assert!(found.contains(&one) && found.contains(&two));
    assert_eq!(std::fs::read(&before).expect("a version before"), kept);
}
