//! The operations: what each is done by, what of it is refused or without effect, and what it is authorised on, from
//! the [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html).
//! Before its first command the default VPC of an account and region is stored, and a question whether a request would be
//! carried out (`DryRun`) is answered, here and for all of them.

mod access;

use state::api::{
    self,
    Condition::{Member, Tags},
    Handler, Operation,
};

use self::access::{each, tagged};
use crate::{
    Ec2, commands, describe, refuse,
    seed::{plant, seen},
};

const NO_PACKETS: &str = "kept and shown: no host filters by network ACLs yet, so it changes no packet";
const NO_PUBLIC: &str =
    "kept and shown: no task has a public address yet, so none has a way out through an internet gateway";
const NO_NAMES: &str = "kept and shown: names in a VPC follow from addresses";
const NO_ADDRESS: &str =
    "the address is one of 198.18.0.0/15, which nobody routes: it is kept and shown, and reaches nothing";
const NO_TENANCY: &str = "kept and shown: hosts are those of the container instances";
const NO_V6: &str = "there are no IPv6 addresses in subnets yet: `false` changes nothing, `true` is refused";

/// A command, as an operation has it.
macro_rules! write {
    ($command:path) => {
        Handler::Write(|input| {
            refuse::dry_run(&input)?;
            api::command(input, |txn, request| {
                plant(txn);
                $command(txn, request)
            })
        })
    };
}

/// A look, as an operation has it.
macro_rules! read {
    ($look:path) => {
        Handler::Read(|state, ctx, input| {
            refuse::dry_run(&input)?;
            api::json(&$look(&seen(state, ctx), ctx, &api::typed(input)?)?)
        })
    };
}

