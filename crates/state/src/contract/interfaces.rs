//! Network interfaces of tasks: ECS says which are wanted, EC2 makes them and says what was given. Neither writes a row
//! of the other; whoever carries between them looks at both and needs nothing else, so every pair comes to the same from
//! any state.

use std::{net::Ipv4Addr, sync::Arc};

use serde::{Deserialize, Serialize};
use wire::{Error, string_enum};

use super::HostNetwork;
use crate::{Ctx, Delta, Domain, Id128, Row, Txn, domain::KeyOf};

/// That a task is to have an interface. It is a row in the cluster's shard from the step that gives the task its host, until
/// nothing can hold the interface's address any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceWanted {
    pub task: Id128,
    /// The one subnet that it is to be in.
    pub subnet: String,
    /// The security groups that it is to have: at least one, all of the subnet's VPC.
    pub groups: Vec<String>,
    /// Whether it is to have a public address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// `description`: the ARN of the task's attachment.
    pub description: String,
    /// The identifier of EC2 of the container instance that the task is on, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where other hosts reach the one that the task is on, as its agent says. None: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Ipv4Addr>,
    /// Its tags: key and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// The interface that the task has, once it has one: if it is not there any more, it is made again as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<Has>,
}

/// Which interface a task has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Has {
    /// Its identifier.
    pub id: String,
    pub address: Ipv4Addr,
    /// Its public address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Ipv4Addr>,
}

impl Row for InterfaceWanted {
    fn weight(&self) -> usize {
        let groups: usize = self.groups.iter().map(|group| group.len() + 4).sum();
        let tags: usize = self.tags.iter().map(|(key, value)| 2 * (key.len() + value.len()) + 8).sum();
        let instance = self.instance.as_ref().map_or(0, String::len);
        let has = self.has.as_ref().map_or(0, |has| 64 + has.id.len());
        256 + has + self.subnet.len() + groups + self.description.len() + instance + tags
    }
}

/// An interface as its task sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Such as `eni-0123…`.
    pub id: String,
    pub vpc: String,
    /// The blocks of addresses of the VPC, such as `10.0.0.0/16`.
    pub vpc_blocks: Vec<String>,
    pub subnet: String,
    /// The block of the subnet.
    pub block: String,
    /// Its zone.
    pub zone: String,
    /// Such as `10.0.1.5`.
    pub address: Option<Ipv4Addr>,
    /// That of the subnet's router.
    pub gateway: Option<Ipv4Addr>,
    /// Six pairs of hexadecimal digits between colons.
    pub mac: String,
    /// None where the VPC gives no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_name: Option<String>,
    /// The domain of names in the VPC.
    pub domain: String,
    pub groups: Vec<String>,
    /// As the routes of its subnet were when it was made.
    pub egress: Egress,
    /// The address by which the world knows it, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Ipv4Addr>,
}

string_enum! {
    Egress {
        None = "none",
        Direct = "direct",
        Nat = "nat",
    }
}

/// What became of what a task wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It is there.
    Interface(Box<Interface>),
    /// There can be none: the code of EC2's error, and its message.
    Refused { code: String, message: String },
    /// None is wanted, and none is there.
    Gone,
}

/// A task, and what it wants; none where it wants none (any more).
pub type Want = (Id128, Option<Arc<InterfaceWanted>>);

/// A domain whose tasks want interfaces.
pub trait Wants: Domain {
    /// What a task wants.
    fn wanted(&self, task: Id128) -> Option<&Arc<InterfaceWanted>>;

    /// All tasks that want one, or wait to hear that theirs is gone.
    fn concerned(&self) -> Vec<Id128>;

    /// The task of which a row of that key says that it wants an interface; none for any other row.
    fn concerns(key: &KeyOf<Self>) -> Option<Id128>;

    /// Tells tasks what became of what they want, in this order, as many as fit into one step: gives the others back. What
    /// a task knows already, or does not ask for any more, changes nothing.
    fn hear(txn: &mut Txn<Self>, told: Vec<(Id128, Given)>) -> Vec<(Id128, Given)>;
}

