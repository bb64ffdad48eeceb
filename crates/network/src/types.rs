//! The nouns of this crate: what is asked for and what is given. Plain data, no input or output.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest attachment id, bytes.
const ID_BYTES_MAX: usize = 512;
/// Most published ports of one attachment (ECS allows 100 a container).
pub(crate) const PORTS_MAX: usize = 100;
/// Most ports of a container, with those of ranges: each is held by a descriptor of the agent's.
pub(crate) const PORTS_ALL_MAX: usize = 1000;

/// One container's place on the network, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachSpec {
    /// The caller's name for it; unique within the instance.
    pub id: AttachmentId,
    /// ECS network mode.
    pub mode: Mode,
    /// Ports to publish. Refused with [`Mode::None`]; only echoed with [`Mode::Host`].
    #[serde(default)]
    pub ports: Vec<PortMapping>,
    /// `net.*` kernel parameters written inside the namespace (ECS `systemControls`), in order.
    /// Refused with [`Mode::Host`].
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
}

/// One container's place on the network, as given. Same answer after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The caller's name for it.
    pub id: AttachmentId,
    /// ECS network mode.
    pub mode: Mode,
    /// File to `setns` into; `None` in host mode.
    pub netns_path: Option<PathBuf>,
    /// Address of `eth0` in the namespace; bridge mode only.
    pub ipv4: Option<Ipv4Addr>,
    /// Prefix length that goes with `ipv4`.
    pub prefix_len: u8,
    /// Default route of the namespace, the bridge's address; bridge mode only.
    pub gateway: Option<Ipv4Addr>,
    /// Hardware address of `eth0`; bridge mode only.
    pub mac: Option<Mac>,
    /// Published ports, in the order asked for.
    pub bindings: Vec<Binding>,
}

/// ECS network mode of a container. With `awsvpc` it has none of its own: its task has an [`crate::Interface`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Own namespace on this instance's bridge.
    Bridge,
    /// The host's namespace.
    Host,
    /// Own namespace with nothing but `lo`.
    None,
}

/// One port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Port inside the container, 1-65535.
    pub container_port: u16,
    /// Port on the host; `None` or `Some(0)` takes one of the dynamic range.
    pub host_port: Option<u16>,
    /// Transport.
    pub protocol: Protocol,
    /// So many ports after it belong to it: side by side in the container, and side by side on the host, where
    /// all of them are of the dynamic range. 0 for one port.
    #[serde(default)]
    pub more: u16,
}

/// One published port (ECS `NetworkBinding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Always `0.0.0.0`: published on every IPv4 address of the host.
    pub bind_ip: Ipv4Addr,
    /// Port inside the container.
    pub container_port: u16,
    /// Port on the host.
    pub host_port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// Transport of a port mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
}

/// Traffic of one attachment since it was made, from the container's point of view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes received by the container.
    pub rx_bytes: u64,
    /// Packets received by the container.
    pub rx_packets: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Bytes sent by the container.
    pub tx_bytes: u64,
    /// Packets sent by the container.
    pub tx_packets: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Packets dropped on sending.
    pub tx_dropped: u64,
}

impl Counters {
    /// Of the other end of a link: what that sends, this receives.
    pub(crate) fn from_other_end(c: Counters) -> Counters {
        Counters {
            rx_bytes: c.tx_bytes,
            rx_packets: c.tx_packets,
            rx_errors: c.tx_errors,
            rx_dropped: c.tx_dropped,
            tx_bytes: c.rx_bytes,
            tx_packets: c.rx_packets,
            tx_errors: c.rx_errors,
            tx_dropped: c.rx_dropped,
        }
    }
}

/// What [`crate::Host::reconcile`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Attachments removed because nobody keeps them.
    pub removed: Vec<AttachmentId>,
    /// Attachments to be kept that are not there (a reboot, or removed by hand).
    pub missing: Vec<AttachmentId>,
}

