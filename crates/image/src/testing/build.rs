//! Makes images: tars in memory, the same bytes every time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::manifest::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform};
use crate::{Config, Digest};

/// Where the host keeps its statically linked busybox (Debian: `busybox-static`).
const BUSYBOX: &str = "/bin/busybox";
/// Programs that the test image has; each is a link to busybox.
const APPLETS: &[&str] = &[
    "ash",
    "awk",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "free",
    "grep",
    "gzip",
    "head",
    "hostname",
    "httpd",
    "id",
    "ifconfig",
    "ip",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "mknod",
    "mount",
    "mv",
    "nc",
    "netstat",
    "nohup",
    "nproc",
    "nslookup",
    "od",
    "ping",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "route",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "tty",
    "umount",
    "uname",
    "uniq",
    "uptime",
    "usleep",
    "vi",
    "wc",
    "wget",
    "which",
    "whoami",
    "xargs",
    "yes",
];

/// A busybox image in the three forms that `image load` takes.
#[derive(Debug, Clone)]
pub struct BusyboxImage {
    /// A Docker archive, which names the image `busybox:latest`.
    pub docker_archive: PathBuf,
    /// The folder of an OCI layout, without a name.
    pub oci_layout: PathBuf,
    /// The tar of the root file system alone.
    pub rootfs: PathBuf,
}

/// Writes a busybox image to `dir`. Its command is `sh`.
///
/// # Panics
/// When the host has no `/bin/busybox` (install `busybox-static`) or `dir` cannot be written to.
pub fn busybox_image(dir: &Path) -> BusyboxImage {
    let layer = busybox_layer();
    let image = ImageBuilder::new().layer(layer.clone());
    let made = BusyboxImage {
        docker_archive: dir.join("busybox.tar"),
        oci_layout: dir.join("busybox-oci"),
        rootfs: dir.join("busybox-rootfs.tar"),
    };
    std::fs::write(&made.rootfs, layer).expect("the folder takes files");
    std::fs::write(&made.docker_archive, image.docker_archive(&["busybox:latest"]))
        .expect("the folder takes files");
    image.write_oci_layout(&made.oci_layout, None);
    made
}

/// The tar of a small root file system with busybox in it.
///
/// # Panics
/// When the host has no `/bin/busybox`.
pub fn busybox_layer() -> Vec<u8> {
    let program = std::fs::read(BUSYBOX).expect("/bin/busybox: install busybox-static");
    let mut tar = TarBuilder::default();
    for dir in ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/log"] {
        tar.entry(dir, EntryType::Directory, if dir == "tmp" { 0o1777 } else { 0o755 }, b"", "");
    }
    tar.entry("bin/busybox", EntryType::Regular, 0o755, &program, "");
    for applet in APPLETS {
        tar.entry(&format!("bin/{applet}"), EntryType::Symlink, 0o777, b"", "busybox");
    }
    tar.entry("usr/bin", EntryType::Symlink, 0o777, b"", "../bin");
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\napp:x:1000:1000:app:/home:/bin/sh\n";
    tar.entry("etc/passwd", EntryType::Regular, 0o644, passwd.as_bytes(), "");
    tar.entry("etc/group", EntryType::Regular, 0o644, b"root:x:0:\nnogroup:x:65534:\napp:x:1000:\n", "");
    tar.finish()
}

/// A tar of plain files, `(path, content)`.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = TarBuilder::default();
    for (path, content) in files {
        tar.entry(path, EntryType::Regular, 0o644, content, "");
    }
    tar.finish()
}

#[derive(Default)]
struct TarBuilder(Vec<u8>);

