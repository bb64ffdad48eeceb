//! Pulls that meet trouble: what is mended, what is refused, and in which words.

use std::time::Duration;

use image::testing::{Fault, ImageBuilder, Registry, tar_of};
use image::{Digest, Kind, PullOptions, Reference, gc};
use jiff::Timestamp;

use super::pull::until;
use super::support::{Scratch, incompressible};

fn reference(name: &str) -> Reference {
    name.parse().expect("a reference")
}

struct Setup {
    scratch: Scratch,
    registry: Registry,
    image: ImageBuilder,
}

impl Setup {
    fn new() -> Self {
        let (scratch, registry) = (Scratch::new(), Registry::start());
        let image = ImageBuilder::new().layer(tar_of(&[("big", &incompressible(3_000_000, 7))]));
        registry.push("x", "1", &image);
        Self { scratch, registry, image }
    }

    async fn pull(&self) -> image::Result<std::sync::Arc<image::Image>> {
        let name = self.registry.reference("x", "1");
        self.scratch.store.pull(&reference(&name), &PullOptions::default()).await
    }

    fn layer(&self) -> String {
        Digest::of(&self.image.packed_layers()[0].1).to_string()
    }

    fn layer_requests(&self) -> Vec<String> {
        self.registry.requests().into_iter().filter(|r| r.contains(&self.layer())).collect()
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let setup = Setup::new();
    setup.registry.fail(Fault::CutBlobs { bytes: 1_000_000, times: 2 });
    setup.pull().await.expect("pulls");
    let requests = setup.layer_requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    let offset = |request: &String| -> u64 {
        let (_, range) = request.split_once("bytes=").expect("resumed");
        range.trim_end_matches('-').parse().expect("a number")
    };
    assert!(offset(&requests[1]) > 0 && offset(&requests[1]) <= 1_000_000, "{requests:?}");
    assert!(offset(&requests[2]) > offset(&requests[1]), "{requests:?}");
}

#[tokio::test]
async fn the_next_pull_goes_on_where_a_dropped_one_was() {
    let setup = Setup::new();
    setup.registry.fail(Fault::CutBlobs { bytes: 1_000_000, times: 1 });
    let download = setup.scratch.path("images/downloads");
    let partial = download.join(format!("{}.part", setup.layer().trim_start_matches("sha256:")));
    {
        let pull = setup.pull();
        tokio::pin!(pull);
        let cut = until(|| partial.metadata().is_ok_and(|m| m.len() > 0));
        tokio::select! {
            _ = &mut pull => panic!("the pull waits before it tries again"),
            () = cut => {}
        }
    }
    setup.pull().await.expect("pulls");
    assert!(setup.layer_requests().last().expect("asked").contains("bytes="), "{:?}", setup.layer_requests());
}

#[tokio::test]
async fn a_registry_that_ignores_ranges_is_asked_for_all() {
    let setup = Setup::new();
    setup.registry.fail(Fault::CutBlobs { bytes: 1_000_000, times: 1 });
    setup.registry.fail(Fault::IgnoreRanges);
    let image = setup.pull().await.expect("pulls");
    let file = setup.scratch.path("images/layers").join(image.layers[0].chain.hex()).join("fs/big");
    assert_eq!(std::fs::read(file).expect("the file"), incompressible(3_000_000, 7));
}

#[tokio::test]
async fn a_partial_file_that_is_not_the_blob_is_found_out_and_the_next_pull_succeeds() {
    let setup = Setup::new();
    let hex = setup.layer().trim_start_matches("sha256:").to_owned();
    let part = setup.scratch.path("images/downloads").join(format!("{hex}.part"));
    std::fs::write(&part, vec![0; 5000]).expect("the store's folder");
    let error = setup.pull().await.expect_err("garbage in front");
    assert_eq!(error.to_string(), format!("filesystem layer verification failed for digest sha256:{hex}"));
    setup.pull().await.expect("starts anew");

    // One that is longer than the blob is given up at once.
    let setup = Setup::new();
    std::fs::write(setup.scratch.path("images/downloads").join(format!("{hex}.part")), vec![0; 4_000_000])
        .expect("x");
    setup.pull().await.expect("starts anew");
}

#[tokio::test]
async fn passing_failures_are_tried_again_and_lasting_ones_reported() {
    let setup = Setup::new();
    setup.registry.fail(Fault::Unavailable { times: 3 });
    setup.pull().await.expect("pulls");

    let setup = Setup::new();
    setup.registry.fail(Fault::Unavailable { times: u32::MAX });
    let error = setup.pull().await.expect_err("never");
    assert_eq!(error.kind(), Kind::Network);
    assert_eq!(error.to_string(), "received unexpected HTTP status: 503 Service Unavailable");
}

#[tokio::test]
async fn what_a_registry_may_not_do_is_refused() {
    let plain_elsewhere = "http://192.0.2.1/".to_owned();
    for (fault, kind, words) in [
        (Fault::WrongBlobs, Kind::Invalid, "when asked for"),
        (Fault::LongBlobs, Kind::Limit, "more than"),
        (Fault::HugeManifests(4 << 20), Kind::Invalid, ""),
        (Fault::HugeManifests((4 << 20) + 1), Kind::Limit, "more than 4194304 bytes"),
        (Fault::RedirectBlobs(plain_elsewhere), Kind::Network, "plain HTTP"),
    ] {
        let setup = Setup::new();
        setup.registry.fail(fault.clone());
        match setup.pull().await {
            // Blanks after JSON are JSON.
            Ok(_) => assert_eq!(fault, Fault::HugeManifests(4 << 20)),
            Err(error) => {
                assert_eq!(error.kind(), kind, "{fault:?}: {error}");
                assert!(error.to_string().contains(words), "{fault:?}: {error}");
                assert!(setup.scratch.store.list().expect("a store").is_empty());
            }
        }
    }
}

#[tokio::test]
async fn damaged_layers_are_refused_and_nothing_of_them_stays() {
    for lengthen in [false, true] {
        let setup = Setup::new();
        let layer: Digest = setup.layer().parse().expect("a digest");
        setup.registry.damage_blob(&layer, lengthen);
        let error = setup.pull().await.expect_err("damaged");
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(setup.scratch.names("layers").is_empty() && setup.scratch.names("tmp").is_empty());
        let whole = setup.scratch.path("images/downloads").join(layer.hex());
        assert!(!whole.exists(), "a damaged blob never gets its name");
    }
}

#[tokio::test]
async fn what_is_not_there_is_called_what_docker_calls_it() {
    let setup = Setup::new();
    let missing = setup.registry.reference("x", "nope");
    let error =
        setup.scratch.store.pull(&reference(&missing), &PullOptions::default()).await.expect_err("no tag");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("manifest for {missing} not found: manifest unknown: manifest unknown")
    );