/// How to open a [`crate::Host`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Which instance of Roadstead on this host.
    pub instance_id8: InstanceId,
    /// Where the choice of subnet is kept (in the data directory); made if absent.
    pub state_dir: PathBuf,
    /// Parent of every instance's run directory, `/run/roadstead`: namespaces and the ledger of
    /// attachments, which mean nothing after a boot.
    pub run_root: PathBuf,
    /// Subnet of the bridge, /16 to /28; `None` picks a free one and keeps it.
    pub subnet: Option<Subnet>,
    /// Host ports handed out to dynamic mappings; `None` reads
    /// `/proc/sys/net/ipv4/ip_local_port_range` and falls back to 49153-65535.
    pub dynamic_ports: Option<RangeInclusive<u16>>,
    /// Ready namespaces kept in stock, 0 to 64.
    pub pool_size: usize,
}

impl Config {
    /// The usual configuration: free subnet, the host's dynamic ports, four namespaces in stock.
    pub fn new(instance_id8: InstanceId, state_dir: impl Into<PathBuf>) -> Config {
        Config {
            instance_id8,
            state_dir: state_dir.into(),
            run_root: PathBuf::from("/run/roadstead"),
            subnet: None,
            dynamic_ports: None,
            pool_size: 4,
        }
    }
}

/// Eight lower-case hex digits that tell one instance on a host from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstanceId([u8; 8]);

impl InstanceId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits were checked when it was made")
    }
}

impl FromStr for InstanceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<InstanceId> {
        let digits: [u8; 8] = text
            .as_bytes()
            .try_into()
            .map_err(|_| Error::Invalid(format!("instance id {text:?} is not 8 hex digits")))?;
        if !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Error::Invalid(format!("instance id {text:?} is not 8 lower-case hex digits")));
        }
        Ok(InstanceId(digits))
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The caller's name for one attachment: 1 to 512 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttachmentId(String);

impl AttachmentId {
    /// Checks and makes an id.
    pub fn new(text: impl Into<String>) -> Result<AttachmentId> {
        let text = text.into();
        if text.is_empty() || text.len() > ID_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(Error::Invalid(format!("attachment id must be 1 to {ID_BYTES_MAX} printable bytes")));
        }
        Ok(AttachmentId(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AttachmentId {
    type Error = Error;

    fn try_from(text: String) -> Result<AttachmentId> {
        AttachmentId::new(text)
    }
}

impl From<AttachmentId> for String {
    fn from(id: AttachmentId) -> String {
        id.0
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hardware address; its text is `02:42:ac:1c:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

impl TryFrom<String> for Mac {
    type Error = Error;

    fn try_from(text: String) -> Result<Mac> {
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|part| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten())
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Mac)
            .ok_or_else(|| Error::Invalid(format!("{text:?} is not a hardware address")))
    }
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An IPv4 network, host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    addr: Ipv4Addr,
    prefix_len: u8,
}

impl Subnet {
    /// Makes a network of any prefix length; host bits of `addr` are cleared.
    pub fn new(addr: Ipv4Addr, prefix_len: u8) -> Result<Subnet> {
        if prefix_len > 32 {
            return Err(Error::Invalid(format!("prefix length {prefix_len} is over 32")));
        }
        let addr = Ipv4Addr::from_bits(addr.to_bits() & mask(prefix_len));
        Ok(Subnet { addr, prefix_len })
    }

    /// The network address.
    pub fn addr(&self) -> Ipv4Addr {
        self.addr
    }

    /// The prefix length.
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// The bridge's own address: the first host.
    pub fn gateway(&self) -> Ipv4Addr {
        self.at(1)
    }

    /// The address `offset` after the network address. The caller keeps to the network's size.
    pub(crate) fn at(&self, offset: u16) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.addr.to_bits().saturating_add(u32::from(offset)))
    }

    /// Offset of the broadcast address, for networks of /16 and smaller.
    pub(crate) fn last_offset(&self) -> u16 {
        u16::try_from(!mask(self.prefix_len)).unwrap_or(u16::MAX)
    }

    /// Whether two networks share an address.
    pub fn overlaps(&self, other: &Subnet) -> bool {
        let shorter = mask(self.prefix_len.min(other.prefix_len));
        self.addr.to_bits() & shorter == other.addr.to_bits() & shorter
    }
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_len)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Subnet> {
        let bad = || Error::Invalid(format!("{text:?} is not an IPv4 network such as 172.28.0.0/20"));
        let (addr, prefix_len) = text.split_once('/').ok_or_else(bad)?;
        Subnet::new(addr.parse().map_err(|_| bad())?, prefix_len.parse().map_err(|_| bad())?)
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Subnet> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests;
