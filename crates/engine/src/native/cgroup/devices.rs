//! The device filter of v2 groups: there it is no file but a small BPF program, made here from rules.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use super::DeviceRule;

/// Bits of `access_type` in `struct bpf_cgroup_dev_ctx`: the kind below, the access above 16.
const KIND_BLOCK: i32 = 1;
const KIND_CHAR: i32 = 2;
const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

/// One instruction, laid out as the kernel reads it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE: u8 = 0xb7;
const AND: u8 = 0x57;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5d;
const EXIT: u8 = 0x95;

fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

/// The program that allows what a rule allows, and nothing else. R2 is the kind, R3 the access wanted,
/// R4 and R5 the device's numbers.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut out = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(MOVE_REGISTER, 3, 2, 0, 0),
        op(AND, 2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let mut checks = Vec::new();
        let kind = if rule.kind == 'b' { KIND_BLOCK } else { KIND_CHAR };
        checks.push(op(JUMP_NOT_EQUAL, 2, 0, 0, kind));
        let access = access(rule);
        if access != ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE {
            // All that is wanted must be in the rule.
            checks.push(op(MOVE_REGISTER, 6, 3, 0, 0));
            checks.push(op(AND_32, 6, 0, 0, access));
            checks.push(op(JUMP_NOT_EQUAL_REGISTER, 6, 3, 0, 0));
        }
        for (register, number) in [(4, rule.major), (5, rule.minor)] {
            if let Some(number) = number {
                checks.push(op(JUMP_NOT_EQUAL, register, 0, 0, number.cast_signed()));
            }
        }
        let length = checks.len() + 2;
        for (at, mut check) in checks.into_iter().enumerate() {
            if matches!(check.code, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER) {
                check.offset = i16::try_from(length - at - 1).unwrap_or(i16::MAX);
            }
            out.push(check);
        }
        out.push(op(MOVE, 0, 0, 0, 1));
        out.push(op(EXIT, 0, 0, 0, 0));
    }
    out.push(op(MOVE, 0, 0, 0, 0));
    out.push(op(EXIT, 0, 0, 0, 0));
    out
}

fn access(rule: &DeviceRule) -> i32 {
    rule.access.bytes().fold(0, |bits, b| {
        bits | match b {
            b'r' => ACCESS_READ,
            b'w' => ACCESS_WRITE,
            b'm' => ACCESS_MKNOD,
            _ => 0,
        }
    })
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

/// The head of `union bpf_attr` for BPF_PROG_LOAD.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 3],
}

/// The head of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Puts the filter of `rules` on the group at `dir`. The filter that was there is replaced.
pub(super) fn attach(dir: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    let instructions = program(rules);
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log: [0; 3],
    };
    let program = bpf(BPF_PROG_LOAD, &load)?;
    // SAFETY: the kernel just made this descriptor for us.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    let target = File::open(dir)?;
    let attach = Attach {
        target: target.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: 0,
    };
    bpf(BPF_PROG_ATTACH, &attach).map(|_| ())
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    // SAFETY: `attributes` is a valid, initialised head of `union bpf_attr` of the size given, and what
    // it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(io::Error::other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::cgroup::default_devices;

    /// What the kernel would answer.
    fn run(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [kind | access << 16, major, minor];
        let (mut r, mut at) = ([0i64; 11], 0usize);
        loop {
            let i = program[at];
            let (to, from) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            at += 1;
            match i.code {
                LOAD_WORD => r[to] = i64::from(context[usize::try_from(i.offset / 4).unwrap()]),
                MOVE_REGISTER => r[to] = r[from],
                MOVE => r[to] = i64::from(i.immediate),
                AND | AND_32 => r[to] &= i64::from(i.immediate),
                SHIFT_RIGHT => r[to] >>= i.immediate,
                JUMP_NOT_EQUAL if r[to] != i64::from(i.immediate) => at += usize::try_from(i.offset).unwrap(),
                JUMP_NOT_EQUAL_REGISTER if r[to] != r[from] => at += usize::try_from(i.offset).unwrap(),
                JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER => {}
                EXIT => return r[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_default_filter_lets_null_through_and_no_disk() {
        let program = program(&default_devices());
        assert!(run(&program, KIND_CHAR, ACCESS_READ | ACCESS_WRITE, 1, 3));
        assert!(run(&program, KIND_CHAR, ACCESS_READ, 136, 7));
        assert!(run(&program, KIND_BLOCK, ACCESS_MKNOD, 254, 0));
        assert!(!run(&program, KIND_BLOCK, ACCESS_READ, 254, 0));
        assert!(!run(&program, KIND_BLOCK, ACCESS_READ | ACCESS_MKNOD, 254, 0));
        assert!(!run(&program, KIND_CHAR, ACCESS_READ, 1, 1));
    }

    #[test]
    fn no_rules_no_devices() {
        assert!(!run(&program(&[]), KIND_CHAR, ACCESS_READ, 1, 3));
    }

    #[test]
    fn the_kernel_takes_the_program() {
        let unified = Path::new("/sys/fs/cgroup/unified");
        let root = if unified.exists() { unified } else { Path::new("/sys/fs/cgroup") };
        let dir = root.join(format!("roadstead-test-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&dir).unwrap();
        let attached = attach(&dir, &default_devices());
        std::fs::remove_dir(&dir).unwrap();
        attached.unwrap();
    }
}
