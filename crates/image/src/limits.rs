//! Every limit of this crate. A registry or an archive is somebody else's word: nothing it says may
//! fill this host's memory or disk without end.

use std::time::Duration;

/// A manifest or an index, in bytes (as containerd and Docker's registry have it).
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// An image configuration, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 8 << 20;
/// A token server's answer, in bytes.
pub const TOKEN_BYTES_MAX: u64 = 1 << 20;
/// Layers in an image (as Docker has it; overlayfs takes 500).
pub const LAYERS_MAX: usize = 127;
/// One layer as downloaded, in bytes.
pub const LAYER_BYTES_MAX: u64 = 64 << 30;
/// One layer unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 256 << 30;
/// A layer may unpack to this many times its size, beyond [`EXPANSION_FREE_BYTES`]; so may all layers
/// together of what is pulled or loaded at once, and a compressed archive.
pub const EXPANSION_RATIO_MAX: u64 = 200;
/// What may be unpacked whatever its ratio: small images of zeros are common in tests.
pub const EXPANSION_FREE_BYTES: u64 = 256 << 20;
/// Of a disk, one part in this many is never filled by images, up to [`DISK_KEPT_BYTES_MAX`]: what else
/// lives there must go on.
pub const DISK_KEPT_PART: u64 = 50;
/// More of a disk is never kept from images, in bytes.
pub const DISK_KEPT_BYTES_MAX: u64 = 1 << 30;
/// Files of a file system that are never taken by images, where it has a fixed number of them.
pub const FILES_KEPT_MAX: u64 = 10_000;
/// Entries in a layer.
pub const ENTRIES_MAX: u64 = 4_000_000;
/// A path inside a layer, in bytes (PATH_MAX).
pub const PATH_BYTES_MAX: usize = 4096;
/// The extended header of one tar entry, in bytes.
pub const TAR_EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// Pieces of a sparse file.
pub const SPARSE_PIECES_MAX: usize = 1 << 20;
/// Images in an archive that is loaded.
pub const IMAGES_PER_ARCHIVE_MAX: usize = 1000;
/// Files in an archive that is loaded; their content has the limits of layers and documents.
pub const ARCHIVE_FILES_MAX: usize = 500_000;
/// Their names, in bytes, all together.
pub const ARCHIVE_NAMES_BYTES_MAX: usize = 64 << 20;
/// Manifests and configurations of an archive, in bytes, all together.
pub const ARCHIVE_DOCUMENTS_BYTES_MAX: u64 = 128 << 20;
/// Redirects followed for one request.
pub const REDIRECTS_MAX: usize = 10;
/// The store's index file, in bytes.
pub const INDEX_BYTES_MAX: u64 = 256 << 20;

/// How long a registry is waited for, at each stage of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Until a registry takes the connection.
    pub connect: Duration,
    /// Without one byte.
    pub silence: Duration,
    /// For a manifest, a configuration or a token as a whole.
    pub document: Duration,
    /// Until a layer begins to arrive: tokens, redirects and headers together.
    pub begin: Duration,
    /// Each so long, a layer must have advanced by [`Patience::advance_bytes`].
    pub advance: Duration,
    /// What a layer advances by at least, in bytes: a line that is ever so slow does more.
    pub advance_bytes: u64,
    /// Between the first tries; doubled each time.
    pub backoff: Duration,
    /// A whole pull, however slowly it advances (as the ECS agent has it).
    pub pull: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            document: Duration::from_secs(60),
            begin: Duration::from_secs(60),
            advance: Duration::from_secs(60),
            advance_bytes: 60 << 10,
            backoff: Duration::from_millis(200),
            pull: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// Tries for each request of a pull; a layer that advances by [`TRY_BYTES`] gets them anew.
pub const TRIES_MAX: u32 = 4;
/// What a layer must have advanced by for a failure to count as its first, in bytes: a registry that breaks
/// off after each byte is not tried for ever.
pub const TRY_BYTES: u64 = 64 << 10;
/// Layers downloaded at once by one pull (as Docker has it).
pub const PARALLEL_DOWNLOADS: usize = 3;
