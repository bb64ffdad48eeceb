//! The networks of tasks of mode `awsvpc`: what a request says of them, where that lets tasks be, and the network interface
//! that each has. Interfaces are EC2's; what is wanted of it is a row (`state::contract::InterfaceWanted`), what it gives is
//! heard here.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html>

#[cfg(test)]
mod tests;

use ecs_model::{self as ecs, errors};
use state::contract::{InterfaceWanted, Network, NotANetwork};
use wire::Error;

use crate::{
    Ctx,
    account::TaskDefinitionRow,
    arn,
    cluster::{
        AttachmentRow, DeploymentId, LaunchType, NetworkMode, NetworkRow, PlacementConstraint,
        PlacementConstraintType, ServiceName, ServiceRow, SubnetOfZone, TaskRow, TaskStatus, Txn,
    },
    instance, limits,
    task::run::Origin,
};

/// The type of an attachment that is a network interface.
const INTERFACE: &str = "ElasticNetworkInterface";

/// What a request says of the network of tasks of a definition, looked up: none where they are not of mode `awsvpc`.
///
/// # Errors
/// `InvalidParameterException` where definition and request disagree, and for what cannot be.
pub fn of_request(
    txn: &Txn,
    definition: &TaskDefinitionRow,
    launch_type: LaunchType,
    given: Option<&ecs::NetworkConfiguration>,
) -> Result<Option<Box<NetworkRow>>, Error> {
    match (is_own(definition), given) {
        (true, None) => Err(errors::invalid_parameter(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )),
        (false, Some(_)) => Err(errors::invalid_parameter(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        )),
        (false, None) => Ok(None),
        (true, Some(given)) => {
            let given = given.awsvpc_configuration.as_ref();
            let given =
                given.ok_or_else(|| errors::invalid_parameter("awsvpcConfiguration can not be empty."))?;
            looked_up(txn, launch_type, given).map(|network| Some(Box::new(network)))
        }
    }
}

/// Whether tasks of a definition have a network of their own.
pub fn is_own(definition: &TaskDefinitionRow) -> bool {
    definition.registered.network_mode == Some(NetworkMode::Awsvpc)
}

fn looked_up(
    txn: &Txn,
    launch_type: LaunchType,
    given: &ecs::AwsVpcConfiguration,
) -> Result<NetworkRow, Error> {
    let groups = given.security_groups.as_deref().unwrap_or_default();
    if given.subnets.is_empty() {
        return Err(errors::invalid_parameter("subnets can not be empty."));
    }
    for (what, count, most) in [
        ("subnets", given.subnets.len(), limits::SUBNETS),
        ("securityGroups", groups.len(), limits::SECURITY_GROUPS),
    ] {
        if count > most {
            return Err(errors::invalid_parameter(format!("{what} can have at most {most} items.")));
        }
    }
    let public = given.assign_public_ip == Some(ecs::AssignPublicIp::Enabled);
    check_public(public, launch_type)?;
    let Network { subnets, default_group } =
        txn.ports.networks.network(&given.subnets, groups).map_err(refused)?;
    let subnets = subnets.into_iter().map(|(id, zone)| SubnetOfZone { id, zone });
    Ok(NetworkRow { subnets: subnets.collect(), security_groups: groups.to_vec(), default_group, public })
}

/// Only tasks on Fargate have public addresses.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_public(public: bool, launch_type: LaunchType) -> Result<(), Error> {
    match public && launch_type != LaunchType::Fargate {
        true => Err(errors::invalid_parameter("Assign public IP is not supported for this launch type.")),
        false => Ok(()),
    }
}

