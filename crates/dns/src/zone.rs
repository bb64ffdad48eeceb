//! What is known of names without asking anybody: the names of a VPC's addresses, which follow from the addresses, and zones,
//! which are tables. Pure.
//!
//! Names of a VPC are those of EC2: `ip-10-0-1-5.ec2.internal`, in regions besides us-east-1
//! `ip-10-0-1-5.REGION.compute.internal`; each address of the VPC's blocks has one, whether or not anybody has the address, and each
//! such address leads back to its name.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html>

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Seconds for which what is known here may be kept by others, that a name is not there too.
pub const TTL: u32 = 60;
/// Most records of a zone.
const RECORDS_MAX: usize = 100_000;

/// Why something is no zone, or nothing of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no name, or no block.
    #[error("{0:?} is no name or block")]
    NoName(String),
    /// A record is of something else than the zone.
    #[error("{} is not below {}", .0.0, .0.1)]
    Outside(Box<(Name, Name)>),
    /// Only A, AAAA, SRV and TXT are.
    #[error("records of type {0} are not supported in a zone")]
    Type(RecordType),
    /// There are too many.
    #[error("a zone has at most {RECORDS_MAX} records")]
    TooMany,
}

/// What is answered to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// NOERROR, NXDOMAIN, or what failed.
    pub code: ResponseCode,
    /// What was asked for.
    pub records: Vec<Record>,
    /// Of a zone, where what was asked for is not there: its SOA says for how long.
    pub authority: Vec<Record>,
    /// It is known at first hand.
    pub authoritative: bool,
    /// Who was asked says that it is authentic (DNSSEC).
    pub authentic: bool,
}

impl Answer {
    /// That something failed.
    pub fn failed(code: ResponseCode) -> Answer {
        Answer { code, records: Vec::new(), authority: Vec::new(), authoritative: false, authentic: false }
    }

    fn of(records: Vec<Record>) -> Answer {
        Answer { records, authoritative: true, ..Answer::failed(ResponseCode::NoError) }
    }

    /// That there is nothing of the name (NXDOMAIN), or of this type (NOERROR).
    fn nothing(code: ResponseCode, apex: &Name) -> Answer {
        Answer { authority: vec![soa(apex)], authoritative: true, ..Answer::failed(code) }
    }
}

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    address: Ipv4Addr,
    mask: u32,
}

impl Block {
    /// Whether the address is one of it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask == self.address.to_bits() & self.mask
    }
}

impl FromStr for Block {
    type Err = Error;

    /// `10.0.0.0/16`, or one address.
    fn from_str(text: &str) -> Result<Block, Error> {
        let bad = || Error::NoName(text.to_owned());
        let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
        let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(bad)?;
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        Ok(Block { address: address.parse().map_err(|_| bad())?, mask })
    }
}

/// What a VPC gives names to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// Its blocks of IPv4.
    pub blocks: Vec<Block>,
    /// The domain of its names: `ec2.internal`.
    pub domain: Name,
}

impl Vpc {
    /// Of texts.
    ///
    /// # Errors
    /// [`Error::NoName`].
    pub fn new(domain: &str, blocks: impl IntoIterator<Item = Block>) -> Result<Vpc, Error> {
        // All names are below the root, and not all are a VPC's.
        let read = name(domain).ok().filter(|name| !name.is_root());
        let domain = read.ok_or_else(|| Error::NoName(domain.to_owned()))?;
        Ok(Vpc { domain, blocks: blocks.into_iter().collect() })
    }

    /// Whether one of its addresses.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.blocks.iter().any(|block| block.contains(address))
    }

    fn answer(&self, asked: &Name, kind: RecordType) -> Option<Answer> {
        if self.domain.zone_of(asked) {
            return Some(self.forward(asked, kind));
        }
        let address = reverse(asked)?;
        let apex = asked.base_name();
        self.contains(address).then(|| match kind {
            RecordType::PTR => match self.name_of(address) {
                Some(name) => Answer::of(vec![Record::from_rdata(asked.clone(), TTL, RData::PTR(PTR(name)))]),
                None => Answer::nothing(ResponseCode::NXDomain, &apex),
            },
            _ => Answer::nothing(ResponseCode::NoError, &apex),
        })
    }

    fn forward(&self, asked: &Name, kind: RecordType) -> Answer {
        if *asked == self.domain {
            return match kind {
                RecordType::SOA => Answer::of(vec![soa(&self.domain)]),
                _ => Answer::nothing(ResponseCode::NoError, &self.domain),
            };
        }
        let is_host = asked.num_labels() == self.domain.num_labels() + 1;
        let address = asked.iter().next().filter(|_| is_host).and_then(address_in);
        match (address.filter(|address| self.contains(*address)), kind) {
            (Some(address), RecordType::A) => {
                Answer::of(vec![Record::from_rdata(asked.clone(), TTL, RData::A(A(address)))])
            }
            (Some(_), _) => Answer::nothing(ResponseCode::NoError, &self.domain),
            (None, _) => Answer::nothing(ResponseCode::NXDomain, &self.domain),
        }
    }

    /// None where the domain leaves no room for it.
    fn name_of(&self, address: Ipv4Addr) -> Option<Name> {
        let [a, b, c, d] = address.octets();
        self.domain.prepend_label(format!("ip-{a}-{b}-{c}-{d}").as_str()).ok()
    }
}

