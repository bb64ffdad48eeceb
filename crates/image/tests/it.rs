//! The image store on real folders, real mounts and a real registry on loopback.

mod it {
    mod crash;
    mod lifecycle;
    mod load;
    mod overlay;
    mod pull;
    mod pull_faults;
    mod pull_slow;
    mod support;
}
