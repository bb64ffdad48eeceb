//! Host networking for the native engine: network namespaces, veth pairs on a bridge, addresses,
//! published ports and nftables rules.
//!
//! In ECS `bridge` mode every *container* gets its own network namespace on one bridge of this
//! instance. [`Host`] is the only handle: open it once per data directory, [`Host::attach`] and
//! [`Host::detach`] containers, and [`Host::reconcile`] after a restart with what is to stay.
//!
//! Every kernel object made here carries the instance id (8 hex digits), so several instances live
//! on one host and each finds, counts and removes its own: bridge `rs<id8>`, veths
//! `rv<id8>-<slot>`, namespace files `rs-<id8>-<slot>`, table `inet roadstead_<id8>`.
//!
//! What was made is looked after while a [`Host`] is open: the kernel tells of changes, and what others
//! take away (all rules with a reload of the firewall, the bridge, a link) is made again at once. No
//! container reaches the host's own loopback, not even while the rules are gone: each link refuses it.
//!
//! What this crate must not do: start processes in the namespaces, decide which container gets
//! which mapping, or know anything of tasks. It never changes the namespace of a caller's thread.
//!
//! # Limits
//! A Linux bridge has at most 1023 ports, so that many containers in bridge mode an instance.
//! Ports are published on IPv4 only. Another program's nftables or iptables policy that drops
//! forwarded packets (dockerd sets one) wins over the rules here; [`doctor`] tells.
//!
//! # Blocking
//! Everything here is synchronous. `attach` and `detach` take well under a millisecond while the
//! stock of namespaces lasts, else a few; `open` and [`purge`](purge()) take tens of milliseconds. Call them through `spawn_blocking` (or
//! `block_in_place`), from threads in the network namespace in which the `Host` was opened.

pub mod doctor;
mod error;
pub mod files;
mod host;
mod keep;
mod ledger;
mod netlink;
mod netns;
mod nfnetlink;
mod nft;
mod ports;
mod purge;
mod setup;
mod slots;
mod stock;
mod sysctl;
mod takeup;
mod types;

pub use error::{Error, Result};
pub use host::Host;
pub use purge::{audit, purge};
pub use takeup::{Containers, Remembered};
pub use types::{
    AttachSpec, Attachment, AttachmentId, Binding, Config, Counters, InstanceId, Mac, Mode, PortMapping,
    Protocol, Reconciled, Subnet,
};
