//! `net.*` kernel parameters of one namespace (ECS `systemControls`). Other namespaced parameters
//! are the engine's.

use std::fs;
use std::path::PathBuf;

use crate::error::{Error, Result};

const COUNT_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 256;

/// What every namespace starts with, as Docker's do: its processes may listen on low ports and ping
/// without a capability.
pub(crate) const DEFAULTS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// Refuses names that are not under `net.` or could lead anywhere else.
pub(crate) fn check_all(sysctls: &[(String, String)]) -> Result<()> {
    if sysctls.len() > COUNT_MAX {
        return Err(Error::Invalid(format!("at most {COUNT_MAX} system controls a container")));
    }
    for (name, value) in sysctls {
        let is_name = name.starts_with("net.")
            && name.split('.').all(|part| !part.is_empty() && part.bytes().all(is_name_byte));
        if !is_name {
            return Err(Error::Invalid(format!("sysctl {name:?} is not a network parameter")));
        }
        if value.len() > VALUE_BYTES_MAX || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Error::Invalid(format!("sysctl {name}: the value is not acceptable")));
        }
    }
    Ok(())
}

/// Writes them in the calling thread's network namespace.
pub(crate) fn write_all(sysctls: &[(String, String)]) -> Result<()> {
    sysctls.iter().try_for_each(|(name, value)| write(name, value))
}

/// Writes one in the calling thread's network namespace.
pub(crate) fn write(name: &str, value: &str) -> Result<()> {
    let path = PathBuf::from(format!("/proc/sys/{}", name.replace('.', "/")));
    fs::write(&path, value).map_err(Error::io("write", &path))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_parameters_pass() {
        let check = |name: &str, value: &str| check_all(&[(name.to_owned(), value.to_owned())]).is_ok();
        for name in
            ["net.ipv4.ip_unprivileged_port_start", "net.core.somaxconn", "net.ipv4.conf.eth0.rp_filter"]
        {
            assert!(check(name, "0"), "{name}");
        }
        for name in ["kernel.shmmax", "net", "net.", "net..x", "net.a/../b", "net.ipv4.", "vm.x", ""] {
            assert!(!check(name, "0"), "{name}");
        }
        assert!(!check("net.core.somaxconn", "1\n2"));
        assert!(!check("net.core.somaxconn", &"1".repeat(257)));
        assert!(check("net.ipv4.ip_local_port_range", "1024\t65000"));
    }
}
