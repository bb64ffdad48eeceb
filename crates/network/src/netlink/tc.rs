//! Traffic control: a look at what a link takes in, before anything else sees it. Unlike rules of
//! nftables it belongs to its link, so that no reload of a firewall takes it away.
//!
//! Layouts: linux/pkt_sched.h, linux/pkt_cls.h, linux/filter.h.

use std::net::{Ipv4Addr, Ipv6Addr};

use nix::libc;

use super::{CREATE, Socket, ignore, nest, push, push_name};
use crate::error::Result;
use crate::types::Mac;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const BPF_OPS_LEN: u16 = 4;
const BPF_OPS: u16 = 5;
const BPF_FLAGS: u16 = 8;
/// What the program returns is what becomes of the packet.
const BPF_IS_VERDICT: u32 = 1;
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_INGRESS: u32 = 0xffff_fff2;
const PRIORITY: u32 = 1;
const HANDLE: u32 = 1;
/// An earlier version's filter has the same number, and gives way.
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// One instruction of classic BPF: code, jump if true, jump if false, operand.
type Instruction = (u16, u8, u8, u32);

/// Loads of 4, 2 and 1 bytes, the length of an IPv4 header into X, a load of 2 bytes behind X, and a mask.
const WORD: u16 = 0x20;
const HALF: u16 = 0x28;
const BYTE: u16 = 0x30;
const HEADER_TO_X: u16 = 0xb1;
const HALF_AT_X: u16 = 0x48;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Where loads are from: what the kernel noted, the network header, the link's header.
const NOTED_PROTOCOL: u32 = 0xffff_f000;
const NOTED_TAG: u32 = 0xffff_f030;
const NETWORK: u32 = 0xfff0_0000;
const LINK: u32 = 0xffe0_0000;

/// Whose a link is: the only one that its packets may be from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub mac: Mac,
    pub ipv4: Ipv4Addr,
    /// Without one nothing of IPv6 is taken in.
    pub ipv6: Option<Ipv6Addr>,
}

impl Owner {
    /// For a try.
    pub(crate) fn nobody() -> Owner {
        Owner { mac: Mac([0; 6]), ipv4: Ipv4Addr::UNSPECIFIED, ipv6: None }
    }
}

/// Where a check that does not hold, or one that does, leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Next,
    Pass,
    Drop,
    /// So many instructions further.
    Skip(u8),
}

/// A program as it is written: jumps by where they lead.
#[derive(Default)]
struct Program(Vec<(u16, u32, To, To)>);

impl Program {
    fn load(&mut self, code: u16, operand: u32) {
        self.0.push((code, operand, To::Next, To::Next));
    }

    /// Jumps by whether what was loaded is `value`.
    fn equal(&mut self, value: u32, yes: To, no: To) {
        self.0.push((JUMP_IF_EQUAL, value, yes, no));
    }

    /// What is loaded must be `value`, else the packet is dropped.
    fn must(&mut self, code: u16, at: u32, value: u32) {
        self.load(code, at);
        self.equal(value, To::Next, To::Drop);
    }

    /// A hardware address.
    fn must_be_mac(&mut self, at: u32, mac: Mac) {
        let [a, b, c, d, e, f] = mac.0;
        self.must(WORD, at, u32::from_be_bytes([a, b, c, d]));
        self.must(HALF, at + 4, u32::from(u16::from_be_bytes([e, f])));
    }

    /// With both ends put to it: that whoever looks next decides, and the packet's drop.
    fn finish(self) -> Vec<Instruction> {
        let pass = self.0.len();
        let reach = |at: usize, to: To| match to {
            To::Next => 0,
            To::Skip(count) => count,
            // Our programs have some fifty instructions.
            To::Pass => u8::try_from(pass - at - 1).unwrap_or(u8::MAX),
            To::Drop => u8::try_from(pass - at).unwrap_or(u8::MAX),
        };
        let mut out: Vec<Instruction> = self
            .0
            .iter()
            .enumerate()
            .map(|(at, (code, operand, yes, no))| (*code, reach(at, *yes), reach(at, *no), *operand))
            .collect();
        out.push((RETURN, 0, 0, u32::MAX));
        out.push((RETURN, 0, 0, 2));
        out
    }
}

