//! Pulls that succeed: names, authentication, indexes, sharing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image::testing::{Fault, ImageBuilder, Registry, RegistryAuth, busybox_layer, host_architecture, tar_of};
use image::{Auth, Digest, Kind, Progress, PullOptions, Reference, Store};
use parking_lot::Mutex;

use super::support::{Scratch, incompressible};

fn reference(name: &str) -> Reference {
    name.parse().expect("a reference")
}

async fn pull(store: &Store, name: &str) -> image::Result<Arc<image::Image>> {
    store.pull(&reference(name), &PullOptions::default()).await
}

#[tokio::test]
async fn a_pulled_image_runs_and_answers_to_its_names() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let built = ImageBuilder::new().gzip_layer(busybox_layer()).zstd_layer(tar_of(&[("etc/motd", b"hi\n")]));
    let digest = registry.push("team/busybox", "1", &built);
    let name = registry.reference("team/busybox", "1");
    let image = pull(&scratch.store, &name).await.expect("pulls");
    assert_eq!(image.digest, digest);
    assert_eq!(scratch.mount(&image, "container").run(&["/bin/cat", "/etc/motd"]), "hi\n");
    let by_digest = format!("{}/team/busybox@{digest}", registry.host());
    for name in [&name, &by_digest] {
        let found = scratch.store.resolve(&reference(name)).expect("a store").expect(name);
        assert_eq!(found.digest, digest);
    }
    assert!(scratch.names("downloads").is_empty() && scratch.names("tmp").is_empty());

    let before = registry.count("/blobs/");
    pull(&scratch.store, &by_digest).await.expect("pulls again");
    let layers_asked = registry.count("/blobs/") - before;
    assert_eq!(layers_asked, 1, "only the configuration is asked for again");
}

#[tokio::test]
async fn of_an_index_the_hosts_manifest_is_taken() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let ours = ImageBuilder::new().layer(tar_of(&[("a", b"ours")]));
    let other = if host_architecture() == "amd64" { "arm64" } else { "amd64" };
    let theirs = ImageBuilder::new().layer(tar_of(&[("a", b"theirs")])).architecture(other);
    let entry = |image: &ImageBuilder, digest: &Digest, architecture: &str| {
        let size = image.manifest().len();
        format!(
            r#"{{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"{digest}","size":{size},
                "platform":{{"os":"linux","architecture":"{architecture}","variant":"v8"}}}}"#
        )
    };
    let (our_digest, their_digest) =
        (registry.push("x", "ours", &ours), registry.push("x", "theirs", &theirs));
    for media_type in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        let list = |entries: &[String]| {
            format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#, entries.join(","))
        };
        let theirs = entry(&theirs, &their_digest, other);
        let both = list(&[theirs.clone(), entry(&ours, &our_digest, &host_architecture())]);
        let index = registry.push_manifest("x", "both", media_type, both.into_bytes());
        let image = pull(&scratch.store, &registry.reference("x", "both")).await.expect("pulls");
        assert_eq!(image.digest, our_digest);
        assert!(image.names.contains(&format!("{}/x@{index}", registry.host())), "{:?}", image.names);
        let both: image::Reference = registry.reference("x", "both").parse().expect("parses");
        let resolved = scratch.store.pull_resolved(&both, &Default::default()).await.expect("pulls").1;
        assert_eq!(resolved, index, "what hosts of every architecture can pull");
        let by_index = scratch.store.resolve(&both.at(&index)).expect("reads");
        assert_eq!(by_index.map(|image| image.digest.clone()), Some(our_digest.clone()));

        registry.push_manifest("x", "foreign", media_type, list(&[theirs]).into_bytes());
        let error =
            pull(&scratch.store, &registry.reference("x", "foreign")).await.expect_err("not for this host");
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().starts_with("no matching manifest for linux/"), "{error}");
    }
}

