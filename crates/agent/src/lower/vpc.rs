//! Lowers what the control plane says of VPCs, and puts together what it says in parts. Pure.

use std::net::Ipv4Addr;

use agent_protocol::acs;
use engine::vpc::{Change, Dns, Group, Moves, Peer, Rule, Traffic, Transport};

use super::network::{block, name, state};

/// Most entries that wait in parts for the last one: of a host with all that it may know.
const WAITING_MAX: usize = 4_000_000;

/// Why a message cannot be carried out: the session ends, and the next begins with all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something before it was lost.
    #[error("message {found} came where {expected} was due")]
    Gap {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The first of a session does not say all.
    #[error("the first message does not say all that holds")]
    NotWhole,
    /// The parts before the last are too many.
    #[error("over {WAITING_MAX} entries in parts")]
    TooMuch,
    /// Something in it is not understood.
    #[error("{0}")]
    Invalid(String),
}

/// What one session has said so far.
#[derive(Debug, Default)]
pub struct Session {
    seen: u64,
    waiting: Change,
    entries: usize,
    /// Where other hosts reach this one.
    address: Option<Ipv4Addr>,
}

impl Session {
    /// One in which it was said that other hosts reach this one there.
    pub fn new(address: Option<Ipv4Addr>) -> Session {
        Session { address, ..Session::default() }
    }

    /// Takes a message in; answers what is to hold now, unless more parts of it follow.
    pub fn hear(&mut self, message: acs::VpcMessage) -> Result<Option<Change>, Error> {
        let expected = self.seen + 1;
        if message.sequence != expected {
            return Err(Error::Gap { expected, found: message.sequence });
        }
        if expected == 1 && !message.whole {
            return Err(Error::NotWhole);
        }
        let more = message.more;
        let part = change(message).map_err(Error::Invalid)?;
        self.entries += entries(&part);
        if self.entries > WAITING_MAX {
            return Err(Error::TooMuch);
        }
        self.seen = expected;
        add(&mut self.waiting, part);
        if more {
            return Ok(None);
        }
        self.entries = 0;
        Ok(Some(Change { address: self.address, ..std::mem::take(&mut self.waiting) }))
    }
}

fn entries(change: &Change) -> usize {
    let members: usize = change.sets.iter().map(|(_, leave, join)| leave.len() + join.len()).sum();
    let rules: usize = change.groups.iter().map(|(_, group)| group.ingress.len() + group.egress.len()).sum();
    let blocks: usize = change.vpcs.iter().map(|(_, blocks)| blocks.len()).sum();
    let places: usize = change.places.iter().map(|moves| moves.leave.len() + moves.join.len()).sum();
    members
        + places
        + rules
        + blocks
        + change.interfaces.len()
        + change.gone.len()
        + change.groups.len()
        + change.sets.len()
}

/// Puts a later part to what came before. What a later part says to be gone went before what it says to be there,
/// and so did all before it, where it says all anew.
fn add(to: &mut Change, part: Change) {
    if part.whole {
        *to = part;
        return;
    }
    for name in &part.gone {
        to.vpcs.retain(|(other, _)| other != name);
        to.dns.retain(|(other, _)| other != name);
        to.transports.retain(|(other, _)| other != name);
        to.places.retain(|moves| moves.vpc != *name);
        to.interfaces.retain(|(other, _)| other != name);
        to.groups.retain(|(other, _)| other != name);
        to.sets.retain(|(other, ..)| other != name);
    }
    to.gone.extend(part.gone);
    to.vpcs.extend(part.vpcs);
    to.dns.extend(part.dns);
    to.transports.extend(part.transports);
    to.places.extend(part.places);
    to.interfaces.extend(part.interfaces);
    to.groups.extend(part.groups);
    to.sets.extend(part.sets);
}