/// Drops what bears a VLAN tag, behind which the kernel may find anything later; what is neither ARP nor IP; what is not
/// from the owner's addresses, or names others in ARP; what is for 127.0.0.0/8; and what a server of DHCP or a router
/// would say, which its neighbours would heed.
fn program(owner: &Owner) -> Vec<Instruction> {
    let ipv4 = owner.ipv4.to_bits();
    let (arp, ip) = (of_arp(owner.mac, ipv4), of_ip(ipv4));
    let mut all = Program::default();
    all.must(WORD, NOTED_TAG, 0);
    all.must_be_mac(LINK + 6, owner.mac);
    all.load(HALF, NOTED_PROTOCOL);
    let skip = |program: &Program| To::Skip(u8::try_from(program.0.len()).unwrap_or(u8::MAX));
    all.equal(u32::from(libc::ETH_P_ARP as u16), To::Next, skip(&arp));
    all.0.extend(arp.0);
    all.equal(u32::from(libc::ETH_P_IP as u16), To::Next, skip(&ip));
    all.0.extend(ip.0);
    match owner.ipv6 {
        Some(ipv6) => {
            all.equal(u32::from(libc::ETH_P_IPV6 as u16), To::Next, To::Drop);
            all.0.extend(of_ip6(ipv6).0);
        }
        None => all.equal(0, To::Drop, To::Drop),
    }
    all.finish()
}

/// Sender's addresses, and 0.0.0.0 in a question whether an address is free. Each way ends.
fn of_arp(mac: Mac, ipv4: u32) -> Program {
    let mut out = Program::default();
    out.must_be_mac(NETWORK + 8, mac);
    out.load(WORD, NETWORK + 14);
    out.equal(ipv4, To::Pass, To::Next);
    out.equal(0, To::Pass, To::Drop);
    out
}

/// Each way ends.
fn of_ip(ipv4: u32) -> Program {
    const UDP: u32 = 17;
    const DHCP_SERVER: u32 = 67;
    const LATER_FRAGMENT: u32 = 0x1fff;
    let mut out = Program::default();
    out.must(WORD, NETWORK + 12, ipv4);
    out.load(BYTE, NETWORK + 16);
    out.equal(127, To::Drop, To::Next);
    out.load(BYTE, NETWORK + 9);
    out.equal(UDP, To::Next, To::Pass);
    out.load(HALF, NETWORK + 6);
    out.0.push((JUMP_IF_SET, LATER_FRAGMENT, To::Pass, To::Next));
    out.load(HEADER_TO_X, NETWORK);
    out.load(HALF_AT_X, NETWORK);
    out.equal(DHCP_SERVER, To::Drop, To::Pass);
    out
}

/// Its own address, or one of the link's alone, but no word of a router. Each way ends.
fn of_ip6(ipv6: Ipv6Addr) -> Program {
    const ICMP: u32 = 58;
    const ROUTER: u32 = 134;
    let mut own = Program::default();
    for (n, word) in ipv6.octets().chunks_exact(4).enumerate() {
        let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        own.must(WORD, NETWORK + 8 + 4 * n as u32, value);
    }
    own.load(BYTE, NETWORK + 6);
    own.equal(ICMP, To::Next, To::Pass);
    own.load(BYTE, NETWORK + 40);
    own.equal(ROUTER, To::Drop, To::Pass);
    let mut out = Program::default();
    out.load(WORD, NETWORK + 8);
    out.load(AND, 0xffc0_0000);
    // Eight instructions are about the address.
    out.equal(0xfe80_0000, To::Skip(8), To::Next);
    out.0.extend(own.0);
    out
}

impl Socket {
    /// Has a link take in only what its owner may say. Asking again changes nothing.
    pub(crate) fn admit_only(&mut self, name: &str, owner: &Owner) -> Result<()> {
        let Some(index) = self.index(name)? else { return Ok(()) };
        let mut message = header(index, CLSACT_HANDLE, CLSACT, 0);
        push_name(&mut message, TCA_KIND, "clsact");
        let made = self.change(libc::RTM_NEWQDISC, CREATE, &message, || format!("add clsact to {name}"));
        ignore(libc::EEXIST, made)?;
        let program = program(owner);
        let every_protocol = u32::from((libc::ETH_P_ALL as u16).to_be());
        let mut message = header(index, HANDLE, CLSACT_INGRESS, PRIORITY << 16 | every_protocol);
        push_name(&mut message, TCA_KIND, "bpf");
        nest(&mut message, TCA_OPTIONS, |m| {
            push(m, BPF_OPS_LEN, &(program.len() as u16).to_ne_bytes());
            nest(m, BPF_OPS, |m| {
                for (code, jump_true, jump_false, operand) in &program {
                    m.extend_from_slice(&code.to_ne_bytes());
                    m.extend_from_slice(&[*jump_true, *jump_false]);
                    m.extend_from_slice(&operand.to_ne_bytes());
                }
            });
            push(m, BPF_FLAGS, &BPF_IS_VERDICT.to_ne_bytes());
        });
        self.change(libc::RTM_NEWTFILTER, REPLACE, &message, || format!("add a filter to {name}"))
    }
}

/// `struct tcmsg`.
fn header(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let mut out = vec![0; 4];
    for number in [index, handle, parent, info] {
        out.extend_from_slice(&number.to_ne_bytes());
    }
    out
}