/// What ECS says of subnets and security groups that cannot be.
fn refused(why: NotANetwork) -> Error {
    let missing = |what: &str, kind: &str, named: &str, code: &str| {
        let named = limits::cut(named, limits::ARN_SHOWN);
        errors::invalid_parameter(format!(
            "Error retrieving {what} information for [{named}]: The {kind} '{named}' does not exist (ErrorCode: {code})"
        ))
    };
    match why {
        NotANetwork::Subnet { named, .. } => {
            missing("subnet", "subnet ID", &named, "InvalidSubnetID.NotFound")
        }
        NotANetwork::Group { named, .. } => {
            missing("security group", "security group", &named, "InvalidGroup.NotFound")
        }
        NotANetwork::SeveralVpcs => errors::invalid_parameter("subnets must all be of the same VPC."),
        NotANetwork::ForeignGroup(id) => errors::invalid_parameter(format!(
            "Security group {id} does not appear to belong to the same VPC as the input subnets."
        )),
        NotANetwork::Unknown => errors::server("The networks cannot be looked at now; try again."),
    }
}

/// Placement constraints, with one more behind them where tasks have a network of their own: they have to be in the zone of
/// one of its subnets.
pub fn constrained(
    mut given: Vec<PlacementConstraint>,
    network: Option<&NetworkRow>,
) -> Vec<PlacementConstraint> {
    given.extend(network.map(NetworkRow::constraint));
    given
}

/// What was given of placement constraints that [`constrained`] has made.
pub fn given<'a>(
    constraints: &'a [PlacementConstraint],
    network: Option<&NetworkRow>,
) -> &'a [PlacementConstraint] {
    let Some(network) = network else { return constraints };
    match constraints.split_last() {
        Some((last, given)) if *last == network.constraint() => given,
        _ => constraints,
    }
}

impl ServiceRow {
    /// Gives it another network, and none where there is none.
    pub fn set_network(&mut self, network: Option<Box<NetworkRow>>) {
        let given = given(&self.placement_constraints, self.network.as_deref()).to_vec();
        self.placement_constraints = constrained(given, network.as_deref());
        self.network = network;
    }

    /// The placement constraints that its user gave.
    pub fn given_constraints(&self) -> &[PlacementConstraint] {
        given(&self.placement_constraints, self.network.as_deref())
    }
}

impl NetworkRow {
    fn constraint(&self) -> PlacementConstraint {
        let mut zones: Vec<&str> = self.subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        PlacementConstraint {
            r#type: Some(PlacementConstraintType::MemberOf),
            expression: Some(format!("attribute:{} in [{}]", instance::ZONE, zones.join(", "))),
        }
    }

    fn groups(&self) -> Vec<String> {
        match self.security_groups.is_empty() {
            true => vec![self.default_group.clone()],
            false => self.security_groups.clone(),
        }
    }

    /// A subnet of a zone, by chance where there are several; of any zone, where there is none of this one.
    fn subnet(&self, zone: Option<&str>, txn: &mut Txn) -> Option<String> {
        let here: Vec<&SubnetOfZone> =
            self.subnets.iter().filter(|subnet| Some(subnet.zone.as_str()) == zone).collect();
        let all: Vec<&SubnetOfZone> = if here.is_empty() { self.subnets.iter().collect() } else { here };
        all.get(txn.ids.below(all.len())).map(|subnet| subnet.id.clone())
    }

    /// As the API shows it.
    pub fn shown(&self) -> ecs::NetworkConfiguration {
        let vpc = ecs::AwsVpcConfiguration {
            subnets: self.subnets.iter().map(|subnet| subnet.id.clone()).collect(),
            security_groups: Some(self.security_groups.clone()),
            assign_public_ip: Some(match self.public {
                true => ecs::AssignPublicIp::Enabled,
                false => ecs::AssignPublicIp::Disabled,
            }),
        };
        ecs::NetworkConfiguration { awsvpc_configuration: Some(vpc) }
    }
}

/// The attachment of a new task: of the network that its request names, or else of the one of its service's deployment.
pub fn attachment(
    txn: &mut Txn,
    definition: &TaskDefinitionRow,
    origin: &Origin,
) -> Option<Box<AttachmentRow>> {
    if !is_own(definition) {
        return None;
    }
    let network = origin.network.as_deref().cloned();
    let network = network.or_else(|| of_deployment(txn, origin.service.as_ref()?));
    let network = Some(network.unwrap_or_default());
    Some(Box::new(AttachmentRow { id: txn.ids.uuid(), network, ..AttachmentRow::default() }))
}

