//! Host networking for the native engine: network namespaces, veth pairs on a bridge, addresses,
//! published ports and nftables rules.
//!
//! In ECS `bridge` mode every *container* gets its own network namespace on one bridge of this
//! instance. In mode `awsvpc` every *task* has one, with an interface in a VPC, whose own namespace routes, and
//! where security groups are enforced and names asked for (`vpc`). [`Host`] is the only handle: open it once per data directory,
//! [`Host::attach`], [`Host::attach_interface`] and [`Host::detach`], and [`Host::reconcile`] after a restart with what
//! is to stay.
//!
//! Every kernel object made here carries the instance id (8 hex digits), so several instances live
//! on one host and each finds, counts and removes its own: bridge `rs<id8>`, veths
//! `rv<id8>-<slot>`, links to VPCs' namespaces `rw<id8>-<slot>`, namespace files `rs-<id8>-<slot>` (containers),
//! `rt-<id8>-<slot>` (tasks) and `rw-<id8>-<slot>` (VPCs), table `inet roadstead_<id8>`, here and in each VPC's namespace,
//! and, while there are other hosts, `inet roadstead_<id8>_far` here.
//!
//! What was made is looked after while a [`Host`] is open: the kernel tells of changes, and what others
//! take away (all rules with a reload of the firewall, the bridge, a link) is made again at once. No
//! container reaches the host's own loopback, not even while the rules are gone: each link refuses it. Nor does one
//! speak as another: each link takes in only what is from its owner's hardware address and IP addresses.
//!
//! What this crate must not do: start processes in the namespaces of containers and tasks, decide which container gets
//! which mapping, or know anything of tasks. It never changes the namespace of a caller's thread.
//!
//! # Limits
//! A Linux bridge has at most 1023 ports, so that many containers in bridge mode an instance.
//! Ports are published on IPv4 only, and IPv6 does not leave a VPC. A host carries at most 1021 VPCs and 4096 interfaces
//! of tasks. Interfaces of other hosts are reached by IPv4. Another program's nftables or iptables policy that drops
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
mod vpc;

pub use error::{Error, Result};
pub use host::{Host, can_carry_interfaces};
pub use purge::{audit, purge};
pub use takeup::{Containers, Remembered};
pub use types::{
    AttachSpec, Attachment, AttachmentId, Binding, Config, Counters, InstanceId, Mac, Mode, PortMapping,
    Protocol, Reconciled, Subnet,
};
pub use vpc::doors::{Dns, Doors, Resolver};
pub use vpc::far::Transport;
pub use vpc::rules::{Change, Group, Moves, Peer, Rule, Traffic};
pub use vpc::{Block, Egress, Interface, InterfaceSpec, InterfaceState, Name, furnish};
