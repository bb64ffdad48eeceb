//! What the indexes are, and the questions that they answer.

use super::*;

/// What belongs to a VPC, of one kind.
pub trait Within: Copy + Ord {
    /// The first and the last that there can be.
    const ENDS: (Resource, Resource);

    /// Of a resource of this kind.
    fn of(resource: Resource) -> Option<Self>;
}

macro_rules! within {
    ($($id:ident $variant:ident,)+) => {$(
        impl Within for $id {
            const ENDS: (Resource, Resource) = (Resource::$variant($id(0)), Resource::$variant($id(u64::MAX)));

            fn of(resource: Resource) -> Option<$id> {
                match resource {
                    Resource::$variant(id) => Some(id),
                    _ => None,
                }
            }
        }
    )+};
}
within! { VpcId Vpc, SubnetId Subnet, GroupId Group, RuleId Rule, GatewayId Gateway, TableId Table, AllocationId Address, NatId Nat, AclId Acl, DhcpId Dhcp, InterfaceId Interface, }

macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident $all:ident $id:ident $row:ident,)+) => {$(
        $(#[$doc])*
        pub fn $name(&self, id: $id) -> Option<&Arc<$row>> {
            self.$all.get(&id)
        }

        /// All of them, in the order of their identifiers.
        pub fn $all(&self) -> &OrdMap<$id, Arc<$row>> {
            &self.$all
        }
    )+};
}

impl Ec2 {
    maps! {
        /// A VPC.
        vpc vpcs VpcId VpcRow,
        /// A subnet.
        subnet subnets SubnetId SubnetRow,
        /// A security group.
        group groups GroupId GroupRow,
        /// A rule of a security group.
        rule rules RuleId RuleRow,
        /// An internet gateway.
        gateway gateways GatewayId GatewayRow,
        /// A route table.
        table tables TableId TableRow,
        /// An Elastic IP address.
        address addresses AllocationId AddressRow,
        /// A NAT gateway, also one that is deleted.
        nat nats NatId NatRow,
        /// A network ACL.
        acl acls AclId AclRow,
        /// A network interface of a task.
        interface interfaces InterfaceId InterfaceRow,
    }

    /// What was made at the start, if it was.
    pub fn seed(&self) -> Option<&Arc<SeedRow>> {
        self.seed.as_ref()
    }

    /// The default VPC, unless it was deleted.
    pub fn default_vpc(&self) -> Option<&Arc<VpcRow>> {
        self.vpcs.get(&self.default_vpc?)
    }

