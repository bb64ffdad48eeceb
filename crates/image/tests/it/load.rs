//! Loading: each kind of archive, and what is refused.

use std::collections::BTreeMap;
use std::io::Write;

use image::testing::{ImageBuilder, busybox_image, busybox_layer, tar_of};
use image::{Config, Kind, LoadOptions, Origin, Reference, RootfsOptions};

use super::support::{Scratch, named};

fn reference(name: &str) -> Reference {
    name.parse().expect("a reference")
}

#[test]
fn a_busybox_image_loads_from_each_kind_of_file_and_runs() {
    let scratch = Scratch::new();
    let files = busybox_image(scratch.dir.path());
    let rootfs = RootfsOptions { config: Config { cmd: vec!["sh".into()], ..Config::default() } };
    for (file, options) in [
        (&files.docker_archive, LoadOptions::default()),
        (&files.oci_layout, named("local/oci:1")),
        (&files.rootfs, LoadOptions { rootfs: Some(rootfs), ..named("local/rootfs:1") }),
    ] {
        let images = scratch.store.load(file, &options).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let [image] = images.as_slice() else { panic!("{}: {} images", file.display(), images.len()) };
        assert_eq!(image.config.cmd, ["sh"]);
        assert_eq!(image.origin, Origin::Loaded);
        assert_eq!((image.layers.len(), scratch.names("layers").len()), (1, 1), "one layer for all three");
        assert!(image.size() > 500_000, "{}", image.size());
        let mounted = scratch.mount(image, "container");
        assert_eq!(mounted.run(&["/bin/sh", "-c", "echo $((6*7)) > /tmp/x; cat /tmp/x"]), "42\n");
    }
    for name in ["busybox", "docker.io/library/busybox:latest", "local/oci:1", "local/rootfs:1"] {
        let found = scratch.store.resolve(&reference(name)).expect("a store");
        assert!(found.is_some(), "{name}");
    }
    assert!(scratch.store.resolve(&reference("busybox:2")).expect("a store").is_none());
    assert!(scratch.names("tmp").is_empty(), "{:?}", scratch.names("tmp"));
    assert!(scratch.names("locks").is_empty(), "{:?}", scratch.names("locks"));
}

#[test]
fn archives_may_be_compressed_and_layers_too() {
    let scratch = Scratch::new();
    let image = ImageBuilder::new()
        .layer(tar_of(&[("a", b"1")]))
        .gzip_layer(tar_of(&[("b", b"2")]))
        .zstd_layer(tar_of(&[("a", b"3")]));
    let archive = image.docker_archive(&["many:1"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(archive.as_slice(), 1).expect("memory");
    for content in [&archive, &gzip, &zstd] {
        let images = scratch.load("archive", content, &LoadOptions::default()).expect("loads");
        let mounted = scratch.mount(&images[0], "container");
        assert_eq!(std::fs::read(mounted.root().join("a")).expect("a"), b"3");
        assert_eq!(std::fs::read(mounted.root().join("b")).expect("b"), b"2");
    }
}

#[test]
fn an_oci_layout_in_a_tar_brings_its_names() {
    let scratch = Scratch::new();
    let image = ImageBuilder::new().gzip_layer(tar_of(&[("a", b"1")]));
    let files = image.oci_layout(Some("docker.io/library/named:7"));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect();
    let images = scratch.load("layout.tar", &tar_of(&files), &LoadOptions::default()).expect("loads");
    assert_eq!(images[0].names.iter().collect::<Vec<_>>(), ["docker.io/library/named:7"]);
    assert_eq!(images[0].digest.to_string(), image::Digest::of(&image.manifest()).to_string());
}

#[test]
fn loading_the_same_again_changes_nothing_but_the_name() {
    let scratch = Scratch::new();
    let archive = ImageBuilder::new().layer(busybox_layer()).docker_archive(&["one:1"]);
    let first = scratch.load("a", &archive, &LoadOptions::default()).expect("loads");
    let second = scratch.load("b", &archive, &named("two:2")).expect("loads");
    assert_eq!(first[0].digest, second[0].digest);
    let names: Vec<&str> = second[0].names.iter().map(String::as_str).collect();
    assert_eq!(names, ["docker.io/library/one:1", "docker.io/library/two:2"]);
    assert_eq!(scratch.store.list().expect("a store").len(), 1);
}

#[test]
fn a_name_moves_to_the_image_that_took_it_last() {
    let scratch = Scratch::new();
    let archive =
        |content: &[u8]| ImageBuilder::new().layer(tar_of(&[("a", content)])).docker_archive(&["x:1"]);
    let old = scratch.load("a", &archive(b"old"), &LoadOptions::default()).expect("loads");
    let new = scratch.load("b", &archive(b"new"), &LoadOptions::default()).expect("loads");
    let found = scratch.store.resolve(&reference("x:1")).expect("a store").expect("is there");
    assert_eq!(found.digest, new[0].digest);
    let old = scratch.store.get(&old[0].digest).expect("a store").expect("stays, without a name");
    assert!(old.names.is_empty());
}

#[test]
fn what_is_no_image_is_refused_with_a_reason() {
    let scratch = Scratch::new();
    let layer = tar_of(&[("a", b"1")]);
    let good = ImageBuilder::new().layer(layer.clone());
    let as_tar = |files: &BTreeMap<String, Vec<u8>>| {
        tar_of(&files.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect::<Vec<_>>())
    };
    let changed = |name_part: &str, content: &[u8]| {
        let mut files = good.oci_layout(None);
        let name = files.keys().find(|n| n.contains(name_part)).expect("a file").clone();
        files.insert(name, content.to_vec());
        as_tar(&files)
    };
    let layer_digest = image::Digest::of(&layer);
    let config_digest = image::Digest::of(&good.configuration());
    let other = if image::testing::host_architecture() == "amd64" { "arm64" } else { "amd64" };
    let mut foreign = good.oci_layout(None);
    let index = String::from_utf8(foreign["index.json"].clone()).expect("JSON");
    let platform = format!("\"platform\":{{\"os\":\"linux\",\"architecture\":\"{other}\"}},\"annotations\"");
    foreign.insert("index.json".into(), index.replace("\"annotations\"", &platform).into_bytes());
    for (what, content, words) in [
        ("an empty file", Vec::new(), "neither an OCI layout nor a Docker archive"),
        ("a text", b"hello".repeat(200), "checksum"),
        ("a root file system", layer.clone(), "--cmd"),
        ("half an archive", good.docker_archive(&["x"])[..700].to_vec(), "ends inside"),
        (
            "a changed layer",
            changed(layer_digest.hex(), &tar_of(&[("a", b"2")])),
            "but the image's configuration says",
        ),
        ("a changed configuration", changed(config_digest.hex(), b"{}"), "has digest"),
        ("a broken index", changed("index.json", b"{"), "not well formed"),
        ("an index of nothing", changed("index.json", br#"{"schemaVersion":2,"manifests":[]}"#), "no image"),
        ("another platform", as_tar(&foreign), "no matching manifest for linux/"),
        ("a bad tag", good.docker_archive(&["Bad"]), "must be lowercase"),
    ] {
        let error = scratch.load("file", &content, &LoadOptions::default()).expect_err(what);
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(matches!(error.kind(), Kind::Invalid | Kind::NotFound), "{what}: {error:?}");
    }
    assert!(scratch.store.list().expect("a store").is_empty());
    assert!(scratch.names("layers").is_empty() && scratch.names("tmp").is_empty());
}
