//! What the engine knows of containers that the network needs where others took away what it had made or noted:
//! who lives in them, by their control groups, and what they were given, by their plans and states.

use std::path::PathBuf;

use libcontainer::oci_spec::runtime::LinuxNamespaceType;

use super::cgroup::{self, GroupPath, Hierarchy};
use super::layout::{self, EngineDir};
use super::plan::Plan;
use super::task;
use crate::net;
use crate::spec::TaskSpec;
use crate::state::ContainerState;

pub(super) struct Known {
    pub(super) dir: EngineDir,
    pub(super) hierarchy: Hierarchy,
    pub(super) instance: GroupPath,
}

impl network::Containers for Known {
    fn processes(&self, id: &network::AttachmentId) -> Vec<i32> {
        match id.as_str().split_once('/') {
            Some((task, name)) => cgroup::processes(&self.hierarchy, &self.instance.child(task).child(name)),
            // Of a task's interface: whoever lives in any of its containers.
            None if task::is_id(id.as_str()) => {
                cgroup::processes(&self.hierarchy, &self.instance.child(id.as_str()))
            }
            None => Vec::new(),
        }
    }

    fn remembered(&self, known: &dyn Fn(&network::AttachmentId) -> bool) -> Vec<network::Remembered> {
        let mut all = Vec::new();
        for task in layout::folders(&self.dir.tasks()).unwrap_or_default() {
            if !task::is_id(&task) {
                continue;
            }
            let dir = self.dir.task(&task);
            for name in dir.containers() {
                let Ok(id) = network::AttachmentId::new(format!("{task}/{name}")) else { continue };
                if !known(&id) {
                    all.extend(remembered(id, &dir.container(&name)));
                }
            }
        }
        all
    }

    fn interfaces(&self) -> Vec<(network::InterfaceSpec, Option<PathBuf>)> {
        let tasks = layout::folders(&self.dir.tasks()).unwrap_or_default();
        let given = tasks.iter().filter(|task| task::is_id(task)).filter_map(|task| {
            let dir = self.dir.task(task);
            let spec = layout::read_json::<TaskSpec>(&dir.spec()).ok()??;
            let interface = net::interface_spec(&spec).ok()??;
            // Where its containers will look for it when they start again.
            let joined = dir.containers().iter().find_map(|name| {
                let plan = layout::read_json::<Plan>(&dir.container(name).plan()).ok()??;
                network_namespace(&plan).filter(|_| plan.in_task_network)
            });
            Some((interface, joined))
        });
        given.collect()
    }
}

/// The file of the namespace that a container joins.
fn network_namespace(plan: &Plan) -> Option<PathBuf> {
    let namespaces = plan.spec.linux().as_ref()?.namespaces().clone()?;
    let of_network = namespaces.iter().find(|namespace| namespace.typ() == LinuxNamespaceType::Network)?;
    of_network.path().clone()
}

fn remembered(id: network::AttachmentId, dir: &layout::ContainerDir) -> Option<network::Remembered> {
    let plan = layout::read_json::<Plan>(&dir.plan()).ok()?.filter(|plan| plan.attached)?;
    let created = layout::last_json::<ContainerState>(&dir.state()).ok()??.created;
    let netns_path = network_namespace(&plan);
    let bindings = created.bindings.iter().filter_map(net::given).collect();
    Some(network::Remembered { id, netns_path, ipv4: created.ipv4, bindings })
}
