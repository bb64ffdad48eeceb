//! Traffic control: a look at what a link takes in, before anything else sees it. Unlike rules of
//! nftables it belongs to its link, so that no reload of a firewall takes it away.
//!
//! Layouts: linux/pkt_sched.h, linux/pkt_cls.h, linux/filter.h.

use nix::libc;

use super::{CREATE, Socket, ignore, nest, push, push_name};
use crate::error::Result;

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

/// One instruction of classic BPF: code, jump if true, jump if false, operand.
type Instruction = (u16, u8, u8, u32);

/// Drops what is addressed to 127.0.0.0/8, and what bears a VLAN tag, behind which the kernel may find
/// such a packet later. The address is read where the network header is (0xfff00000 and up), the tag and
/// the protocol from what the kernel noted (0xfffff000 and up).
const NOT_TO_LOOPBACK: [Instruction; 10] = [
    (0x20, 0, 0, 0xffff_f030), // a tag is noted
    (0x15, 0, 7, 0),
    (0x28, 0, 0, 0xffff_f000), // protocol
    (0x15, 5, 0, 0x8100),
    (0x15, 4, 0, 0x88a8),
    (0x15, 0, 2, 0x0800),
    (0x30, 0, 0, 0xfff0_0010), // first byte of the destination
    (0x15, 1, 0, 127),
    (0x06, 0, 0, u32::MAX), // none of ours: whoever looks next
    (0x06, 0, 0, 2),        // drop
];

impl Socket {
    /// Has a link take in nothing for 127.0.0.0/8. Asking again changes nothing.
    pub(crate) fn refuse_loopback(&mut self, name: &str) -> Result<()> {
        let Some(index) = self.index(name)? else { return Ok(()) };
        let mut message = header(index, CLSACT_HANDLE, CLSACT, 0);
        push_name(&mut message, TCA_KIND, "clsact");
        let made = self.change(libc::RTM_NEWQDISC, CREATE, &message, || format!("add clsact to {name}"));
        ignore(libc::EEXIST, made)?;
        let every_protocol = u32::from((libc::ETH_P_ALL as u16).to_be());
        let mut message = header(index, HANDLE, CLSACT_INGRESS, PRIORITY << 16 | every_protocol);
        push_name(&mut message, TCA_KIND, "bpf");
        nest(&mut message, TCA_OPTIONS, |m| {
            push(m, BPF_OPS_LEN, &(NOT_TO_LOOPBACK.len() as u16).to_ne_bytes());
            nest(m, BPF_OPS, |m| {
                for (code, jump_true, jump_false, operand) in NOT_TO_LOOPBACK {
                    m.extend_from_slice(&code.to_ne_bytes());
                    m.extend_from_slice(&[jump_true, jump_false]);
                    m.extend_from_slice(&operand.to_ne_bytes());
                }
            });
            push(m, BPF_FLAGS, &BPF_IS_VERDICT.to_ne_bytes());
        });
        let made = self.change(libc::RTM_NEWTFILTER, CREATE, &message, || format!("add a filter to {name}"));
        ignore(libc::EEXIST, made)
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