fn change(message: acs::VpcMessage) -> Result<Change, String> {
    let blocks = |all: &[String]| all.iter().map(|text| block(text)).collect::<Result<Vec<_>, String>>();
    let rules = |all: &[acs::GroupRule]| all.iter().map(rule).collect::<Result<Vec<_>, String>>();
    let mut out = Change { whole: message.whole, ..Change::default() };
    for vpc in &message.vpcs {
        out.vpcs.push((name(&vpc.id)?, blocks(&vpc.blocks)?));
        let by = vpc.overlay.and_then(|overlay| overlay.vxlan).map(Transport::Vxlan);
        out.transports.push((name(&vpc.id)?, by));
        let names = |dns: &acs::VpcDns| {
            Ok::<_, String>(Dns { address: host(&dns.address)?, domain: dns.domain.clone() })
        };
        out.dns.push((name(&vpc.id)?, vpc.dns.as_ref().map(names).transpose()?));
    }
    for of in &message.places {
        let leave = of.remove.iter().map(|text| host(text)).collect::<Result<_, _>>()?;
        let place = |place: &acs::Place| Ok((host(&place.address)?, host(&place.host)?));
        let join = of.add.iter().map(place).collect::<Result<_, String>>()?;
        out.places.push(Moves { vpc: name(&of.vpc)?, leave, join });
    }
    for of in &message.interfaces {
        out.interfaces.push((name(&of.id)?, state(&of.groups, of.egress, of.public_address.as_deref())?));
    }
    for group in &message.groups {
        let rules = Group { ingress: rules(&group.ingress)?, egress: rules(&group.egress)? };
        out.groups.push((name(&group.id)?, rules));
    }
    for set in &message.sets {
        out.sets.push((name(&set.id)?, blocks(&set.remove)?, blocks(&set.add)?));
    }
    out.gone = message.gone.iter().map(|id| name(id)).collect::<Result<_, _>>()?;
    Ok(out)
}

fn host(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text} is no IPv4 address"))
}

fn rule(rule: &acs::GroupRule) -> Result<Rule, String> {
    let peer = match &rule.peer {
        acs::Peer::Block(text) => Peer::Block(block(text)?),
        acs::Peer::Group(id) | acs::Peer::PrefixList(id) => Peer::Set(name(id)?),
    };
    Ok(Rule { traffic: traffic(rule)?, peer })
}

