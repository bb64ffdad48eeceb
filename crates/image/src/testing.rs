//! For tests of this and other crates: images made on the spot, and a registry on loopback that serves
//! them and misbehaves on request. Nothing here is part of the product.

mod build;
mod registry;

pub use build::{BusyboxImage, ImageBuilder, busybox_image, busybox_layer, tar_of};
pub use registry::{Fault, Registry, RegistryAuth};

/// This host's architecture, as images name it.
pub fn host_architecture() -> String {
    crate::manifest::Platform::host().architecture
}
