//! A store in a folder of its own, and a root file system that unmounts itself.

use std::path::{Path, PathBuf};

use image::{Image, LoadOptions, Overlay, Store};

/// A store that goes with its folder.
pub struct Scratch {
    pub dir: tempfile::TempDir,
    pub store: Store,
}

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(&dir.path().join("images")).expect("a store");
        Self { dir, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `content` and loads it.
    pub fn load(
        &self,
        name: &str,
        content: &[u8],
        options: &LoadOptions,
    ) -> image::Result<Vec<std::sync::Arc<Image>>> {
        let file = self.path(name);
        std::fs::write(&file, content).expect("the folder takes files");
        self.store.load(&file, options)
    }

    pub fn mount(&self, image: &Image, name: &str) -> Mounted {
        let overlay =
            self.store.overlay(image, &self.path(name), &self.path(name).join("rootfs")).expect("folders");
        overlay.mount().expect("a mount");
        Mounted(overlay)
    }

    /// Names of what is in a folder of the store.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("images").join(folder)).expect("a folder of the store");
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }
}

/// An overlay that is unmounted whatever happens to the test.
pub struct Mounted(Overlay);

impl Mounted {
    pub fn root(&self) -> &Path {
        &self.0.target
    }

    /// Runs a program of the image, chrooted into it.
    pub fn run(&self, command: &[&str]) -> String {
        let output =
            std::process::Command::new("chroot").arg(self.root()).args(command).output().expect("chroot");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.0.unmount().expect("unmounts");
        self.0.unmount().expect("unmounting what is unmounted is no error");
    }
}

pub fn named(name: &str) -> LoadOptions {
    LoadOptions { name: Some(name.parse().expect("a reference")), ..LoadOptions::default() }
}

/// Bytes without a pattern, the same for the same seed.
pub fn incompressible(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