fn traffic(rule: &acs::GroupRule) -> Result<Traffic, String> {
    let port = |value: Option<i32>| {
        let value = value.ok_or("a rule of TCP or UDP has no ports")?;
        u16::try_from(value).map_err(|_| format!("{value} is no port"))
    };
    // -1, or none: all of them.
    let of_icmp = |value: Option<i32>| match value {
        None | Some(-1) => Ok(None),
        Some(value) => {
            u8::try_from(value).map(Some).map_err(|_| format!("{value} is no type or code of ICMP"))
        }
    };
    Ok(match rule.protocol {
        -1 => Traffic::All,
        // EC2 takes -1 for all ports too.
        6 | 17 if matches!((rule.from_port, rule.to_port), (Some(-1) | None, Some(-1) | None)) => {
            if rule.protocol == 6 { Traffic::Tcp(0, u16::MAX) } else { Traffic::Udp(0, u16::MAX) }
        }
        6 => Traffic::Tcp(port(rule.from_port)?, port(rule.to_port)?),
        17 => Traffic::Udp(port(rule.from_port)?, port(rule.to_port)?),
        1 => Traffic::Icmp(of_icmp(rule.from_port)?, of_icmp(rule.to_port)?),
        58 => Traffic::Icmp6(of_icmp(rule.from_port)?, of_icmp(rule.to_port)?),
        other => Traffic::Protocol(u8::try_from(other).map_err(|_| format!("{other} is no protocol"))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64, json: serde_json::Value) -> acs::VpcMessage {
        acs::VpcMessage { sequence, ..serde_json::from_value(json).unwrap() }
    }

    #[test]
    fn rules_are_lowered_or_refused() {
        let lowered =
            |json: serde_json::Value| rule(&serde_json::from_value(json).unwrap()).map(|rule| rule.traffic);
        let of = |protocol: i16, from: Option<i32>, to: Option<i32>| {
            lowered(serde_json::json!({"protocol": protocol, "fromPort": from, "toPort": to,
                "peer": {"block": "10.0.0.0/8"}}))
        };
        assert_eq!(of(-1, Some(5), Some(6)), Ok(Traffic::All));
        assert_eq!(of(6, Some(80), Some(81)), Ok(Traffic::Tcp(80, 81)));
        assert_eq!(of(17, Some(-1), Some(-1)), Ok(Traffic::Udp(0, 65535)));
        assert_eq!(of(1, Some(8), Some(-1)), Ok(Traffic::Icmp(Some(8), None)));
        assert_eq!(of(58, None, None), Ok(Traffic::Icmp6(None, None)));
        assert_eq!(of(50, Some(1), None), Ok(Traffic::Protocol(50)));
        for (protocol, from, to) in [
            (6, Some(80), None),
            (6, Some(-2), Some(80)),
            (17, Some(0), Some(65536)),
            (1, Some(256), None),
            (-2, None, None),
            (256, None, None),
        ] {
            assert!(of(protocol, from, to).is_err(), "{protocol} {from:?} {to:?}");
        }
        for peer in [r#"{"block":"10.0.0.0/33"}"#, r#"{"group":"SG"}"#, r#"{"prefixList":""}"#] {
            let peer: serde_json::Value = serde_json::from_str(peer).unwrap();
            assert!(lowered(serde_json::json!({"protocol": -1, "peer": peer})).is_err(), "{peer}");
        }
    }

    #[test]
    fn parts_count_with_the_last_and_gaps_are_seen() {
        let mut session = Session::default();
        let first = serde_json::json!({"whole": true, "more": true, "groups": [{"id": "sg-1", "ingress": [], "egress": []}],
            "sets": [{"id": "sg-1", "add": ["10.0.0.1"]}]});
        assert_eq!(session.hear(message(1, first.clone())), Ok(None));
        let second = serde_json::json!({"sets": [{"id": "sg-1", "add": ["10.0.0.2"]}], "gone": ["sg-9"]});
        let all = session.hear(message(2, second.clone())).unwrap().unwrap();
        assert!(all.whole && all.groups.len() == 1 && all.sets.len() == 2 && all.gone.len() == 1);
        assert_eq!(session.hear(message(4, second.clone())), Err(Error::Gap { expected: 3, found: 4 }));
        let change = session.hear(message(3, second.clone())).unwrap().unwrap();
        assert!(!change.whole && change.sets.len() == 1);
        let mut late = Session::default();
        assert_eq!(late.hear(message(1, second)), Err(Error::NotWhole));
        let elsewhere = serde_json::json!({"whole": true, "vpcs": [{"id": "vpc-1", "blocks": [], "overlay": {"vxlan": 7},
                "dns": {"address": "10.0.0.2", "domain": "ec2.internal"}}],
            "places": [{"vpc": "vpc-1", "add": [{"address": "10.0.0.5", "host": "192.0.2.7"}], "remove": ["10.0.0.6"]}]});
        let own = Some([192, 0, 2, 1].into());
        let change = Session::new(own).hear(message(1, elsewhere.clone())).unwrap().unwrap();
        assert_eq!((change.address, change.transports[0].1), (own, Some(Transport::Vxlan(7))));
        let names = Dns { address: [10, 0, 0, 2].into(), domain: "ec2.internal".to_owned() };
        assert_eq!(change.dns[0].1, Some(names));
        let Moves { leave, join, .. } = &change.places[0];
        assert_eq!((leave.len(), join[0].1), (1, [192, 0, 2, 7].into()));
        let mut bad = elsewhere;
        bad["places"][0]["add"][0]["host"] = "fd00::1".into();
        assert!(matches!(late.hear(message(1, bad)), Err(Error::Invalid(_))));
        let mut bad = first;
        bad["gone"] = serde_json::json!(["no id"]);
        assert!(matches!(late.hear(message(1, bad)), Err(Error::Invalid(_))));
    }
}
