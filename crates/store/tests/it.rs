//! The engines against the conformance suite, against a model, against kill -9 and against failing disks.

mod it {
    mod conformance;
    mod crash;
    mod disk;
    mod file;
    mod model;
    mod wal;
}