/// `ip-10-0-1-5`.
fn address_in(label: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(label).ok()?;
    let numbers = text.get(..3).filter(|head| head.eq_ignore_ascii_case("ip-")).and(text.get(3..))?;
    // A number with noughts before it is no address, also here.
    if numbers.contains('.') { None } else { numbers.replace('-', ".").parse().ok() }
}

/// The address of `5.1.0.10.in-addr.arpa`.
fn reverse(asked: &Name) -> Option<Ipv4Addr> {
    let labels: Vec<&[u8]> = asked.iter().collect();
    let [d, c, b, a, zone, arpa] = labels.as_slice() else { return None };
    let is_reverse = zone.eq_ignore_ascii_case(b"in-addr") && arpa.eq_ignore_ascii_case(b"arpa");
    let texts: Vec<&str> = [a, b, c, d].into_iter().flat_map(|label| std::str::from_utf8(label)).collect();
    if !is_reverse || texts.len() != 4 || texts.iter().any(|text| text.contains('.')) {
        return None;
    }
    texts.join(".").parse().ok()
}

/// A table of names to records: what somebody else says of a domain, such as a namespace of service discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    apex: Name,
    records: BTreeMap<Name, Vec<Record>>,
}

impl Zone {
    /// A zone with its records, each with the TTL that it has.
    ///
    /// # Errors
    /// A record that is of another zone, or of a type that zones do not have; too many.
    pub fn new(apex: Name, records: impl IntoIterator<Item = Record>) -> Result<Zone, Error> {
        let mut zone = Zone { apex, records: BTreeMap::new() };
        for (count, record) in records.into_iter().enumerate() {
            let kind = record.record_type();
            if count >= RECORDS_MAX {
                return Err(Error::TooMany);
            }
            if !zone.apex.zone_of(&record.name) {
                return Err(Error::Outside(Box::new((record.name, zone.apex))));
            }
            if !matches!(kind, RecordType::A | RecordType::AAAA | RecordType::SRV | RecordType::TXT) {
                return Err(Error::Type(kind));
            }
            zone.records.entry(record.name.to_lowercase()).or_default().push(record);
        }
        Ok(zone)
    }

    fn answer(&self, asked: &Name, kind: RecordType) -> Answer {
        let asked_low = asked.to_lowercase();
        if asked_low == self.apex && kind == RecordType::SOA {
            return Answer::of(vec![soa(&self.apex)]);
        }
        let of_name = self.records.get(&asked_low);
        let of_kind = of_name.into_iter().flatten().filter(|record| record.record_type() == kind);
        let records: Vec<Record> = of_kind.cloned().collect();
        if !records.is_empty() {
            return Answer::of(records);
        }
        // In the order of names what is below one comes right behind it.
        let is_there = asked_low == self.apex
            || self.records.range(&asked_low..).next().is_some_and(|(name, _)| asked_low.zone_of(name));
        let code = if is_there { ResponseCode::NoError } else { ResponseCode::NXDomain };
        Answer::nothing(code, &self.apex)
    }
}

/// What those know that ask in one VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The VPC.
    pub vpc: Vpc,
    /// Zones besides: of several that a name is in, the smallest counts.
    pub zones: Vec<Arc<Zone>>,
}

impl View {
    /// The answer to what is known here; none to what others are to be asked.
    pub fn answer(&self, asked: &Name, kind: RecordType) -> Option<Answer> {
        let zones = self.zones.iter().filter(|zone| zone.apex.zone_of(asked));
        match zones.max_by_key(|zone| zone.apex.num_labels()) {
            Some(zone) => Some(zone.answer(asked, kind)),
            None => self.vpc.answer(asked, kind),
        }
    }
}

/// A name from its text, absolute with or without the last dot.
///
/// # Errors
/// [`Error::NoName`].
pub fn name(text: &str) -> Result<Name, Error> {
    let mut name = Name::from_ascii(text).map_err(|_| Error::NoName(text.to_owned()))?;
    name.set_fqdn(true);
    Ok(name)
}

fn soa(apex: &Name) -> Record {
    let whom = apex.prepend_label("hostmaster").unwrap_or_else(|_| apex.clone());
    // Nobody transfers the zone: all but the last is form.
    let soa = SOA::new(apex.clone(), whom, 1, 7200, 900, 1_209_600, TTL);
    Record::from_rdata(apex.clone(), TTL, RData::SOA(soa))
}

#[cfg(test)]
mod tests;
