//! What the tests share: the networks of one account, and calls as the gate makes them, with an input that was
//! validated.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

use ec2_model::SERVICE;
use serde_json::{Value, json};
use state::{
    Batch, Domain, Id128, Table,
    api::{self, Handler},
    contract::{Given, Interface, InterfaceWanted, Interfaces, Want},
};
use wire::{Error, Timestamp, validate::validate};

use crate::{Ctx, Ec2, Ids, Key, Row, api::OPERATIONS, rows::*};

pub const HOUR: i64 = 3_600_000;

/// Networks at work.
#[derive(Clone)]
pub struct World {
    pub state: Ec2,
    pub ctx: Ctx,
    pub ids: Ids,
}

type Changes = BTreeMap<Key, crate::Change>;

impl World {
    /// As it is from the start, at 2026-11-23T10:00:00Z.
    pub fn new() -> World {
        World { state: Ec2::default(), ctx: ctx(), ids: Ids::new(7) }
    }

    /// Runs a batch: `work`, and the settling of what it touched.
    pub fn batch<T>(&mut self, work: impl FnOnce(&mut Batch<Ec2, Changes>, &Ctx, &mut Ids) -> T) -> T {
        let mut batch = Batch::new(self.state.clone(), (), Changes::new());
        let reply = work(&mut batch, &self.ctx, &mut self.ids);
        batch.settle(&self.ctx, &mut self.ids);
        let done = batch.done();
        assert_eq!(done.broken, [], "no assertion is broken");
        self.state = done.state;
        self.check();
        reply
    }

    /// Calls an operation as the gate does.
    pub fn call(&mut self, name: &str, mut input: Value) -> Result<Value, Error> {
        validate(&SERVICE, SERVICE.operation(name).unwrap(), &mut input)?;
        let output = match api::named(OPERATIONS, name).unwrap().handler {
            Handler::Read(read) => read(&self.state, &self.ctx, input),
            Handler::Write(read) => read(input).and_then(|command| {
                let ran = self.batch(|batch, ctx, ids| batch.command(ctx, ids, command));
                ran.expect("no assertion is broken")?()
            }),
            Handler::Outside => unreachable!("{name} is a matter of one shard"),
        };
        output.map(|json| serde_json::from_slice(&json).unwrap())
    }

    /// A call that is carried out.
    pub fn ok(&mut self, name: &str, input: Value) -> Value {
        self.call(name, input.clone()).unwrap_or_else(|error| panic!("{name} {input}: {error}"))
    }

    /// The code and the message of a call that is refused.
    pub fn refused(&mut self, name: &str, input: Value) -> (String, String) {
        let before = encoded(&self.state);
        let error = self.call(name, input.clone()).expect_err(&format!("{name} {input}"));
        assert_eq!(encoded(&self.state), before, "what is refused changes nothing");
        (error.code().to_owned(), error.message().to_owned())
    }

    /// The code of a call that is refused.
    pub fn code(&mut self, name: &str, input: Value) -> String {
        self.refused(name, input).0
    }

    /// A member of the only thing of a list.
    pub fn one(&mut self, name: &str, input: Value, list: &str) -> Value {
        let reply = self.ok(name, input.clone());
        let found = reply[list].as_array().unwrap();
        assert_eq!(found.len(), 1, "{name} {input}: {reply}");
        found[0].clone()
    }

    /// Texts of a member of each thing of a list.
    pub fn texts(&mut self, name: &str, input: Value, list: &str, member: &str) -> Vec<String> {
        let reply = self.ok(name, input);
        reply[list].as_array().unwrap().iter().map(|one| text(&one[member])).collect()
    }

    /// A VPC of 10.0.0.0/16.
    pub fn vpc(&mut self) -> String {
        text(&self.ok("CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"])
    }

    /// A subnet of it.
    pub fn subnet(&mut self, vpc: &str, cidr: &str) -> String {
        let input = json!({"VpcId": vpc, "CidrBlock": cidr});
        text(&self.ok("CreateSubnet", input)["Subnet"]["SubnetId"])
    }

    /// A security group.
    pub fn group(&mut self, vpc: &str, name: &str) -> String {
        let input = json!({"VpcId": vpc, "GroupName": name, "Description": "d"});
        text(&self.ok("CreateSecurityGroup", input)["GroupId"])
    }

    /// What a task wants: an interface in a subnet with one security group.
    pub fn want(task: u128, subnet: &str, group: &str) -> Want {
        let wanted = InterfaceWanted {
            task: Id128(task),
            subnet: subnet.to_owned(),
            groups: vec![group.to_owned()],
            public: false,
            description: format!("arn:aws:ecs:us-east-1:000000000000:attachment/{task}"),
            instance: Some("i-00000000000000001".to_owned()),
            at: None,
            tags: vec![("aws:ecs:clusterName".to_owned(), "c".to_owned())],
            has: None,
        };
        (Id128(task), Some(Arc::new(wanted)))
    }

    /// The same of a task whose host others reach.
    pub fn want_at(task: u128, subnet: &str, group: &str, at: Ipv4Addr) -> Want {
        let (task, wanted) = World::want(task, subnet, group);
        (task, wanted.map(|wanted| InterfaceWanted { at: Some(at), ..wanted.as_ref().clone() }.into()))
    }

    /// Interfaces of tasks of the cluster `c` are to be as these want it.
    pub fn bring(&mut self, wants: &[Want]) -> Vec<Given> {
        let ran =
            self.batch(|batch, ctx, ids| batch.command(ctx, ids, |txn| Ok(Ec2::bring(txn, "c", wants))));
        let done = ran.expect("no assertion is broken").unwrap();
        assert_eq!(done.len(), wants.len());
        done.into_iter().map(|(_, given)| given).collect()
    }