    setup.registry.remove_blob(&setup.layer().parse().expect("a digest"));
    let error = setup.pull().await.expect_err("no layer");
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().ends_with("blob unknown: blob unknown"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_said_to_be_so() {
    let scratch = Scratch::new();
    // A port that was free a moment ago.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port();
    let name = format!("127.0.0.1:{port}/x:1");
    let (name, options) = (reference(&name), PullOptions::default());
    let pull = scratch.store.pull(&name, &options);
    let pulled = tokio::time::timeout(Duration::from_secs(30), pull).await.expect("in time");
    let error = pulled.expect_err("nobody there");
    assert_eq!(error.kind(), Kind::Network);
    assert!(
        error.to_string().starts_with(&format!("Get \"http://127.0.0.1:{port}/v2/x/manifests/1\": ")),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_dropped_at_any_moment_leave_a_store_that_goes_on() {
    let (scratch, registry) = (Scratch::new(), Registry::start());
    let contents: Vec<Vec<u8>> = (0..3).map(|n| incompressible(700_000, n + 20)).collect();
    let image = contents.iter().fold(ImageBuilder::new(), |image, content| {
        image.gzip_layer(tar_of(&[("a", content), ("b", &content[..9000])]))
    });
    registry.push("x", "1", &image);
    let (name, options) = (reference(&registry.reference("x", "1")), PullOptions::default());
    let store = &scratch.store;
    for round in 0..30 {
        // The moment is what varies; that a pull ends in time or does not is both fine.
        let pull = tokio::time::timeout(Duration::from_millis(round * 3), store.pull(&name, &options)).await;
        if let Ok(result) = pull {
            result.expect("pulls");
            store.remove(name.given()).expect("removes");
        }
        store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
    }
    let pulled = store.pull(&name, &options).await.expect("pulls");
    for (layer, content) in pulled.layers.iter().zip(&contents) {
        let fs = scratch.path("images/layers").join(layer.chain.hex()).join("fs");
        assert_eq!(std::fs::read(fs.join("a")).expect("a"), *content);
        assert_eq!(std::fs::read(fs.join("b")).expect("b"), content[..9000]);
    }
    store.remove(name.given()).expect("removes");
    // Threads of dropped pulls may still be at their last layer.
    until(|| {
        store.collect(&gc::Policy::default(), Timestamp::now()).expect("collects");
        ["layers", "tmp", "locks"].iter().all(|folder| scratch.names(folder).is_empty())
    })
    .await;
}