impl TarBuilder {
    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8], link: &str) {
        let mut header = Header::new_ustar();
        header.set_path(path).expect("test paths are short");
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        if !link.is_empty() {
            header.set_link_name(link).expect("test links are short");
        }
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// How a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An image put together from tars.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    layers: Vec<(Vec<u8>, Packing)>,
    config: Config,
    architecture: String,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image of this host's platform without layers; its command is `sh`.
    pub fn new() -> Self {
        let config = Config {
            cmd: vec!["sh".into()],
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
            ..Config::default()
        };
        Self { layers: Vec::new(), config, architecture: Platform::host().architecture }
    }

    /// What its containers run.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The platform that it is for, as Go names it.
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Puts a tar on top.
    pub fn layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push((tar, Packing::Plain));
        self
    }

    /// Puts a tar on top, compressed by gzip.
    pub fn gzip_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push((tar, Packing::Gzip));
        self
    }

    /// Puts a tar on top, compressed by zstd.
    pub fn zstd_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push((tar, Packing::Zstd));
        self
    }

    /// The configuration, as JSON.
    pub fn configuration(&self) -> Vec<u8> {
        let diff_ids: Vec<Digest> = self.layers.iter().map(|(tar, _)| Digest::of(tar)).collect();
        to_bytes(&json!({
            "created": "2024-01-01T00:00:00Z",
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        }))
    }

    /// The layers as a registry has them, bottom first: media type and bytes.
    pub fn packed_layers(&self) -> Vec<(String, Vec<u8>)> {
        self.layers.iter().map(|(tar, packing)| pack(tar, *packing)).collect()
    }

    /// The OCI manifest, as JSON.
    pub fn manifest(&self) -> Vec<u8> {
        let descriptor = |kind: &str, content: &[u8]| json!({ "mediaType": kind, "digest": Digest::of(content), "size": content.len() });
        let layers: Vec<Value> =
            self.packed_layers().iter().map(|(kind, content)| descriptor(kind, content)).collect();
        to_bytes(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &self.configuration()),
            "layers": layers,
        }))
    }

    /// Every blob of the image, its manifest included, by digest.
    pub fn blobs(&self) -> BTreeMap<Digest, Vec<u8>> {
        let layers = self.packed_layers().into_iter().map(|(_, content)| content);
        layers.chain([self.configuration(), self.manifest()]).map(|b| (Digest::of(&b), b)).collect()
    }

    /// A Docker archive of the older kind, without an OCI layout in it.
    pub fn docker_archive(&self, tags: &[&str]) -> Vec<u8> {
        let configuration = self.configuration();
        let config_name = format!("{}.json", Digest::of(&configuration).hex());
        let mut tar = TarBuilder::default();
        let mut names = Vec::new();
        for (i, (_, content)) in self.packed_layers().into_iter().enumerate() {
            let name = format!("{i}/layer.tar");
            tar.entry(&name, EntryType::Regular, 0o644, &content, "");
            names.push(name);
        }
        tar.entry(&config_name, EntryType::Regular, 0o644, &configuration, "");
        let manifest = json!([{ "Config": config_name, "RepoTags": tags, "Layers": names }]);
        tar.entry("manifest.json", EntryType::Regular, 0o644, &to_bytes(&manifest), "");
        tar.finish()
    }

    /// The files of an OCI layout, by name.
    pub fn oci_layout(&self, name: Option<&str>) -> BTreeMap<String, Vec<u8>> {
        let manifest = self.manifest();
        let annotations = name.map(|name| json!({ "io.containerd.image.name": name })).unwrap_or(json!({}));
        let index = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{
                "mediaType": OCI_MANIFEST,
                "digest": Digest::of(&manifest),
                "size": manifest.len(),
                "annotations": annotations,
            }],
        });
        let mut files: BTreeMap<String, Vec<u8>> = self
            .blobs()
            .into_iter()
            .map(|(digest, content)| (format!("blobs/sha256/{}", digest.hex()), content))
            .collect();
        files.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        files.insert("index.json".into(), to_bytes(&index));
        files
    }

    /// Writes an OCI layout as a folder.
    ///
    /// # Panics
    /// When `dir` cannot be written to.
    pub fn write_oci_layout(&self, dir: &Path, name: Option<&str>) {
        std::fs::create_dir_all(dir.join("blobs/sha256")).expect("the folder can be made");
        for (name, content) in self.oci_layout(name) {
            std::fs::write(dir.join(name), content).expect("the folder takes files");
        }
    }
}

fn pack(tar: &[u8], packing: Packing) -> (String, Vec<u8>) {
    match packing {
        Packing::Plain => (OCI_LAYER.to_owned(), tar.to_vec()),
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).expect("memory takes bytes");
            (format!("{OCI_LAYER}+gzip"), encoder.finish().expect("memory takes bytes"))
        }
        Packing::Zstd => (format!("{OCI_LAYER}+zstd"), zstd::encode_all(tar, 1).expect("memory takes bytes")),
    }
}

fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON of strings")
}
