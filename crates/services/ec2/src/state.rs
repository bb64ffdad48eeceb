//! The networks of one account and region: their rows and the indexes derived from them. `Ec2::take` is the only
//! place that changes either. Cloning is cheap (persistent maps).

mod find;
mod index;
mod taken;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};
use state::{
    Agenda, Domain, Id128, ShardId,
    api::{Api, Handler, Operation},
    contract::Places,
    port::Others,
};
use wire::{Timestamp, schema};

use crate::{
    Txn, api, limits,
    rows::*,
    table::{Change, Key, Row},
};

pub use find::Named;
pub use index::Within;
use taken::Taken;

/// What is settled on its own: nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {}

/// The networks of one account and region.
#[derive(Debug, Clone, Default)]
pub struct Ec2 {
    seed: Option<Arc<SeedRow>>,
    vpcs: OrdMap<VpcId, Arc<VpcRow>>,
    subnets: OrdMap<SubnetId, Arc<SubnetRow>>,
    groups: OrdMap<GroupId, Arc<GroupRow>>,
    rules: OrdMap<RuleId, Arc<RuleRow>>,
    gateways: OrdMap<GatewayId, Arc<GatewayRow>>,
    tables: OrdMap<TableId, Arc<TableRow>>,
    addresses: OrdMap<AllocationId, Arc<AddressRow>>,
    nats: OrdMap<NatId, Arc<NatRow>>,
    acls: OrdMap<AclId, Arc<AclRow>>,
    interfaces: OrdMap<InterfaceId, Arc<InterfaceRow>>,
    tags: OrdMap<(Resource, String), Arc<TagRow>>,
    tokens: OrdMap<String, Arc<TokenRow>>,
    default_vpc: Option<VpcId>,
    /// All that belongs to a VPC.
    within: OrdSet<(VpcId, Resource)>,
    names: OrdMap<(VpcId, String), GroupId>,
    rules_of: OrdSet<(GroupId, RuleId)>,
    /// Rules by the group that they let in or out.
    naming: OrdSet<(GroupId, RuleId)>,
    /// Subnets by a route table of their own, and by their network ACL.
    of_table: OrdSet<(TableId, SubnetId)>,
    of_acl: OrdSet<(AclId, SubnetId)>,
    associations: OrdMap<AssociationId, Associated>,
    acl_associations: OrdMap<AclAssociationId, SubnetId>,
    addresses_taken: OrdMap<Ipv4Addr, AllocationId>,
    /// Of NAT gateways that are not deleted: by their subnet with the address there, and by their Elastic IP address.
    nats_in: OrdSet<(SubnetId, Ipv4Addr)>,
    nat_of: OrdMap<AllocationId, NatId>,
    taken: Taken,
    /// Interfaces by whose they are, and by their security groups.
    interface_of: OrdMap<(String, Id128), InterfaceId>,
    in_group: OrdSet<(GroupId, InterfaceId)>,
    /// Those that have a public address: by that, and by their VPC.
    public_of: OrdMap<Ipv4Addr, InterfaceId>,
    public_in: OrdSet<(VpcId, InterfaceId)>,
    /// The addresses of the interfaces of a security group.
    members: OrdMap<GroupId, OrdSet<IpAddr>>,
    /// Where the interfaces of a VPC are that hosts reach.
    places: OrdMap<VpcId, Places>,
    tagged: OrdSet<(String, String, Resource)>,
    agenda: Agenda<Key, Mark>,
}

/// What has a route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Associated {
    /// A subnet, one of its own.
    Subnet(SubnetId),
    /// A VPC, its main one.
    Main(VpcId),
}

impl Domain for Ec2 {
    type Rows = Row;
    type Mark = Mark;
    type Ports = ();

    const SERVICE: &'static str = "ec2";
    const KEPT_MS: i64 = limits::NAT_SHOWN_MS;
    const SHORTEST_MS: i64 = limits::NAT_SHOWN_MS;

    fn new(_shard: &ShardId) -> Ec2 {
        Ec2::default()
    }

    fn agenda(&self) -> &Agenda<Key, Mark> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, Mark> {
        &mut self.agenda
    }

    fn timer(&self, key: &Key) -> Option<Timestamp> {
        match key {
            Key::Nat(id) => self.nats.get(id)?.forget_at,
            Key::Token(token) => self.tokens.get(token).map(|row| row.forget_at),
            _ => None,
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(row) => {
                self.remove(&state::Table::key(row));
                self.insert(row);
            }
            Change::Delete(key) => self.remove(key),
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        if let Key::Nat(id) = key {
            crate::commands::tags::forget(txn, id);
        }
        txn.delete(key);
    }

    fn settle(_txn: &mut Txn, mark: Mark) {
        match mark {}
    }

    fn marked(&self, mark: &Mark) -> Key {
        match *mark {}
    }

    fn forgets(&self, key: &Key) -> bool {
        matches!(key, Key::Nat(_) | Key::Token(_))
    }

    fn set_back(txn: &mut Txn, key: Key) {
        match key {
            Key::Nat(id) => {
                let longest = txn.now().plus_millis(limits::NAT_SHOWN_MS);
                let late = |row: &&Arc<NatRow>| row.forget_at.is_some_and(|at| at > longest);
                if let Some(row) = txn.state.nats.get(&id).filter(late).cloned() {
                    txn.put(NatRow { forget_at: Some(longest), ..row.as_ref().clone() });
                }
            }
            Key::Token(token) => {
                let longest = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
                let late = |row: &&Arc<TokenRow>| row.forget_at > longest;
                if let Some(row) = txn.state.tokens.get(&token).filter(late).cloned() {
                    txn.put(TokenRow { forget_at: longest, ..row.as_ref().clone() });
                }
            }
            _ => {}
        }
    }
}

impl Api for Ec2 {
    fn schema() -> &'static schema::Service {
        &ec2_model::SERVICE
    }

    fn operations() -> &'static [Operation<Handler<Ec2>>] {
        api::OPERATIONS
    }

    fn ports(_others: &Arc<dyn Others>) {}
}