/// The domain that makes interfaces: EC2.
pub trait Interfaces: Domain {
    /// Makes and removes interfaces of tasks of a sender (a cluster, by its name), so that there are those that are wanted.
    /// Gives what became of each in this order, of as many as fit into one step. What is there already stays as it is, but
    /// for where its host is reached.
    fn bring(txn: &mut Txn<Self>, sender: &str, wants: &[Want]) -> Vec<(Id128, Given)>;

    /// The tasks of a sender that have an interface.
    fn given_to(&self, sender: &str) -> Vec<Id128>;

    /// What is to hold on a host for the interfaces of these tasks of a sender in a region.
    fn on_host(&self, region: &str, sender: &str, tasks: &[Id128]) -> HostNetwork;

    /// The identifiers of which a commit may have changed something that [`HostNetwork`] says; none where that may be any.
    fn touched(delta: &Delta<Self>) -> Option<Vec<String>>;

    /// What a request means by subnets and security groups.
    ///
    /// # Errors
    /// What of it cannot be.
    fn network(&self, ctx: &Ctx, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork>;
}

/// The subnets and security groups of a request, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Each subnet with its zone, in the order of the request.
    pub subnets: Vec<(String, String)>,
    /// The security group `default` of their VPC, which counts where none is named.
    pub default_group: String,
}

/// What of a request's subnets and security groups cannot be.
#[derive(Debug, Clone, PartialEq)]
pub enum NotANetwork {
    /// A subnet is not there.
    Subnet { named: String, error: Error },
    /// A security group is not there.
    Group { named: String, error: Error },
    /// The subnets are of several VPCs.
    SeveralVpcs,
    /// A security group is of another VPC than the subnets.
    ForeignGroup(String),
    /// Nobody can say now.
    Unknown,
}

/// A look at the networks of one account and region.
pub trait Networks: Send + Sync {
    /// What a request means by subnets, of which it names at least one, and security groups.
    ///
    /// # Errors
    /// What of it cannot be.
    fn network(&self, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork>;
}

/// Nobody has networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNetworks;

impl Networks for NoNetworks {
    fn network(&self, _: &[String], _: &[String]) -> Result<Network, NotANetwork> {
        Err(NotANetwork::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_stored_as_it_was_in_version_1() {
        let golden = r#"{"v":1,"row":{"task":"0000000000000000000000000000002a","subnet":"subnet-00000000000000001","groups":["sg-00000000000000002"],"description":"arn:aws:ecs:us-east-1:000000000000:attachment/a","instance":"i-00000000000000003","at":"192.0.2.7","tags":[["k","v"]],"has":{"id":"eni-00000000000000004","address":"10.0.0.4"}}}"#;
        let row: InterfaceWanted = crate::row::decode(golden.as_bytes()).unwrap();
        assert_eq!((row.task, row.groups.len(), row.tags.len()), (Id128(42), 1, 1));
        assert_eq!(String::from_utf8(crate::row::encode(&row)).unwrap(), golden);
        assert!(row.weight() >= golden.len());
        let least = r#"{"v":1,"row":{"task":"0000000000000000000000000000002a","subnet":"s","groups":[],"description":""}}"#;
        let least = crate::row::decode::<InterfaceWanted>(least.as_bytes()).unwrap();
        assert_eq!((least.instance, least.at), (None, None));
        assert_eq!(NoNetworks.network(&[], &[]), Err(NotANetwork::Unknown));
    }

    #[test]
    fn an_interface_of_which_little_is_known_is_read() {
        let given: Interface = serde_json::from_str(r#"{"address":"10.0.0.4","tomorrow":1}"#).unwrap();
        assert_eq!(given.address, Some(Ipv4Addr::new(10, 0, 0, 4)));
        let text = serde_json::to_string(&Interface::default()).unwrap();
        assert_eq!(serde_json::from_str::<Interface>(&text).unwrap(), Interface::default());
    }
}
