//! Loading: each kind of archive, and what is refused.

use std::collections::BTreeMap;
use std::io::Write;

use image::testing::{ImageBuilder, busybox_image, busybox_layer, tar_of};
use image::{Config, Kind, LoadOptions, Origin, Reference, RootfsOptions};

use super::support::{Scratch, incompressible, named};

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

/// A tar of one file of zeros.
fn zeros(name: &str, mebibytes: usize) -> Vec<u8> {
    tar_of(&[(name, &vec![0; mebibytes << 20])])
}

fn zstd_of(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("memory")
}

#[test]
fn what_grows_without_measure_is_refused_and_nothing_of_it_stays() {
    let layered = (0..3).fold(ImageBuilder::new(), |image, n| image.zstd_layer(zeros(&n.to_string(), 150)));
    let plain = ImageBuilder::new().layer(zeros("a", 400));
    let rootfs = LoadOptions { rootfs: Some(RootfsOptions::default()), ..named("x:1") };
    let scratch = Scratch::new();
    let folder = scratch.path("layout");
    layered.write_oci_layout(&folder, Some("x:1"));
    let layout: BTreeMap<String, Vec<u8>> = layered.oci_layout(Some("x:1"));
    let layout = tar_of(&layout.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect::<Vec<_>>());
    for (what, content, options) in [
        ("a compressed archive", zstd_of(&plain.docker_archive(&["x:1"])), LoadOptions::default()),
        ("a compressed root file system", zstd_of(&zeros("a", 400)), rootfs),
        ("layers, each within limits", layered.docker_archive(&["x:1"]), LoadOptions::default()),
        ("the same, compressed twice", zstd_of(&layered.docker_archive(&["x:1"])), LoadOptions::default()),
        ("the same in a layout", layout, LoadOptions::default()),
    ] {
        let error = scratch.load("file", &content, &options).expect_err(what);
        assert_eq!(error.kind(), Kind::Limit, "{what}: {error}");
        assert!(error.to_string().contains("times its size"), "{what}: {error}");
        assert_eq!(left(&scratch), Vec::<String>::new(), "{what}");
    }
    let error = scratch.store.load(&folder, &LoadOptions::default()).expect_err("a folder");
    assert_eq!((error.kind(), left(&scratch)), (Kind::Limit, Vec::new()), "{error}");
}

/// What is in the store, whoever it belongs to.
fn left(scratch: &Scratch) -> Vec<String> {
    let folders = ["layers", "tmp", "downloads", "locks", "holds"];
    let mut left: Vec<String> = folders.iter().flat_map(|folder| scratch.names(folder)).collect();
    left.extend(scratch.store.list().expect("a store").iter().map(|image| image.digest.to_string()));
    left
}

#[test]
fn an_archive_is_taken_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let kept = ImageBuilder::new().layer(tar_of(&[("kept", b"")])).docker_archive(&["kept:1"]);
    scratch.load("kept", &kept, &LoadOptions::default()).expect("loads");
    let before = left(&scratch);

    let good = ImageBuilder::new().layer(tar_of(&[("a", b"1")]));
    let mut files = good.oci_layout(Some("docker.io/library/kept:1"));
    let bad = ImageBuilder::new().layer(tar_of(&[("a", b"2")]));
    let broken = image::Digest::of(&bad.packed_layers()[0].1);
    let mut index: Vec<u8> = Vec::new();
    for image in [&good, &bad] {
        let digest = image::Digest::of(&image.manifest());
        let name = if image.manifest() == good.manifest() { "kept:1" } else { "bad:1" };
        let comma = if index.is_empty() { "" } else { "," };
        let size = image.manifest().len();
        write!(
            index,
            r#"{comma}{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"annotations":{{"io.containerd.image.name":"docker.io/library/{name}"}}}}"#
        )
        .expect("memory");
    }
    files.extend(
        bad.blobs().into_iter().map(|(digest, content)| (format!("blobs/sha256/{}", digest.hex()), content)),
    );
    files.insert(format!("blobs/sha256/{}", broken.hex()), tar_of(&[("a", b"3")]));
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, String::from_utf8(index).expect("JSON"));
    files.insert("index.json".into(), index.into_bytes());
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (n.as_str(), c.as_slice())).collect();
    let error =
        scratch.load("two", &tar_of(&files), &LoadOptions::default()).expect_err("the second is broken");
    assert!(error.to_string().contains("but the image's configuration says"), "{error}");
    assert_eq!(left(&scratch), before, "the name is still that of the image that had it");
}

#[test]
fn an_archive_may_be_sparse_and_counts_by_its_size() {
    let scratch = Scratch::new();
    let dir = scratch.path("folder");
    let image = ImageBuilder::new().layer(tar_of(&[("a", &[0; 300_000]), ("b", b"end")]));
    image.write_oci_layout(&dir, Some("docker.io/library/sparse:1"));
    let made = |name: &str| {
        let file = scratch.path(name);
        let done =
            std::process::Command::new("tar").arg("-cSf").arg(&file).arg("-C").arg(&dir).arg(".").status();
        assert!(done.expect("tar").success());
        file
    };
    // `cp` makes holes of zeros, which `tar -S` then leaves out.
    let layer = dir.join("blobs/sha256").join(image::Digest::of(&image.packed_layers()[0].1).hex());
    let holes = scratch.path("holes");
    let done = std::process::Command::new("cp").arg("--sparse=always").arg(&layer).arg(&holes).status();
    assert!(done.expect("cp").success());
    std::fs::rename(&holes, &layer).expect("the same file system");
    let file = made("sparse.tar");
    assert!(file.metadata().expect("is there").len() < 200_000, "the archive is sparse");
    let images = scratch.store.load(&file, &LoadOptions::default()).expect("loads");
    let mounted = scratch.mount(&images[0], "container");
    assert_eq!(std::fs::read(mounted.root().join("b")).expect("b"), b"end");
    assert_eq!(std::fs::read(mounted.root().join("a")).expect("a"), [0; 300_000]);

    // A layer that is nothing but a hole of terabytes.
    let hole = std::fs::File::create(&layer).expect("a file");
    hole.set_len(1 << 40).expect("holes");
    let other = Scratch::new();
    let error = other.store.load(&made("hole.tar"), &LoadOptions::default()).expect_err("a hole");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
}