    /// The interface of one task.
    pub fn given(&mut self, want: Want) -> Interface {
        match self.bring(&[want]).remove(0) {
            Given::Interface(interface) => *interface,
            other => panic!("{other:?}"),
        }
    }

    /// Moves the clock, and lets everything happen that is due on the way.
    pub fn pass(&mut self, millis: i64) {
        let end = self.ctx.now.plus_millis(millis);
        while let Some(at) = self.state.agenda().wake_at().filter(|at| *at <= end) {
            self.ctx.now = self.ctx.now.max(at);
            self.batch(|batch, ctx, ids| batch.tick(ctx, ids));
        }
        self.ctx.now = end;
    }

    /// The process dies, and another one reads the rows, in another order.
    pub fn restart(&mut self) {
        let mut stored: Vec<_> = self.state.rows().map(|row| (Row::path(&row.key()), row.encode())).collect();
        stored.sort_by(|a, b| b.cmp(a));
        let mut state = Ec2::default();
        for (path, value) in stored {
            state.apply(&state::Change::Put(Row::decode(&path, &value).unwrap()));
        }
        assert_eq!(encoded(&state), encoded(&self.state));
        self.state = state;
        self.check();
    }

    /// What always holds: what a row names is there, and every index is what follows from the rows.
    fn check(&self) {
        let state = &self.state;
        for vpc in state.vpcs().values() {
            let (table, acl) = (state.table(vpc.main.table).unwrap(), state.acl(vpc.acl).unwrap());
            let group = state.group_named(vpc.id, "default").unwrap();
            assert_eq!((table.vpc, acl.vpc, group.id), (vpc.id, vpc.id, vpc.group));
            assert!(acl.default);
            assert!(state.within::<GatewayId>(vpc.id).count() <= 1);
        }
        for subnet in state.subnets().values() {
            let vpc = state.vpc(subnet.vpc).unwrap();
            assert!(vpc.cidr.contains(subnet.cidr));
            assert_eq!(state.acl(subnet.acl).unwrap().vpc, vpc.id);
            assert!(state.subnets_of_acl(subnet.acl).any(|other| other.id == subnet.id));
            if let Some(own) = subnet.table {
                assert_eq!(state.table(own.table).unwrap().vpc, vpc.id);
                assert!(state.subnets_of_table(own.table).any(|other| other.id == subnet.id));
            }
            let overlaps =
                |id: SubnetId| id != subnet.id && state.subnet(id).unwrap().cidr.overlaps(subnet.cidr);
            assert!(!state.within::<SubnetId>(vpc.id).any(overlaps));
        }
        for rule in state.rules().values() {
            let group = state.group(rule.group).unwrap();
            if let Peer::Group(named) = rule.peer {
                assert_eq!(state.group(named).unwrap().vpc, group.vpc);
                assert!(state.rules_naming(named).any(|other| other.id == rule.id));
            }
            assert!(state.rules_of(rule.group).any(|other| other.id == rule.id));
        }
        for table in state.tables().values() {
            assert!(table.routes.is_sorted_by(|a, b| a.to < b.to) && state.vpc(table.vpc).is_some());
        }
        for nat in state.nats().values().filter(|nat| nat.deleted_at.is_none()) {
            assert!(state.subnet(nat.subnet).is_some());
            let public = nat.public.map(|public| state.nat_of(public.allocation).unwrap().id);
            assert!(public.is_none_or(|id| id == nat.id));
        }
        let mut held = BTreeSet::new();
        for row in state.interfaces().values() {
            let subnet = state.subnet(row.subnet).unwrap();
            let (first, last) = subnet.usable();
            assert!(subnet.vpc == row.vpc && (first..=last).contains(&row.address.into()));
            assert!(held.insert((row.vpc, row.address)), "{} is held twice", row.address);
            assert!(row.groups.iter().all(|id| state.group(*id).unwrap().vpc == row.vpc));
            assert!(state.is_taken(row.subnet, row.address));
            assert_eq!(state.interface_of(&row.sender, row.task), Some(row));
            assert_eq!(state.places_in(row.vpc).get(&row.address), row.at.as_ref());
        }
        for nat in state.nats().values().filter(|nat| nat.deleted_at.is_none()) {
            assert!(held.insert((nat.vpc, nat.private)), "{} is held twice", nat.private);
        }
        for subnet in state.subnets().keys() {
            assert_eq!(state.taken_count(*subnet), state.taken_in(*subnet).count());
        }
        assert_eq!(state.subnets().keys().map(|id| state.taken_count(*id)).sum::<usize>(), held.len());
        assert!(state.tags().keys().all(|(of, _)| state.has(*of)), "no tag outlives what it is of");
        assert!(state.groups().values().all(|group| state.vpc(group.vpc).is_some()));
        assert!(state.acls().values().all(|acl| state.vpc(acl.vpc).is_some()));
    }
}

/// Where the tests are.
pub fn ctx() -> Ctx {
    Ctx {
        now: Timestamp::parse_iso8601("2026-11-23T10:00:00Z").unwrap(),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        partition: "aws".into(),
        caller_arn: "arn:aws:iam::000000000000:root".into(),
        agent: None,
    }
}

/// The stored form of all rows.
pub fn encoded(state: &Ec2) -> Vec<String> {
    state.rows().map(|row| Row::path(&row.key()) + " " + &String::from_utf8(row.encode()).unwrap()).collect()
}

/// A text of a reply.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A filter.
pub fn filter(name: &str, values: &[&str]) -> Value {
    json!({"Filters": [{"Name": name, "Values": values}]})
}

/// A permission for a range of IPv4 addresses.
pub fn permission(protocol: &str, port: i32, cidr: &str) -> Value {
    json!({"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]})
}