/// All that is built, by name.
pub static OPERATIONS: &[Operation<Handler<Ec2>>] = &[
    Operation::new("AllocateAddress", write!(commands::addresses::allocate_address))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("elastic-ip", "")]))
        .with(&[Tags("TagSpecifications.Tags")])
        .refusing(&["Address", "CustomerOwnedIpv4Pool", "IpamPoolId", "PublicIpv4Pool"])
        .without_effect(&[("Domain", NO_ADDRESS)]),
    Operation::new("AssociateRouteTable", write!(commands::tables::associate_route_table))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId"), ("subnet", "SubnetId")]))
        .refusing(&["GatewayId", "PublicIpv4Pool"]),
    Operation::new("AttachInternetGateway", write!(commands::gateways::attach_internet_gateway))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("internet-gateway", "InternetGatewayId"), ("vpc", "VpcId")]))
        .without_effect(&[("InternetGatewayId", NO_PUBLIC)]),
    Operation::new("AuthorizeSecurityGroupEgress", write!(commands::rules::authorize_security_group_egress))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")]))
        .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new(
        "AuthorizeSecurityGroupIngress",
        write!(commands::rules::authorize_security_group_ingress),
    )
    .growing()
    .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")]))
    .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new("CreateInternetGateway", write!(commands::gateways::create_internet_gateway))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("internet-gateway", "")]))
        .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new("CreateNatGateway", write!(commands::nats::create_nat_gateway))
        .growing()
        .on(|ctx, input| {
            each(ctx, input, &[("natgateway", ""), ("subnet", "SubnetId"), ("elastic-ip", "AllocationId")])
        })
        .with(&[Tags("TagSpecifications.Tags")])
        .refusing(&[
            "AvailabilityZoneAddresses",
            "SecondaryAllocationIds",
            "SecondaryPrivateIpAddressCount",
            "SecondaryPrivateIpAddresses",
            "VpcId",
        ]),
    Operation::new("CreateNetworkAcl", write!(commands::acls::create_network_acl))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("network-acl", ""), ("vpc", "VpcId")]))
        .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new("CreateNetworkAclEntry", write!(commands::acls::create_network_acl_entry))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("network-acl", "NetworkAclId")]))
        .without_effect(&[("RuleAction", NO_PACKETS)]),
    Operation::new("CreateRoute", write!(commands::routes::create_route))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId")]))
        .refusing(&[
            "CarrierGatewayId",
            "CoreNetworkArn",
            "DestinationPrefixListId",
            "EgressOnlyInternetGatewayId",
            "InstanceId",
            "LocalGatewayId",
            "NetworkInterfaceId",
            "OdbNetworkArn",
            "TransitGatewayId",
            "VpcEndpointId",
            "VpcPeeringConnectionId",
        ])
        .without_effect(&[("GatewayId", NO_PUBLIC)]),
    Operation::new("CreateRouteTable", write!(commands::tables::create_route_table))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("route-table", ""), ("vpc", "VpcId")]))
        .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new("CreateSecurityGroup", write!(commands::groups::create_security_group))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("security-group", ""), ("vpc", "VpcId")]))
        .with(&[Tags("TagSpecifications.Tags")]),
    Operation::new("CreateSubnet", write!(commands::subnets::create_subnet))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("subnet", ""), ("vpc", "VpcId")]))
        .with(&[Tags("TagSpecifications.Tags")])
        .refusing(&[
            "Ipv4IpamPoolId",
            "Ipv4NetmaskLength",
            "Ipv6CidrBlock",
            "Ipv6IpamPoolId",
            "Ipv6Native",
            "Ipv6NetmaskLength",
            "OutpostArn",
        ]),
    Operation::new("CreateTags", write!(commands::tags::create_tags))
        .growing()
        .on(tagged)
        .with(&[Tags("Tags")]),
    Operation::new("CreateVpc", write!(commands::vpcs::create_vpc))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("vpc", "")]))
        .with(&[Tags("TagSpecifications.Tags")])
        .refusing(&[
            "AmazonProvidedIpv6CidrBlock",
            "Ipv4IpamPoolId",
            "Ipv4NetmaskLength",
            "Ipv6CidrBlock",
            "Ipv6CidrBlockNetworkBorderGroup",
            "Ipv6IpamPoolId",
            "Ipv6NetmaskLength",
            "Ipv6Pool",
            "VpcEncryptionControl",
        ])
        .without_effect(&[("InstanceTenancy", NO_TENANCY)]),
    Operation::new("DeleteInternetGateway", write!(commands::gateways::delete_internet_gateway))
        .on(|ctx, input| each(ctx, input, &[("internet-gateway", "InternetGatewayId")])),
    Operation::new("DeleteNatGateway", write!(commands::nats::delete_nat_gateway))
        .on(|ctx, input| each(ctx, input, &[("natgateway", "NatGatewayId")])),
    Operation::new("DeleteNetworkAcl", write!(commands::acls::delete_network_acl))
        .on(|ctx, input| each(ctx, input, &[("network-acl", "NetworkAclId")])),
    Operation::new("DeleteNetworkAclEntry", write!(commands::acls::delete_network_acl_entry))
        .on(|ctx, input| each(ctx, input, &[("network-acl", "NetworkAclId")])),
    Operation::new("DeleteRoute", write!(commands::routes::delete_route))
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId")]))
        .refusing(&["DestinationPrefixListId"]),
    Operation::new("DeleteRouteTable", write!(commands::tables::delete_route_table))
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId")])),
    Operation::new("DeleteSecurityGroup", write!(commands::groups::delete_security_group))
        .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")])),
    Operation::new("DeleteSubnet", write!(commands::subnets::delete_subnet))
        .on(|ctx, input| each(ctx, input, &[("subnet", "SubnetId")])),
    Operation::new("DeleteTags", write!(commands::tags::delete_tags))
        .on(tagged)
        .with(&[Member("aws:TagKeys", "Tags.Key")]),
    Operation::new("DeleteVpc", write!(commands::vpcs::delete_vpc))
        .on(|ctx, input| each(ctx, input, &[("vpc", "VpcId")])),
    Operation::new("DescribeAccountAttributes", read!(describe::places::describe_account_attributes)),
    Operation::new("DescribeAddresses", read!(describe::addresses::describe_addresses)),
    Operation::new("DescribeAddressesAttribute", read!(describe::addresses::describe_addresses_attribute)),
    Operation::new("DescribeAvailabilityZones", read!(describe::places::describe_availability_zones))
        .without_effect(&[("AllAvailabilityZones", "there are no zones that one could opt into")]),
    Operation::new("DescribeDhcpOptions", read!(describe::dhcp::describe_dhcp_options)),
    Operation::new("DescribeInternetGateways", read!(describe::gateways::describe_internet_gateways)),
    Operation::new("DescribeNatGateways", read!(describe::nats::describe_nat_gateways)),
    Operation::new("DescribeNetworkAcls", read!(describe::acls::describe_network_acls)),
    Operation::new("DescribeNetworkInterfaces", read!(describe::interfaces::describe_network_interfaces))
        .without_effect(&[(
            "IncludeManagedResources",
            "all that there are belong to tasks, and are shown whether or not it is said",
        )]),
    Operation::new("DescribeRegions", read!(describe::places::describe_regions))
        .without_effect(&[("AllRegions", "the region that the request is for is shown alone")]),
    Operation::new("DescribeRouteTables", read!(describe::tables::describe_route_tables)),
    Operation::new("DescribeSecurityGroupRules", read!(describe::rules::describe_security_group_rules)),
    Operation::new("DescribeSecurityGroups", read!(describe::groups::describe_security_groups)),
    Operation::new("DescribeSubnets", read!(describe::subnets::describe_subnets)),
    Operation::new("DescribeTags", read!(describe::tags::describe_tags)),
    Operation::new("DescribeVpcAttribute", read!(describe::vpcs::describe_vpc_attribute))
        .on(|ctx, input| each(ctx, input, &[("vpc", "VpcId")])),
    Operation::new("DescribeVpcs", read!(describe::vpcs::describe_vpcs)),
    Operation::new("DetachInternetGateway", write!(commands::gateways::detach_internet_gateway))
        .on(|ctx, input| each(ctx, input, &[("internet-gateway", "InternetGatewayId"), ("vpc", "VpcId")])),
    Operation::new("DisassociateAddress", write!(commands::addresses::disassociate_address))
        .refusing(&["PublicIp"]),
    Operation::new("DisassociateRouteTable", write!(commands::tables::disassociate_route_table)),
    Operation::new("ModifySecurityGroupRules", write!(commands::rules::modify_security_group_rules))
        .growing()
        .on(|ctx, input| {
            each(
                ctx,
                input,
                &[
                    ("security-group", "GroupId"),
                    ("security-group-rule", "SecurityGroupRules.SecurityGroupRuleId"),
                ],
            )
        }),
    Operation::new("ModifySubnetAttribute", write!(commands::subnets::modify_subnet_attribute))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("subnet", "SubnetId")]))
        .refusing(&[
            "CustomerOwnedIpv4Pool",
            "DisableLniAtDeviceIndex",
            "EnableLniAtDeviceIndex",
            "MapCustomerOwnedIpOnLaunch",
        ])
        .without_effect(&[
            ("AssignIpv6AddressOnCreation", NO_V6),
            ("EnableDns64", NO_V6),
            ("EnableResourceNameDnsAAAARecordOnLaunch", NO_V6),
            ("EnableResourceNameDnsARecordOnLaunch", NO_NAMES),
            ("MapPublicIpOnLaunch", NO_PUBLIC),
            ("PrivateDnsHostnameTypeOnLaunch", NO_NAMES),
        ]),
    Operation::new("ModifyVpcAttribute", write!(commands::vpcs::modify_vpc_attribute))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("vpc", "VpcId")]))
        .without_effect(&[("EnableNetworkAddressUsageMetrics", "metrics are not built")]),
    Operation::new("ReleaseAddress", write!(commands::addresses::release_address))
        .on(|ctx, input| each(ctx, input, &[("elastic-ip", "AllocationId")]))
        .without_effect(&[("NetworkBorderGroup", "there is one in each region")]),
    Operation::new("ReplaceNetworkAclAssociation", write!(commands::acls::replace_network_acl_association))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("network-acl", "NetworkAclId")]))
        .without_effect(&[("NetworkAclId", NO_PACKETS)]),
    Operation::new("ReplaceNetworkAclEntry", write!(commands::acls::replace_network_acl_entry))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("network-acl", "NetworkAclId")]))
        .without_effect(&[("RuleAction", NO_PACKETS)]),
    Operation::new("ReplaceRoute", write!(commands::routes::replace_route))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId")]))
        .refusing(&[
            "CarrierGatewayId",
            "CoreNetworkArn",
            "DestinationPrefixListId",
            "EgressOnlyInternetGatewayId",
            "InstanceId",
            "LocalGatewayId",
            "LocalTarget",
            "NetworkInterfaceId",
            "OdbNetworkArn",
            "TransitGatewayId",
            "VpcEndpointId",
            "VpcPeeringConnectionId",
        ])
        .without_effect(&[("GatewayId", NO_PUBLIC)]),
    Operation::new("ReplaceRouteTableAssociation", write!(commands::tables::replace_route_table_association))
        .growing()
        .on(|ctx, input| each(ctx, input, &[("route-table", "RouteTableId")])),
    Operation::new("RevokeSecurityGroupEgress", write!(commands::rules::revoke_security_group_egress))
        .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")])),
    Operation::new("RevokeSecurityGroupIngress", write!(commands::rules::revoke_security_group_ingress))
        .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")])),
    Operation::new(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        write!(commands::rules::update_security_group_rule_descriptions_egress),
    )
    .growing()
    .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")])),
    Operation::new(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        write!(commands::rules::update_security_group_rule_descriptions_ingress),
    )
    .growing()
    .on(|ctx, input| each(ctx, input, &[("security-group", "GroupId")])),
];

#[cfg(test)]
mod tests;
