//! The program that holds a sandbox open: it waits for a signal, and again. A sandbox sees none of the host's libraries,
//! so it is whole in itself, a few instructions long.

/// Where it is in memory.
const BASE: u64 = 0x40_0000;

/// The lengths of an ELF file's header and of the header of its one segment, in bytes.
const HEADERS: u64 = 64 + 56;

/// `pause()`, and again.
#[cfg(target_arch = "x86_64")]
const CODE: [u8; 9] = [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;

/// `ppoll(NULL, 0, NULL, NULL)`, and again.
#[cfg(target_arch = "aarch64")]
const CODE: [u8; 28] = [
    0x28, 0x09, 0x80, 0xd2, // mov x8, #73
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0x01, 0x00, 0x80, 0xd2, // mov x1, #0
    0x02, 0x00, 0x80, 0xd2, // mov x2, #0
    0x03, 0x00, 0x80, 0xd2, // mov x3, #0
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0xfa, 0xff, 0xff, 0x17, // b to the first
];
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// The file.
pub(super) fn program() -> Vec<u8> {
    let size = HEADERS + CODE.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    let half = |out: &mut Vec<u8>, values: &[u16]| out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let word = |out: &mut Vec<u8>, values: &[u32]| out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let long = |out: &mut Vec<u8>, values: &[u64]| out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    // An executable of this machine, which begins after the headers.
    half(&mut out, &[2, MACHINE]);
    word(&mut out, &[1]);
    long(&mut out, &[BASE + HEADERS, 64, 0]);
    word(&mut out, &[0]);
    half(&mut out, &[64, 56, 1, 0, 0, 0]);
    // All of it is loaded, to be read and executed.
    word(&mut out, &[1, 5]);
    long(&mut out, &[0, BASE, BASE, size, size, 0x1000]);
    out.extend_from_slice(&CODE);
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn it_waits_until_it_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        std::fs::write(&path, super::program()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = std::process::Command::new(&path).spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        let sleeps = || std::fs::read_to_string(&stat).unwrap().contains("(pause) S");
        while !sleeps() {
            assert_eq!(child.try_wait().unwrap(), None);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