fn of_deployment(txn: &Txn, (name, id): &(ServiceName, DeploymentId)) -> Option<NetworkRow> {
    let service = txn.state.service(name)?;
    let deployment = service.deployments.iter().find(|deployment| deployment.id == *id);
    // A service that is about to be written has its revision already.
    let revision = || txn.state.revision(name, *id).and_then(|row| row.network.as_deref());
    deployment.and_then(|deployment| deployment.network.as_deref()).or_else(revision).cloned()
}

/// A task has its host: an interface is wanted for it, in one subnet of the host's zone, and the task is PROVISIONING until it
/// is there. Nothing is done for a task without an attachment.
pub fn on_host(txn: &mut Txn, row: &mut TaskRow) {
    let host = row.instance.as_ref().and_then(|id| txn.state.instance(id)).cloned();
    let Some(attachment) = &mut row.attachment else { return };
    let Some(network) = attachment.network.take() else { return };
    let zone = host.as_ref().and_then(|host| instance::attribute(host, instance::ZONE));
    // Without any it is refused by EC2, which ends the task.
    let subnet = network.subnet(zone.as_deref(), txn).unwrap_or_default();
    attachment.subnet = Some(subnet.clone());
    row.last = TaskStatus::Provisioning;
    let managed = row.tags.iter().filter(|tag| tag.key.starts_with("aws:"));
    let wanted = InterfaceWanted {
        task: row.id.0,
        subnet,
        groups: network.groups(),
        public: network.public,
        description: arn::attachment(txn.ctx, &attachment.id),
        at: host.as_ref().and_then(|host| host.address),
        instance: host.and_then(|host| host.ec2_instance_id.clone()),
        tags: managed.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default())).collect(),
        has: None,
    };
    txn.put(wanted);
}

/// The attachments of a task, as the API shows them.
pub fn attachments(row: &TaskRow) -> Vec<ecs::Attachment> {
    let one = |attachment: &AttachmentRow| ecs::Attachment {
        id: Some(attachment.id.clone()),
        r#type: Some(INTERFACE.to_owned()),
        status: Some(attachment.status.as_str().to_owned()),
        details: Some(details(attachment)),
    };
    row.attachment.iter().map(|attachment| one(attachment)).collect()
}

fn details(attachment: &AttachmentRow) -> Vec<ecs::KeyValuePair> {
    let interface = attachment.interface.as_ref();
    let of = |text: fn(&state::contract::Interface) -> Option<String>| interface.and_then(text);
    let all = [
        ("subnetId", attachment.subnet.clone()),
        ("networkInterfaceId", of(|interface| Some(interface.id.clone()))),
        ("macAddress", of(|interface| Some(interface.mac.clone()))),
        ("privateDnsName", of(|interface| interface.private_name.clone())),
        ("privateIPv4Address", of(|interface| interface.address.map(|address| address.to_string()))),
    ];
    let pair = |(name, value): (&str, Option<String>)| {
        Some(ecs::KeyValuePair { name: Some(name.to_owned()), value: Some(value?) })
    };
    all.into_iter().filter_map(pair).collect()
}

/// The interfaces that a container of a task shows: all of them have the task's.
pub fn interfaces(row: &TaskRow) -> Vec<ecs::NetworkInterface> {
    let attachment = row.attachment.as_ref();
    let one = |attachment: &AttachmentRow| {
        let address = attachment.interface.as_ref()?.address?;
        Some(ecs::NetworkInterface {
            attachment_id: Some(attachment.id.clone()),
            private_ipv4_address: Some(address.to_string()),
            ipv6_address: None,
        })
    };
    attachment.and_then(|attachment| one(attachment)).into_iter().collect()
}

/// Whether an attachment that an agent names is the task's.
pub fn is_of(ctx: &Ctx, row: &TaskRow, named: &str) -> bool {
    row.attachment.as_ref().is_some_and(|attachment| arn::attachment(ctx, &attachment.id) == named)
}
