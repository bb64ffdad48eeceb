//! Device nodes of the host that a container gets, and the rules that let it use them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::native::cgroup::{DeviceRule, default_devices};
use crate::spec::ContainerSpec;

/// Most nodes of one container.
const NODES_MAX: usize = 4096;

/// Nodes and rules.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// As the OCI specification has them.
    pub(super) nodes: Vec<Value>,
    /// `None`: all.
    pub(super) rules: Option<Vec<DeviceRule>>,
}

/// Folders of /dev that are file systems of their own in a container.
const OWN: [&str; 5] = ["pts", "shm", "mqueue", "fd", "hugepages"];

pub(super) fn of(spec: &ContainerSpec) -> Result<Devices, String> {
    let mut devices = Devices::default();
    if spec.privileged {
        walk(Path::new("/dev"), Path::new("/dev"), &mut |host, container| {
            devices.nodes.extend(node(host, container));
            devices.nodes.len() < NODES_MAX
        });
    }
    let mut rules = default_devices();
    for asked in &spec.devices {
        let container = if asked.container_path.as_os_str().is_empty() {
            &asked.host_path
        } else {
            &asked.container_path
        };
        if !container.starts_with("/dev") {
            return Err(format!(
                "the container path of a device must be under /dev: {}",
                container.display()
            ));
        }
        let access = if asked.permissions.is_empty() { "rwm" } else { &asked.permissions };
        if !access.bytes().all(|b| b"rwm".contains(&b)) {
            return Err(format!("invalid device permissions: {access}"));
        }
        if spec.privileged {
            // What is asked for takes the place of a device of the host by that name.
            devices
                .nodes
                .retain(|node| node["path"].as_str().is_none_or(|path| Path::new(path) != container));
        }
        let before = devices.nodes.len();
        walk(&asked.host_path, container, &mut |host, container| {
            devices.nodes.extend(node(host, container));
            rules.extend(rule(host, access));
            devices.nodes.len() < NODES_MAX
        });
        if devices.nodes.len() == before {
            let path = asked.host_path.display();
            return Err(format!(
                "error gathering device information while adding custom device \"{path}\": not a device node"
            ));
        }
    }
    devices.rules = (!spec.privileged).then_some(rules);
    Ok(devices)
}

/// Calls `visit(host, container)` for the node, or for every node under the folder.
fn walk(host: &Path, container: &Path, visit: &mut dyn FnMut(&Path, &Path) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(host) else { return visit(host, container) };
    let mut names: Vec<PathBuf> = entries.flatten().map(|e| PathBuf::from(e.file_name())).collect();
    names.sort();
    names.iter().all(|name| {
        let path = host.join(name);
        let own = OWN.iter().any(|o| Path::new(o) == name);
        let link = std::fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_symlink());
        own || link || walk(&path, &container.join(name), visit)
    })
}

fn node(host: &Path, container: &Path) -> Option<Value> {
    let (kind, major, minor) = numbers(host)?;
    let metadata = std::fs::metadata(host).ok()?;
    Some(json!({
        "path": container,
        "type": kind.to_string(),
        "major": major,
        "minor": minor,
        "fileMode": metadata.mode() & 0o777,
        "uid": metadata.uid(),
        "gid": metadata.gid(),
    }))
}

fn rule(host: &Path, access: &str) -> Option<DeviceRule> {
    let (kind, major, minor) = numbers(host)?;
    Some(DeviceRule { kind, major: Some(major), minor: Some(minor), access: access.to_owned() })
}

fn numbers(path: &Path) -> Option<(char, u32, u32)> {
    let metadata = std::fs::metadata(path).ok()?;
    let kind = match metadata.file_type() {
        t if t.is_char_device() => 'c',
        t if t.is_block_device() => 'b',
        _ => return None,
    };
    Some((kind, libc::major(metadata.rdev()), libc::minor(metadata.rdev())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Device;

    fn device(host: &str, container: &str, permissions: &str) -> ContainerSpec {
        let device = Device {
            host_path: host.into(),
            container_path: container.into(),
            permissions: permissions.into(),
        };
        ContainerSpec { devices: vec![device], ..ContainerSpec::default() }
    }

    #[test]
    fn one_node_under_another_name() {
        let devices = of(&device("/dev/null", "/dev/nil", "r")).unwrap();
        assert_eq!(devices.nodes[0]["path"], "/dev/nil");
        let rule = devices.rules.unwrap().pop().unwrap();
        assert_eq!((rule.kind, rule.major, rule.minor, rule.access.as_str()), ('c', Some(1), Some(3), "r"));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for spec in [
            device("/etc/passwd", "/dev/x", ""),
            device("/nowhere", "/dev/x", ""),
            device("/dev/null", "/etc/x", ""),
            device("/dev/null", "", "q"),
        ] {
            assert!(of(&spec).is_err(), "{spec:?}");
        }
    }

    #[test]
    fn privileged_gets_all() {
        let devices = of(&ContainerSpec { privileged: true, ..ContainerSpec::default() }).unwrap();
        assert!(devices.rules.is_none());
        assert!(devices.nodes.iter().any(|n| n["path"] == "/dev/full"));
        let more = of(&ContainerSpec { privileged: true, ..device("/dev/null", "/dev/nil", "r") }).unwrap();
        assert!(more.rules.is_none() && more.nodes.len() == devices.nodes.len() + 1);
        assert!(more.nodes.iter().any(|n| n["path"] == "/dev/nil"));
        let other = of(&ContainerSpec { privileged: true, ..device("/dev/null", "/dev/full", "r") }).unwrap();
        let full: Vec<_> = other.nodes.iter().filter(|n| n["path"] == "/dev/full").collect();
        assert_eq!((full.len(), &full[0]["minor"]), (1, &json!(3)));
    }
}
