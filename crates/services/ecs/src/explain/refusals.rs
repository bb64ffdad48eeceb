//! Why no container instance takes a task, counted, and what would have one take it.

use std::collections::BTreeMap;

use super::{Explanation, Look, Refusals, count};
use crate::{
    cluster::{DeploymentRow, InstanceStatus, ServiceRow},
    placement::{Reason, Request},
    service::carry,
};

/// What a service asks of a container instance for its next task: of each capacity provider that it may be of.
pub fn requests(look: Look<'_>, service: &ServiceRow, primary: &DeploymentRow) -> Vec<Request> {
    let Some(definition) = look.account.task_definition(&primary.task_definition) else { return Vec::new() };
    let Ok(any) = carry::request(service, primary, definition) else { return Vec::new() };
    match &primary.capacity_provider_strategy[..] {
        [] => vec![any],
        strategy => strategy.iter().map(|item| any.clone().of_provider(&item.capacity_provider)).collect(),
    }
}

/// Adds how many container instances each filter refuses, and what would help. Of several requests, which are alike but for
/// the capacity provider, the one that comes furthest counts.
pub fn add(look: Look<'_>, requests: &[Request], to: &mut Explanation) {
    let Some(request) = requests.first() else { return };
    let mut refused: BTreeMap<Reason, usize> = BTreeMap::new();
    let (mut most_cpu, mut most_memory) = (0, 0);
    for candidate in look.state.candidates() {
        if candidate.row.status == InstanceStatus::Inactive {
            continue;
        }
        let reasons: Option<Vec<Reason>> = requests.iter().map(|one| one.refused_by(&candidate)).collect();
        let Some(reason) = reasons.and_then(|reasons| reasons.into_iter().max()) else { continue };
        *refused.entry(reason).or_default() += 1;
        let (has, used) = (&candidate.row.registered, candidate.used);
        match reason {
            Reason::Cpu => most_cpu = most_cpu.max(has.cpu - used.cpu),
            Reason::Memory => most_memory = most_memory.max(has.memory - used.memory),
            _ => {}
        }
    }
    let needs = request.needs();
    for reason in refused.keys() {
        to.would_change.push(match reason {
            Reason::Inactive => "a DRAINING container instance set to ACTIVE".to_owned(),
            Reason::Agent => "the agent of a container instance connecting again".to_owned(),
            Reason::Attribute => {
                let names = needs.attributes.iter().map(|needed| match &needed.value {
                    Some(value) => format!("{} = {value}", needed.name),
                    None => needed.name.clone(),
                });
                let names: Vec<String> = names.collect();
                let attributes = match names.is_empty() {
                    true => String::new(),
                    false => format!(" that has all of these attributes: {}", names.join(", ")),
                };
                let providers: Vec<&str> = requests.iter().filter_map(Request::provider).collect();
                let of = match providers.is_empty() {
                    true => String::new(),
                    false => format!(" of capacity provider {}", providers.join(" or ")),
                };
                format!("a container instance{of}{attributes}")
            }
            Reason::MemberOf => {
                format!("a container instance to which this applies: {}", request.member_of().join("; "))
            }
            Reason::DistinctInstance => "a container instance without a task of the same group".to_owned(),
            Reason::Cpu => format!(
                "a container instance with {} CPU units left; the most that one of these has is {most_cpu}",
                needs.resources.cpu
            ),
            Reason::Memory => format!(
                "a container instance with {} MiB left; the most that one of these has is {most_memory}",
                needs.resources.memory
            ),
            Reason::Ports => {
                let (tcp, udp) = (&needs.resources.ports_tcp, &needs.resources.ports_udp);
                let ports = tcp.iter().map(|port| format!("{port}/tcp"));
                let ports: Vec<String> = ports.chain(udp.iter().map(|port| format!("{port}/udp"))).collect();
                format!("a container instance on which these ports are free: {}", ports.join(", "))
            }
            Reason::Gpu => format!("a container instance with {} left", count(needs.gpus, "GPU")),
        });
    }
    if refused.is_empty() && look.state.candidates().next().is_none() {
        to.would_change.push("a container instance that registers with the cluster".to_owned());
    }
    to.refused.extend(refused.into_iter().map(|(reason, container_instances)| Refusals {
        reason: reason.as_str().to_owned(),
        container_instances,
    }));
}