#[test]
fn documents_and_names_of_an_archive_have_an_end() {
    let scratch = Scratch::new();
    let image = ImageBuilder::new().layer(tar_of(&[("a", b"1")]));
    let mut configuration = image.configuration();
    configuration.resize(8 << 20, b' ');
    let item = r#"{"Config":"c.json","RepoTags":[],"Layers":["l.tar"]}"#;
    let manifest = format!("[{}]", [item; 20].join(","));
    let files: &[(&str, &[u8])] = &[
        ("c.json", &configuration),
        ("l.tar", &tar_of(&[("a", b"1")])),
        ("manifest.json", manifest.as_bytes()),
    ];
    let error = scratch.load("many", &tar_of(files), &LoadOptions::default()).expect_err("too many");
    assert_eq!(error.kind(), Kind::Limit, "{error}");
    assert!(error.to_string().contains("manifests and configurations"), "{error}");
    for name in ["../x", "/etc/passwd", "a/../../x"] {
        let dir = scratch.path("docker");
        std::fs::create_dir_all(&dir).expect("a folder");
        let manifest = format!(r#"[{{"Config":"{name}","RepoTags":[],"Layers":[]}}]"#);
        std::fs::write(dir.join("manifest.json"), manifest).expect("a file");
        let error = scratch.store.load(&dir, &LoadOptions::default()).expect_err(name);
        assert_eq!(error.to_string(), format!("the archive lacks {name}"));
    }
    assert_eq!(left(&scratch), Vec::<String>::new());
}

#[test]
fn a_disk_is_not_filled_to_the_brim() {
    let scratch = Scratch::new();
    let disk = scratch.path("images");
    let _mount = SmallDisk::mount(&disk);
    let store = image::Store::open(&disk).expect("a store");
    for (what, megabytes, fits) in
        [("little", 20, true), ("all but a bit", 59, false), ("too much", 80, false)]
    {
        let image = ImageBuilder::new().layer(tar_of(&[("a", &incompressible(megabytes * 1_000_000, 3))]));
        let file = scratch.path("archive");
        std::fs::write(&file, image.docker_archive(&["x:1"])).expect("a file");
        match store.load(&file, &LoadOptions::default()) {
            Ok(_) => {
                assert!(fits, "{what}");
                store.remove("x:1").expect("removes");
            }
            Err(error) => {
                assert!(!fits, "{what}: {error}");
                assert_eq!(error.kind(), Kind::Storage, "{what}: {error}");
                assert!(error.to_string().contains("not for images"), "{what}: {error}");
            }
        }
        assert_eq!(left(&scratch), Vec::<String>::new(), "{what}");
    }
}

/// A file system of 60 million bytes, for as long as the value lasts.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path) -> Self {
        use rustix::mount::{MountFlags, mount};
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), Some(c"size=60000000")).expect("a mount");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).expect("unmounts");
    }
}

#[test]
fn a_load_tells_how_far_it_is() {
    let scratch = Scratch::new();
    let image = ImageBuilder::new()
        .layer(tar_of(&[("a", &incompressible(900_000, 1))]))
        .gzip_layer(tar_of(&[("b", &incompressible(500_000, 2))]));
    let archive = image.docker_archive(&["x:1"]);
    let rootfs = LoadOptions { rootfs: Some(RootfsOptions::default()), ..named("y:1") };
    let layers: Vec<u64> = image.packed_layers().iter().map(|(_, content)| content.len() as u64).collect();
    let tar = tar_of(&[("c", &incompressible(400_000, 3))]);
    for (what, content, options, reads_first, sizes) in [
        ("compressed", zstd_of(&archive), LoadOptions::default(), true, layers.clone()),
        ("all is here", archive, LoadOptions::default(), false, vec![0, 0]),
        ("a root file system", tar.clone(), rootfs, true, vec![tar.len() as u64]),
    ] {
        let seen: std::sync::Arc<parking_lot::Mutex<Vec<image::Progress>>> = Default::default();
        let log = seen.clone();
        let progress: Option<std::sync::Arc<dyn Fn(image::Progress) + Send + Sync>> =
            Some(std::sync::Arc::new(move |p| log.lock().push(p)));
        scratch.load("file", &content, &LoadOptions { progress, ..options }).expect(what);
        let seen = seen.lock();
        let first: Vec<_> = seen.iter().filter(|p| p.layers == 0).collect();
        assert_eq!(!first.is_empty(), reads_first, "{what}");
        assert!(
            first.last().is_none_or(|p| p.bytes_done == p.bytes && p.bytes == content.len() as u64),
            "{what}"
        );
        let bytes: u64 = sizes.iter().sum();
        let end = seen.last().map(|p| (p.layers, p.layers_done, p.bytes, p.bytes_done));
        assert_eq!(end, Some((sizes.len(), sizes.len(), bytes, bytes)), "{what}");
    }
}