#[tokio::test]
async fn credentials_are_asked_for_and_given() {
    let user = ("ecs".to_owned(), "se:cret".to_owned());
    let basic = |password: &str| Auth::Basic { username: "ecs".into(), password: password.into() };
    let token = |user: Option<(String, String)>, uses| RegistryAuth::Token { user, uses };
    let required_basic = RegistryAuth::Basic(user.0.clone(), user.1.clone());
    for (what, required, given, fits) in [
        ("basic", required_basic.clone(), basic("se:cret"), true),
        ("basic, wrong", required_basic.clone(), basic("guess"), false),
        ("basic, nobody", required_basic, Auth::Anonymous, false),
        ("token for all", token(None, 100), Auth::Anonymous, true),
        ("token that wears out", token(None, 1), Auth::Anonymous, true),
        ("token for a user", token(Some(user.clone()), 100), basic("se:cret"), true),
        ("token for a user, wrong", token(Some(user.clone()), 100), basic("guess"), false),
        ("token for a user, nobody", token(Some(user), 100), Auth::Anonymous, false),
        ("token that was never given", token(None, 100), Auth::Bearer("made up".into()), false),
    ] {
        let (scratch, registry) = (Scratch::new(), Registry::start());
        registry.push(
            "x",
            "1",
            &ImageBuilder::new().layer(tar_of(&[("a", b"1")])).layer(tar_of(&[("b", b"1")])),
        );
        registry.require(required);
        let options = PullOptions { auth: given, ..PullOptions::default() };
        let result = scratch.store.pull(&reference(&registry.reference("x", "1")), &options).await;
        match result {
            Ok(_) => assert!(fits, "{what}"),
            Err(error) => {
                assert!(!fits, "{what}: {error}");
                assert_eq!(error.kind(), Kind::Unauthorized, "{what}: {error:?}");
                assert!(error.to_string().starts_with("pull access denied for "), "{what}: {error}");
                assert!(!error.to_string().contains("guess"), "{what}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn tls_is_spoken_and_certificates_are_checked() {
    let (scratch, registry) = (Scratch::new(), Registry::start_tls());
    let digest = registry.push("x", "1", &ImageBuilder::new().gzip_layer(tar_of(&[("a", b"1")])));
    let name = reference(&registry.reference("x", "1"));
    // On loopback an unknown certificate means "no TLS", and plain HTTP then meets a server that has it.
    let error = scratch.store.pull(&name, &PullOptions::default()).await.expect_err("unknown certificate");
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert_eq!(registry.requests(), [""; 0], "nothing was told to a server that nobody knows");

    let pem = registry.certificate_pem().expect("speaks TLS").as_bytes().to_vec();
    let options = PullOptions { extra_roots_pem: vec![pem], ..PullOptions::default() };
    let image = scratch.store.pull(&name, &options).await.expect("pulls");
    assert_eq!(image.digest, digest);
}

#[tokio::test]
async fn layers_arrive_side_by_side() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let image = (0..3).fold(ImageBuilder::new(), |image, n| image.layer(tar_of(&[("a", &[n])])));
    registry.push("x", "1", &image);
    let layers: Vec<Digest> = image.packed_layers().iter().map(|(_, content)| Digest::of(content)).collect();
    for layer in &layers {
        registry.fail(Fault::HoldBlob(layer.clone()));
    }
    let (store, name) = (scratch.store.clone(), reference(&registry.reference("x", "1")));
    let pulling = tokio::spawn(async move { store.pull(&name, &PullOptions::default()).await });
    until(|| layers.iter().all(|layer| registry.count(layer.as_str()) == 1)).await;
    registry.mend();
    pulling.await.expect("no panic").expect("pulls");
    assert!(layers.iter().all(|layer| registry.count(layer.as_str()) == 1), "{:?}", registry.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pulls_of_the_same_layers_at_once_do_the_work_once() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let base = incompressible(300_000, 1);
    let shared = ImageBuilder::new().gzip_layer(tar_of(&[("base", &base)])).layer(tar_of(&[("b", b"1")]));
    for n in 0..4_u8 {
        registry.push("x", &n.to_string(), &shared.clone().layer(tar_of(&[("top", &[n])])));
    }
    registry.fail(Fault::DelayBlobs(Duration::from_millis(30)));
    // As several processes would do it: each with a store of its own on the same folder.
    let mut pulls = tokio::task::JoinSet::new();
    for n in 0..16 {
        let store = Store::open(&scratch.path("images")).expect("a store");
        let name = registry.reference("x", &(n % 4).to_string());
        pulls.spawn(async move { pull(&store, &name).await });
    }
    while let Some(result) = pulls.join_next().await {
        let image = result.expect("no panic").expect("pulls");
        assert_eq!(image.layers.len(), 3);
    }
    for (_, content) in shared.packed_layers() {
        assert_eq!(registry.count(Digest::of(&content).as_str()), 1, "{:?}", registry.requests());
    }
    assert_eq!(scratch.store.list().expect("a store").len(), 4);
    assert_eq!(scratch.names("layers").len(), 2 + 4);
    for folder in ["downloads", "tmp", "locks"] {
        assert!(scratch.names(folder).is_empty(), "{folder}: {:?}", scratch.names(folder));
    }
}

#[tokio::test]
async fn progress_rises_to_the_end() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let image = ImageBuilder::new()
        .layer(tar_of(&[("a", &incompressible(2_000_000, 2))]))
        .gzip_layer(tar_of(&[("b", &incompressible(1_000_000, 3))]));
    registry.push("x", "1", &image);
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let (calls, log) = (Arc::new(AtomicUsize::new(0)), seen.clone());
    let counted = calls.clone();
    let progress = move |p: Progress| {
        counted.fetch_add(1, Ordering::Relaxed);
        log.lock().push(p);
    };
    let options = PullOptions { progress: Some(Arc::new(progress)), ..PullOptions::default() };
    scratch.store.pull(&reference(&registry.reference("x", "1")), &options).await.expect("pulls");
    let seen = seen.lock();
    let bytes: u64 = image.packed_layers().iter().map(|(_, c)| c.len() as u64).sum();
    let end = seen.last().map(|p| (p.layers, p.layers_done, p.bytes, p.bytes_done));
    assert_eq!(end, Some((2, 2, bytes, bytes)));
    for (index, (_, content)) in image.packed_layers().iter().enumerate() {
        let mut of_layer = seen.iter().filter_map(|p| p.last).filter(|layer| layer.index == index);
        let end = of_layer.next_back().map(|layer| (layer.bytes, layer.bytes_done, layer.is_done));
        assert_eq!(end, Some((content.len() as u64, content.len() as u64, true)), "{index}");
    }
    assert!(seen.is_sorted_by_key(|p| (p.bytes_done, p.layers_done)) && calls.load(Ordering::Relaxed) > 5);
}

/// Waits for a condition that another thread brings about.
pub async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the condition never came true");
}
