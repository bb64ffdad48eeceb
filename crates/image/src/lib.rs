//! Container images: pull, load, unpack, store, collect.
//!
//! Everything lives under one directory (`D/images`) that several processes may use at once; file
//! locks keep them apart and no daemon is needed. See [`Store`] for what is where. This crate knows
//! nothing of ECS: its errors carry a kind and words, and the agent puts ECS's reason before them.

mod config;
mod digest;
mod error;
pub mod gc;
mod image;
pub mod limits;
mod load;
mod manifest;
mod overlay;
mod progress;
mod pull;
mod reference;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod unpack;

pub use config::{Config, Healthcheck};
pub use digest::Digest;
pub use error::{Error, Kind, Result};
pub use image::{Image, Layer, Origin};
pub use load::{LoadOptions, RootfsOptions};
pub use overlay::Overlay;
pub use progress::{LayerProgress, Progress};
pub use pull::{Auth, PullOptions};
pub use reference::Reference;
pub use store::{Removed, Store};