    /// What belongs to a VPC, of one kind, in the order of the identifiers.
    pub fn within<T: Within>(&self, vpc: VpcId) -> impl Iterator<Item = T> + '_ {
        let (first, last) = T::ENDS;
        self.within.range((vpc, first)..=(vpc, last)).filter_map(|(_, resource)| T::of(*resource))
    }

    /// A security group by its name.
    pub fn group_named(&self, vpc: VpcId, name: &str) -> Option<&Arc<GroupRow>> {
        self.groups.get(self.names.get(&(vpc, name.to_owned()))?)
    }

    /// The rules of a security group.
    pub fn rules_of(&self, group: GroupId) -> impl Iterator<Item = &Arc<RuleRow>> {
        let ids = self.rules_of.range((group, RuleId(0))..=(group, RuleId(u64::MAX)));
        ids.filter_map(|(_, id)| self.rules.get(id))
    }

    /// The rules that let a security group in or out.
    pub fn rules_naming(&self, group: GroupId) -> impl Iterator<Item = &Arc<RuleRow>> {
        let ids = self.naming.range((group, RuleId(0))..=(group, RuleId(u64::MAX)));
        ids.filter_map(|(_, id)| self.rules.get(id))
    }

    /// Subnets whose own route table it is.
    pub fn subnets_of_table(&self, table: TableId) -> impl Iterator<Item = &Arc<SubnetRow>> {
        let ids = self.of_table.range((table, SubnetId(0))..=(table, SubnetId(u64::MAX)));
        ids.filter_map(|(_, id)| self.subnets.get(id))
    }

    /// Subnets that have a network ACL.
    pub fn subnets_of_acl(&self, acl: AclId) -> impl Iterator<Item = &Arc<SubnetRow>> {
        let ids = self.of_acl.range((acl, SubnetId(0))..=(acl, SubnetId(u64::MAX)));
        ids.filter_map(|(_, id)| self.subnets.get(id))
    }

    /// What has a route table by that association.
    pub fn associated(&self, id: AssociationId) -> Option<Associated> {
        self.associations.get(&id).copied()
    }

    /// The subnet that has a network ACL by that association.
    pub fn acl_associated(&self, id: AclAssociationId) -> Option<&Arc<SubnetRow>> {
        self.subnets.get(self.acl_associations.get(&id)?)
    }

    /// Whose an Elastic IP address is.
    pub fn address_of(&self, address: Ipv4Addr) -> Option<&Arc<AddressRow>> {
        self.addresses.get(self.addresses_taken.get(&address)?)
    }

    /// Whether an interface has been given a public address.
    pub fn is_public(&self, address: Ipv4Addr) -> bool {
        self.public_of.contains_key(&address)
    }

    /// Whether any interface in a VPC has a public address.
    pub fn has_public_in(&self, vpc: VpcId) -> bool {
        let mut ids = self.public_in.range((vpc, InterfaceId(0))..=(vpc, InterfaceId(u64::MAX)));
        ids.next().is_some()
    }

    /// The addresses of a subnet that are taken, in order.
    pub fn taken_in(&self, subnet: SubnetId) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.taken.of(subnet)
    }

    /// How many addresses of a subnet are taken.
    pub fn taken_count(&self, subnet: SubnetId) -> usize {
        self.taken.count(subnet)
    }

    /// Whether an address of a subnet is taken.
    pub fn is_taken(&self, subnet: SubnetId, address: Ipv4Addr) -> bool {
        self.taken.has(subnet, address)
    }

    /// A free address of a subnet: the first one at a place or behind it.
    pub fn free_address(&self, subnet: &SubnetRow, place: usize) -> Option<Ipv4Addr> {
        self.taken.free_from(subnet, place)
    }

    /// The interface of a task of a sender.
    pub fn interface_of(&self, sender: &str, task: Id128) -> Option<&Arc<InterfaceRow>> {
        self.interfaces.get(self.interface_of.get(&(sender.to_owned(), task))?)
    }

    /// The tasks of a sender that have an interface, in order.
    pub fn tasks_of(&self, sender: &str) -> impl Iterator<Item = Id128> + '_ {
        let from = self.interface_of.range((sender.to_owned(), Id128(0))..);
        let sender = sender.to_owned();
        from.take_while(move |((of, _), _)| *of == sender).map(|((_, task), _)| *task)
    }

    /// The addresses of the interfaces that have a security group. A copy of it shares all that does not change.
    pub fn members_of(&self, group: GroupId) -> OrdSet<IpAddr> {
        self.members.get(&group).cloned().unwrap_or_default()
    }

    /// Where the interfaces of a VPC are that hosts reach. A copy of it shares all that does not change.
    pub fn places_in(&self, vpc: VpcId) -> Places {
        self.places.get(&vpc).cloned().unwrap_or_default()
    }

    /// The interfaces that have a security group.
    pub fn interfaces_in_group(&self, group: GroupId) -> impl Iterator<Item = &Arc<InterfaceRow>> {
        let ids = self.in_group.range((group, InterfaceId(0))..=(group, InterfaceId(u64::MAX)));
        ids.filter_map(|(_, id)| self.interfaces.get(id))
    }

    /// The NAT gateway that has an Elastic IP address.
    pub fn nat_of(&self, address: AllocationId) -> Option<&Arc<NatRow>> {
        self.nats.get(self.nat_of.get(&address)?)
    }

    /// How many NAT gateways of all there are that are not deleted.
    pub fn nat_count(&self) -> usize {
        self.nats_in.len()
    }

    /// The tags of a thing, in the order of their keys.
    pub fn tags_of(&self, resource: impl Into<Resource>) -> impl Iterator<Item = &Arc<TagRow>> {
        let resource = resource.into();
        let from = self.tags.range((resource, String::new())..);
        from.take_while(move |((of, _), _)| *of == resource).map(|(_, row)| row)
    }

    /// The value of a thing's tag.
    pub fn tag(&self, resource: Resource, key: &str) -> Option<&Arc<TagRow>> {
        self.tags.get(&(resource, key.to_owned()))
    }

    /// All tags, in the order of what they are of and of their keys.
    pub fn tags(&self) -> &OrdMap<(Resource, String), Arc<TagRow>> {
        &self.tags
    }

    /// What has a tag of that key and value.
    pub fn tagged<'a>(&'a self, key: &'a str, value: &'a str) -> impl Iterator<Item = Resource> + 'a {
        let from = (key.to_owned(), value.to_owned(), Resource::Vpc(VpcId(0)));
        let of = self.tagged.range(from..);
        of.take_while(move |(k, v, _)| k == key && v == value).map(|(.., resource)| *resource)
    }

    /// Whether there is such a thing.
    pub fn has(&self, resource: Resource) -> bool {
        match resource {
            Resource::Vpc(id) => self.vpcs.contains_key(&id),
            Resource::Subnet(id) => self.subnets.contains_key(&id),
            Resource::Group(id) => self.groups.contains_key(&id),
            Resource::Rule(id) => self.rules.contains_key(&id),
            Resource::Gateway(id) => self.gateways.contains_key(&id),
            Resource::Table(id) => self.tables.contains_key(&id),
            Resource::Address(id) => self.addresses.contains_key(&id),
            Resource::Nat(id) => self.nats.contains_key(&id),
            Resource::Acl(id) => self.acls.contains_key(&id),
            Resource::Interface(id) => self.interfaces.contains_key(&id),
            Resource::Dhcp(id) => self.seed.as_ref().is_some_and(|seed| seed.dhcp == id),
        }
    }

    /// What a client token was used for.
    pub fn token(&self, token: &str) -> Option<&Arc<TokenRow>> {
        self.tokens.get(token)
    }

    /// How many client tokens are remembered.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// All rows, for tests and for who looks after the store.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let seed = self.seed.iter().cloned().map(Row::Seed);
        let vpcs = self.vpcs.values().cloned().map(Row::Vpc);
        let subnets = self.subnets.values().cloned().map(Row::Subnet);
        let groups = self.groups.values().cloned().map(Row::Group);
        let rules = self.rules.values().cloned().map(Row::Rule);
        let gateways = self.gateways.values().cloned().map(Row::Gateway);
        let tables = self.tables.values().cloned().map(Row::Table);
        let addresses = self.addresses.values().cloned().map(Row::Address);
        let nats = self.nats.values().cloned().map(Row::Nat);
        let acls = self.acls.values().cloned().map(Row::Acl);
        let tags = self.tags.values().cloned().map(Row::Tag);
        let tokens = self.tokens.values().cloned().map(Row::Token);
        let interfaces = self.interfaces.values().cloned().map(Row::Interface);
        let first = seed.chain(vpcs).chain(subnets).chain(groups).chain(rules).chain(gateways);
        first
            .chain(tables)
            .chain(addresses)
            .chain(nats)
            .chain(acls)
            .chain(tags)
            .chain(tokens)
            .chain(interfaces)
    }

    /// Takes a row in that is not there.
    pub(super) fn insert(&mut self, row: &Row) {
        self.index(row, true);
        match row {
            Row::Seed(row) => self.seed = Some(row.clone()),
            Row::Vpc(row) => drop(self.vpcs.insert(row.id, row.clone())),
            Row::Subnet(row) => drop(self.subnets.insert(row.id, row.clone())),
            Row::Group(row) => drop(self.groups.insert(row.id, row.clone())),
            Row::Rule(row) => drop(self.rules.insert(row.id, row.clone())),
            Row::Gateway(row) => drop(self.gateways.insert(row.id, row.clone())),
            Row::Table(row) => drop(self.tables.insert(row.id, row.clone())),
            Row::Address(row) => drop(self.addresses.insert(row.id, row.clone())),
            Row::Nat(row) => drop(self.nats.insert(row.id, row.clone())),
            Row::Acl(row) => drop(self.acls.insert(row.id, row.clone())),
            Row::Interface(row) => drop(self.interfaces.insert(row.id, row.clone())),
            Row::Token(row) => drop(self.tokens.insert(row.token.clone(), row.clone())),
            Row::Tag(row) => drop(self.tags.insert((row.of, row.key.clone()), row.clone())),
        }
    }

    /// Takes a row out, if it is there.
    pub(super) fn remove(&mut self, key: &Key) {
        let old = match key {
            Key::Seed(()) => self.seed.take().map(Row::Seed),
            Key::Vpc(id) => self.vpcs.remove(id).map(Row::Vpc),
            Key::Subnet(id) => self.subnets.remove(id).map(Row::Subnet),
            Key::Group(id) => self.groups.remove(id).map(Row::Group),
            Key::Rule(id) => self.rules.remove(id).map(Row::Rule),
            Key::Gateway(id) => self.gateways.remove(id).map(Row::Gateway),
            Key::Table(id) => self.tables.remove(id).map(Row::Table),
            Key::Address(id) => self.addresses.remove(id).map(Row::Address),
            Key::Nat(id) => self.nats.remove(id).map(Row::Nat),
            Key::Acl(id) => self.acls.remove(id).map(Row::Acl),
            Key::Interface(id) => self.interfaces.remove(id).map(Row::Interface),
            Key::Token(token) => self.tokens.remove(token).map(Row::Token),
            Key::Tag(key) => self.tags.remove(key).map(Row::Tag),
        };
        if let Some(old) = old {
            self.index(&old, false);
        }
    }

    /// Puts into the indexes what a row says, or takes it out: both are the same list.
    fn index(&mut self, row: &Row, there: bool) {
        match row {
            Row::Seed(_) | Row::Token(_) => {}
            Row::Vpc(row) => {
                map(&mut self.associations, row.main.id, Associated::Main(row.id), there);
                if row.default {
                    self.default_vpc = there.then_some(row.id);
                }
            }
            Row::Subnet(row) => {
                set(&mut self.within, (row.vpc, row.id.into()), there);
                set(&mut self.of_acl, (row.acl, row.id), there);
                map(&mut self.acl_associations, row.acl_association, row.id, there);
                if let Some(own) = row.table {
                    set(&mut self.of_table, (own.table, row.id), there);
                    map(&mut self.associations, own.id, Associated::Subnet(row.id), there);
                }
            }
            Row::Group(row) => {
                set(&mut self.within, (row.vpc, row.id.into()), there);
                map(&mut self.names, (row.vpc, row.name.clone()), row.id, there);
            }
            Row::Rule(row) => {
                set(&mut self.rules_of, (row.group, row.id), there);
                if let Peer::Group(named) = row.peer {
                    set(&mut self.naming, (named, row.id), there);
                }
            }
            Row::Gateway(row) => {
                row.vpc.into_iter().for_each(|vpc| set(&mut self.within, (vpc, row.id.into()), there));
            }
            Row::Table(row) => set(&mut self.within, (row.vpc, row.id.into()), there),
            Row::Address(row) => map(&mut self.addresses_taken, row.address, row.id, there),
            Row::Nat(row) if row.deleted_at.is_some() => {}
            Row::Nat(row) => {
                set(&mut self.within, (row.vpc, row.id.into()), there);
                set(&mut self.nats_in, (row.subnet, row.private), there);
                self.taken.set(row.subnet, row.private, there);
                if let Some(public) = row.public {
                    map(&mut self.nat_of, public.allocation, row.id, there);
                }
            }
            Row::Acl(row) => set(&mut self.within, (row.vpc, row.id.into()), there),
            Row::Interface(row) => {
                set(&mut self.within, (row.vpc, row.id.into()), there);
                self.taken.set(row.subnet, row.address, there);
                map(&mut self.interface_of, (row.sender.clone(), row.task), row.id, there);
                if let Some(public) = row.public {
                    map(&mut self.public_of, public, row.id, there);
                    set(&mut self.public_in, (row.vpc, row.id), there);
                }
                if let Some(at) = row.at {
                    let of = self.places.entry(row.vpc).or_default();
                    map(of, row.address, at, there);
                    if of.is_empty() {
                        self.places.remove(&row.vpc);
                    }
                }
                for group in &row.groups {
                    set(&mut self.in_group, (*group, row.id), there);
                    let of = self.members.entry(*group).or_default();
                    set(of, row.address.into(), there);
                    if of.is_empty() {
                        self.members.remove(group);
                    }
                }
            }
            Row::Tag(row) => set(&mut self.tagged, (row.key.clone(), row.value.clone(), row.of), there),
        }
    }
}

fn set<T: Ord + Clone>(index: &mut OrdSet<T>, item: T, there: bool) {
    if there {
        index.insert(item);
    } else {
        index.remove(&item);
    }
}

fn map<K: Ord + Clone, V: Clone>(index: &mut OrdMap<K, V>, key: K, value: V, there: bool) {
    if there {
        index.insert(key, value);
    } else {
        index.remove(&key);
    }
}
