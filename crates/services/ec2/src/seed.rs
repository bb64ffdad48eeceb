//! The default VPC, which each account has in each region from the start. Until the first command of an account in a
//! region it is stored nowhere, and the same wherever it is looked at: it follows from the two names.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html>

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use state::Domain;

use crate::{Change, Ctx, Ec2, Ids, Row, Txn, commands::vpcs::Parts, rows::*, zones};

/// 172.31.0.0/16.
const VPC: Cidr4 = Cidr4 { base: 0xac1f_0000, prefix: 16 };
/// The prefix of its subnets.
const SUBNET: u8 = 20;

/// The state as it is seen: with the default VPC, if nothing was stored yet.
pub fn seen<'a>(state: &'a Ec2, ctx: &Ctx) -> Cow<'a, Ec2> {
    if state.seed().is_some() {
        return Cow::Borrowed(state);
    }
    let mut seen = state.clone();
    rows(ctx).into_iter().for_each(|row| seen.apply(&Change::Put(row)));
    Cow::Owned(seen)
}

/// Stores the default VPC with the first command.
pub fn plant(txn: &mut Txn) {
    if txn.state.seed().is_none() {
        rows(txn.ctx).into_iter().for_each(|row| txn.put(row));
    }
}

fn rows(ctx: &Ctx) -> Vec<Row> {
    let name = format!("{}/{}", ctx.account, ctx.region);
    let digest = Sha256::digest(name.as_bytes());
    let bits = digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    let ids = &mut Ids::new(bits);
    let dhcp = DhcpId(ids.seed());
    let made = Parts::new(ids, VPC, dhcp);
    let vpc = VpcRow { default: true, dns_hostnames: true, ..made.vpc };
    let gateway = GatewayRow { id: GatewayId(ids.seed()), vpc: Some(vpc.id) };
    let out = RouteRow { to: Block::V4(Cidr4::ALL), by: Hop::Gateway(gateway.id) };
    let table = TableRow { routes: vec![out], ..made.table };
    let subnets = zones::of(&ctx.region).into_iter().zip(0u32..).map(|(zone, at)| SubnetRow {
        id: SubnetId(ids.seed()),
        vpc: vpc.id,
        cidr: Cidr4 { base: VPC.base + (at << (32 - SUBNET)), prefix: SUBNET },
        zone: zone.name,
        default_for_zone: true,
        public_on_launch: true,
        resource_names: false,
        a_records: false,
        table: None,
        acl: vpc.acl,
        acl_association: AclAssociationId(ids.seed()),
    });
    let mut rows: Vec<Row> = subnets.map(Row::from).collect();
    rows.extend(made.rules.into_iter().map(Row::from));
    rows.extend([SeedRow { dhcp }.into(), gateway.into(), table.into(), made.group.into(), made.acl.into()]);
    rows.push(vpc.into());
    rows
}
