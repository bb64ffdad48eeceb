//! Certificates over the years of a control plane, on a clock of the tests; files that change.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime, pem::PemObject},
};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: i64 = 24 * 3600 * 1000;

fn own(dir: &Path) -> Source {
    Source::Own { dir: dir.to_owned(), names: vec!["localhost".to_owned(), "10.0.0.1".to_owned()] }
}

/// Whether a client that trusts these CAs takes what is shown.
fn takes(tls: &Tls, trusted: &Bundle, name: &str, now: Timestamp) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for der in trusted.certificates() {
        roots.add(CertificateDer::from(der.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let key = tls.current.load().key.clone();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_millis(now.0 as u64));
    verifier.verify_server_cert(&key.cert[0], &key.cert[1..], &name, &[], at).map(|_| ())
}

#[test]
fn the_ca_is_made_once_and_its_key_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("tls");
    let first = Tls::open(own(&dir), NOW).unwrap();
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode(authority::FILE), mode(authority::CERTIFICATES)), (0o600, 0o644));
    assert_eq!(fs::read_to_string(dir.join(authority::CERTIFICATES)).unwrap(), first.bundle().to_pem());
    let again = Tls::open(own(&dir), NOW).unwrap();
    assert_eq!(first.bundle(), again.bundle());
    for name in ["localhost", "10.0.0.1"] {
        takes(&again, &first.bundle(), name, NOW).unwrap();
    }
    takes(&again, &first.bundle(), "10.0.0.2", NOW).unwrap_err();
    let other = Tls::open(own(&dir.join("other")), NOW).unwrap();
    takes(&again, &other.bundle(), "localhost", NOW).unwrap_err();
}

#[test]
fn a_damaged_ca_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(own(dir.path()), NOW).unwrap();
    for text in ["", "{}", "{\"v\":2,\"authorities\":[]}", "secret"] {
        fs::write(dir.path().join(authority::FILE), text).unwrap();
        let error = Tls::open(own(dir.path()), NOW).err().unwrap().to_string();
        assert!(error.ends_with("it cannot be read: put a copy of it in its place"), "{error}");
        // Who runs goes on with what it has, and says it once.
        assert!(tls.refresh(NOW).is_err());
        assert!(!tls.refresh(NOW).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join(authority::FILE)).unwrap(), text);
    }
}

#[test]
fn a_certificate_is_renewed_well_before_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(own(dir.path()), NOW).unwrap();
    let ca = tls.bundle();
    assert!(!tls.refresh(NOW.plus_millis(19 * DAY)).unwrap());
    let (_, before) = tls.good();
    assert!(tls.refresh(NOW.plus_millis(20 * DAY)).unwrap());
    assert!(before.0 - (NOW.0 + 20 * DAY) >= 9 * DAY && tls.good().1 > before);
    assert_eq!(tls.bundle(), ca);
    // A clock that is put right makes one that is good then.
    assert!(tls.refresh(NOW.plus_millis(-DAY)).unwrap());
    assert!(!tls.refresh(NOW.plus_millis(-DAY)).unwrap() || tls.good().0 <= NOW);
}

#[test]
fn over_the_years_who_connects_once_a_month_always_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(own(dir.path()), NOW).unwrap();
    let (first, mut trusted) = (tls.bundle(), tls.bundle());
    let mut most = 0;
    for days in (0..30 * 365).step_by(28) {
        let now = NOW.plus_millis(days * DAY);
        tls.refresh(now).unwrap();
        takes(&tls, &trusted, "localhost", now).unwrap_or_else(|error| panic!("day {days}: {error}"));
        trusted = tls.bundle();
        most = most.max(trusted.certificates().len());
    }
    assert!(most == 2 && !trusted.certificates().contains(&first.certificates()[0]));
}

