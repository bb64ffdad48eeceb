//! Network interfaces of tasks: EC2's side of `state::contract::Interfaces`. Nobody calls this by the API; whoever wants
//! interfaces says which, as often as it likes, and the same comes of it.

use std::{net::Ipv4Addr, sync::Arc};

use state::{
    Delta, Id128,
    contract::{Given, Has, HostNetwork, InterfaceWanted, Interfaces, Network, NotANetwork, Want},
};
use wire::Error;

use super::{addresses, tags};
use crate::{
    Ctx, Ec2, Txn, describe, limits, refuse,
    rows::*,
    seed::{plant, seen},
    state::Named,
    table::Key,
};

impl Interfaces for Ec2 {
    fn bring(txn: &mut Txn, sender: &str, wants: &[Want]) -> Vec<(Id128, Given)> {
        let mut done = Vec::new();
        for (task, wanted) in wants {
            if txn.full() {
                break;
            }
            let given = match wanted {
                Some(wanted) => given(txn, sender, wanted),
                None => gone(txn, sender, *task),
            };
            done.push((*task, given));
        }
        done
    }

    fn given_to(&self, sender: &str) -> Vec<Id128> {
        self.tasks_of(sender).collect()
    }

    fn on_host(&self, region: &str, sender: &str, tasks: &[Id128]) -> HostNetwork {
        describe::hosts::on_host(self, region, sender, tasks)
    }

    fn touched(delta: &Delta<Ec2>) -> Option<Vec<String>> {
        Some(describe::hosts::touched(delta))
    }

    fn network(&self, ctx: &Ctx, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork> {
        network(&seen(self, ctx), subnets, groups)
    }
}

/// The interface of a task, made now if it is not there.
fn given(txn: &mut Txn, sender: &str, wanted: &InterfaceWanted) -> Given {
    let there = txn.state.interface_of(sender, wanted.task).cloned();
    let row = match there {
        Some(row) if row.at == wanted.at => Ok(row),
        Some(row) => {
            let row = InterfaceRow { at: wanted.at, ..row.as_ref().clone() };
            txn.put(row.clone());
            Ok(Arc::new(row))
        }
        None => make(txn, sender, wanted),
    };
    let shown = row.and_then(|row| describe::interfaces::given(txn.state, txn.ctx, &row));
    match shown {
        Ok(interface) => Given::Interface(Box::new(interface)),
        Err(error) => Given::Refused { code: error.code().to_owned(), message: error.message().to_owned() },
    }
}

/// Makes one. Its address is free, and looked for from a place of chance: what was given back is seldom given again soon.
fn make(txn: &mut Txn, sender: &str, wanted: &InterfaceWanted) -> Result<Arc<InterfaceRow>, Error> {
    plant(txn);
    let subnet = txn.state.find_subnet(&wanted.subnet)?;
    let groups = groups(txn, &subnet, &wanted.groups)?;
    if txn.state.interfaces().len() >= limits::INTERFACES {
        return Err(refuse::limit("NetworkInterfaceLimitExceeded", "network interfaces"));
    }
    let had = wanted.has.as_ref().and_then(|has| has.public);
    let public = match had.filter(|public| !txn.state.is_public(*public)) {
        None if wanted.public => Some(addresses::free(txn)?),
        had => had,
    };
    let (id, address) = match &wanted.has {
        Some(has) => as_it_was(txn, &subnet, has)?,
        None => {
            let place = txn.ids.below(usize::try_from(subnet.cidr.size()).unwrap_or(usize::MAX));
            let free = txn.state.free_address(&subnet, place).ok_or_else(|| refuse::no_address(subnet.id))?;
            (InterfaceId(txn.ids.seed()), free)
        }
    };
    let row = InterfaceRow {
        id,
        vpc: subnet.vpc,
        subnet: subnet.id,
        address,
        public,
        groups,
        description: wanted.description.clone(),
        attachment: AttachmentId(txn.ids.seed()),
        sender: sender.to_owned(),
        task: wanted.task,
        instance: wanted.instance.clone(),
        at: wanted.at,
        created_at: txn.now(),
    };
    txn.put(row.clone());
    tags::put(txn, row.id, wanted.tags.iter().cloned().collect());
    Ok(Arc::new(row))
}

/// The identifier and the address of an interface whose row was lost, while its task goes on to have it.
fn as_it_was(txn: &Txn, subnet: &SubnetRow, has: &Has) -> Result<(InterfaceId, Ipv4Addr), Error> {
    let id: InterfaceId = has.id.parse().map_err(|_| InterfaceId::missing(&has.id))?;
    let (first, last) = subnet.usable();
    let is_in = (first..=last).contains(&has.address.into());
    match is_in && !txn.state.is_taken(subnet.id, has.address) && txn.state.interface(id).is_none() {
        true => Ok((id, has.address)),
        false => {
            let message = format!("Address {} is in use.", has.address);
            Err(refuse::with("InvalidIPAddress.InUse", message))
        }
    }
}

fn groups(txn: &Txn, subnet: &SubnetRow, named: &[String]) -> Result<Vec<GroupId>, Error> {
    let mut groups = Vec::new();
    for text in named {
        let group = txn.state.find_group(text)?;
        if group.vpc != subnet.vpc {
            let message = format!(
                "You have specified two resources that belong to different networks: {} and {}.",
                group.id, subnet.id
            );
            return Err(refuse::with("InvalidParameter", message));
        }
        if !groups.contains(&group.id) {
            groups.push(group.id);
        }
    }
    match groups.is_empty() {
        true => Err(refuse::missing("SecurityGroupId")),
        false => Ok(groups),
    }
}

/// The interface of a task goes, and its address is free.
fn gone(txn: &mut Txn, sender: &str, task: Id128) -> Given {
    if let Some(id) = txn.state.interface_of(sender, task).map(|row| row.id) {
        tags::forget(txn, id);
        txn.delete(Key::Interface(id));
    }
    Given::Gone
}

/// What a request means by subnets and security groups.
fn network(state: &Ec2, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork> {
    let (mut found, mut vpc) = (Vec::new(), None);
    for text in subnets {
        let missing = |error| NotANetwork::Subnet { named: text.clone(), error };
        let row = state.find_subnet(text).map_err(missing)?;
        if *vpc.get_or_insert(row.vpc) != row.vpc {
            return Err(NotANetwork::SeveralVpcs);
        }
        found.push((row.id.to_string(), row.zone.clone()));
    }
    for text in groups {
        let missing = |error| NotANetwork::Group { named: text.clone(), error };
        let row = state.find_group(text).map_err(missing)?;
        if vpc != Some(row.vpc) {
            return Err(NotANetwork::ForeignGroup(row.id.to_string()));
        }
    }
    let vpc = vpc.and_then(|vpc| state.vpc(vpc)).ok_or(NotANetwork::Unknown)?;
    Ok(Network { subnets: found, default_group: vpc.group.to_string() })
}
