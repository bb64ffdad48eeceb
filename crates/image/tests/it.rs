//! The image store on real folders, real mounts and a real registry on loopback.

mod it {
    mod load;
    mod support;
}