#[test]
fn a_rotation_by_hand_is_told_before_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(own(dir.path()), NOW).unwrap();
    let before = tls.bundle();
    let at = authority::Authority::rotate(dir.path(), Duration::from_secs(3600), NOW).unwrap();
    assert_eq!(at, NOW.plus_millis(3_600_000));
    assert!(tls.refresh(NOW).unwrap());
    let both = tls.bundle();
    assert_eq!((both.certificates().len(), &both.certificates()[0]), (2, &before.certificates()[0]));
    takes(&tls, &before, "localhost", NOW).unwrap();
    // A second one does not make a third CA, but says when the second signs.
    let at = authority::Authority::rotate(dir.path(), Duration::ZERO, NOW.plus_millis(1000)).unwrap();
    assert!(tls.refresh(at).unwrap());
    takes(&tls, &before, "localhost", at).unwrap_err();
    takes(&tls, &both, "localhost", at).unwrap();
    assert_eq!(tls.bundle().certificates(), &both.certificates()[1..]);
}

#[test]
fn files_are_read_again_when_they_change_and_bad_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let ca = authority::Authority::open(&path("ca"), NOW).unwrap();
    let give = |name: &str| {
        let made = ca.issue(&[name.to_owned()], NOW).unwrap();
        let chain = Bundle::new(made.chain.iter().map(|der| der.to_vec()).collect()).unwrap();
        let key = Bundle::new(vec![made.key.secret_der().to_vec()]).unwrap().to_pem();
        (chain.to_pem(), key.replace("CERTIFICATE", "PRIVATE KEY"))
    };
    let write = |(chain, key): (String, String)| {
        fs::write(path("cert.pem"), chain).unwrap();
        fs::write(path("key.pem"), key).unwrap();
    };
    let files = files::Files {
        certificate: path("cert.pem"),
        key: path("key.pem"),
        authority: None,
        name: Some("one.example".to_owned()),
    };
    let open = || Tls::open(Source::Files(files.clone()), NOW);
    assert!(open().is_err());
    write(give("one.example"));
    let tls = open().unwrap();
    assert_eq!(tls.bundle(), ca.bundle().unwrap());
    takes(&tls, &ca.bundle().unwrap(), "one.example", NOW).unwrap();
    assert!(!tls.refresh(NOW).unwrap());
    write(give("two.example"));
    assert!(tls.refresh(NOW).unwrap());
    takes(&tls, &tls.bundle(), "two.example", NOW).unwrap();
    let (chain, key) = give("three.example");
    for (chain, key) in [
        (chain.clone(), give("four.example").1),
        (chain.clone(), String::new()),
        (String::new(), key.clone()),
        (chain[..200].to_owned(), key.clone()),
    ] {
        write((chain, key));
        let error = tls.refresh(NOW).unwrap_err().to_string();
        assert!(!error.contains(key_text(&give("x").1)), "{error}");
        assert!(!tls.refresh(NOW).unwrap(), "said once");
        takes(&tls, &tls.bundle(), "two.example", NOW).unwrap();
    }
    write((chain, key));
    assert!(tls.refresh(NOW).unwrap());
    takes(&tls, &tls.bundle(), "three.example", NOW).unwrap();
}

/// The first line of a key, without its head.
fn key_text(pem: &str) -> &str {
    pem.lines().nth(1).unwrap()
}

#[test]
fn the_ca_that_agents_trust_comes_along() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let ca = authority::Authority::open(&path("ca"), NOW).unwrap();
    let made = ca.issue(&["one.example".to_owned()], NOW).unwrap();
    let alone = Bundle::new(vec![made.chain[0].to_vec()]).unwrap();
    fs::write(path("cert.pem"), alone.to_pem()).unwrap();
    let key = Bundle::new(vec![made.key.secret_der().to_vec()]).unwrap().to_pem();
    fs::write(path("key.pem"), key.replace("CERTIFICATE", "PRIVATE KEY")).unwrap();
    fs::write(path("root.pem"), ca.bundle().unwrap().to_pem()).unwrap();
    let files = files::Files {
        certificate: path("cert.pem"),
        key: path("key.pem"),
        authority: Some(path("root.pem")),
        name: None,
    };
    let tls = Tls::open(Source::Files(files), NOW).unwrap();
    assert_eq!(tls.current.load().key.cert.len(), 2);
    let read = CertificateDer::pem_file_iter(path("root.pem")).unwrap().next().unwrap().unwrap();
    assert_eq!(tls.bundle().certificates(), &[read.to_vec()]);
}
