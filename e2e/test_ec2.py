"""Networks of EC2, as boto3, the AWS CLI and Terraform make, change and destroy them."""

import botocore.exceptions
import pytest

from harness import CLUSTER, WEB, until
from test_clients import terraform  # noqa: F401 (a fixture)
from test_fargate import instances, public_address, says

ANYWHERE = [{"CidrIp": "0.0.0.0/0"}]


@pytest.fixture(scope="module")
def ec2(roadstead):
    return roadstead.client("ec2")


def refused(call, **members):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def by(name, *values):
    return [{"Name": name, "Values": list(values)}]


def test_what_tools_look_for_is_there_from_the_start(ec2):
    vpc, = ec2.describe_vpcs(Filters=by("isDefault", "true"))["Vpcs"]
    assert (vpc["CidrBlock"], vpc["State"], vpc["IsDefault"]) == ("172.31.0.0/16", "available", True)
    subnets = ec2.describe_subnets(Filters=by("vpc-id", vpc["VpcId"]))["Subnets"]
    zones = ec2.describe_availability_zones(Filters=by("opt-in-status", "opt-in-not-required"))["AvailabilityZones"]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {zone["ZoneName"] for zone in zones} and len(zones) == 3
    assert all(subnet["MapPublicIpOnLaunch"] and subnet["DefaultForAz"] for subnet in subnets)
    main, = ec2.describe_route_tables(Filters=by("association.main", "true"))["RouteTables"]
    gateway, = ec2.describe_internet_gateways(Filters=by("attachment.vpc-id", vpc["VpcId"]))["InternetGateways"]
    assert [route["GatewayId"] for route in main["Routes"]] == ["local", gateway["InternetGatewayId"]]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": vpc["VpcId"]}]
    group, = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert group["VpcId"] == vpc["VpcId"]
    attributes = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
    assert attributes[0]["AttributeValues"] == [{"AttributeValue": vpc["VpcId"]}]
    options, = ec2.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]])["DhcpOptions"]
    assert {one["Key"] for one in options["DhcpConfigurations"]} == {"domain-name", "domain-name-servers"}


def test_a_network_is_made_found_and_outlives_a_death(roadstead, ec2):
    tags = [{"Key": "Name", "Value": "net <&> é"}]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])["Vpc"]["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZoneId="use1-az2")["Subnet"]["SubnetId"] for n in range(7)]
    ec2.get_waiter("subnet_available").wait(SubnetIds=subnets)
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=by("vpc-id", vpc), PaginationConfig={"PageSize": 5})
    found = [[subnet["SubnetId"] for subnet in page["Subnets"]] for page in pages]
    assert [len(page) for page in found] == [5, 2] and sorted(sum(found, [])) == sorted(subnets)

    group = ec2.create_security_group(VpcId=vpc, GroupName="web", Description="d")["GroupId"]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group])
    everything = {"IpProtocol": "-1", "IpRanges": ANYWHERE}
    assert ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])["Return"]
    v6 = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    assert refused(ec2.revoke_security_group_egress, GroupId=group, IpPermissions=[v6]) == ("InvalidPermission.NotFound", 400)
    rule, = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "TCP", "FromPort": 80, "ToPort": 80, "IpRanges": ANYWHERE}])["SecurityGroupRules"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["CidrIpv4"], rule["IsEgress"]) == ("tcp", 80, "0.0.0.0/0", False)
    own = by("tag:Name", "net*")
    assert [one["VpcId"] for one in ec2.describe_vpcs(Filters=own)["Vpcs"]] == [vpc]

    roadstead.kill()
    roadstead.up()
    assert [(one["VpcId"], one["Tags"]) for one in ec2.describe_vpcs(Filters=own)["Vpcs"]] == [(vpc, tags)]
    shown, = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])["SecurityGroupRules"]
    assert shown == rule

    assert refused(ec2.delete_vpc, VpcId=vpc) == ("DependencyViolation", 400)
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)
    assert refused(ec2.describe_vpcs, VpcIds=[vpc]) == ("InvalidVpcID.NotFound", 400)


def test_gateways_come_and_go(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=[gateway])
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert ec2.describe_addresses_attribute(AllocationIds=[address], Attribute="domain-name")["Addresses"] == []
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    assert nat["State"] == "pending"
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat["NatGatewayId"]])
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGatewayId"])
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    ec2.delete_nat_gateway(NatGatewayId=nat["NatGatewayId"])
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat["NatGatewayId"]])
    shown, = ec2.describe_route_tables(Filters=by("association.subnet-id", subnet))["RouteTables"]
    assert [route["State"] for route in shown["Routes"]] == ["active", "blackhole"]
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_what_is_not_there_is_refused_by_name(roadstead, ec2):
    assert refused(ec2.run_instances, MinCount=1, MaxCount=1) == ("InvalidAction", 400)
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True) == ("DryRunOperation", 412)
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True) == ("InvalidParameterValue", 400)
    assert refused(ec2.describe_vpcs, Filters=by("none", "x")) == ("InvalidParameterValue", 400)
    assert refused(ec2.describe_network_interfaces, NetworkInterfaceIds=["eni-00000000000000000"]) == ("InvalidNetworkInterfaceID.NotFound", 400)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_the_command_line_makes_a_group(roadstead):
    made = roadstead.aws("ec2", "create-security-group", "--group-name", "cli", "--description", "d")["GroupId"]
    roadstead.aws("ec2", "authorize-security-group-ingress", "--group-id", made, "--protocol", "tcp", "--port", "22", "--cidr", "10.0.0.0/8")
    shown = roadstead.aws("ec2", "describe-security-groups", "--group-names", "cli")["SecurityGroups"][0]
    assert [(one["FromPort"], one["IpRanges"]) for one in shown["IpPermissions"]] == [(22, [{"CidrIp": "10.0.0.0/8"}])]
    roadstead.aws("ec2", "create-tags", "--resources", made, "--tags", "Key=Name,Value=x")
    tags = roadstead.aws("ec2", "describe-tags", "--filters", f"Name=resource-id,Values={made}")["Tags"]
    assert tags == [{"Key": "Name", "ResourceId": made, "ResourceType": "security-group", "Value": "x"}]
    roadstead.aws("ec2", "delete-security-group", "--group-id", made)


NETWORK = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" {}
variable "image" {}
variable "cluster" {}
variable "fargate" {}
variable "word" { default = "one" }
variable "port" { default = 80 }
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    ec2 = var.endpoint
    ecs = var.endpoint
    sts = var.endpoint
  }
  default_tags { tags = { made = "by terraform" } }
}
data "aws_availability_zones" "there" {
  state = "available"
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}
data "aws_vpc" "default" { default = true }
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_security_group" "default" {
  vpc_id = data.aws_vpc.default.id
  name   = "default"
}
resource "aws_vpc" "net" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = var.word == "one"
  tags                 = { Name = var.word }
}
resource "aws_subnet" "public" {
  count                   = 3
  vpc_id                  = aws_vpc.net.id
  cidr_block              = cidrsubnet(aws_vpc.net.cidr_block, 4, count.index)
  availability_zone       = data.aws_availability_zones.there.names[count.index]
  map_public_ip_on_launch = var.word == "one"
  tags                    = { Name = "${var.word}-${count.index}" }
}
resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.net.id
  tags   = { Name = var.word }
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.net.id
  tags   = { Name = var.word }
}
resource "aws_route" "out" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.out.id
}
resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.net.id
  route {
    cidr_block     = var.word == "one" ? "0.0.0.0/0" : "192.168.0.0/16"
    nat_gateway_id = aws_nat_gateway.out.id
  }
}
resource "aws_route_table_association" "public" {
  count          = 3
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = var.word == "one" || count.index > 0 ? aws_route_table.public.id : aws_route_table.inline.id
}
resource "aws_eip" "nat" { domain = "vpc" }
resource "aws_nat_gateway" "out" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.out]
}
resource "aws_security_group" "plain" {
  name_prefix = "plain-"
  description = "rules of their own"
  vpc_id      = aws_vpc.net.id
  lifecycle { create_before_destroy = true }
}
resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id = aws_security_group.plain.id
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = var.port
  to_port           = var.port
  ip_protocol       = "tcp"
  description       = var.word
  tags              = { Name = var.word }
}
resource "aws_vpc_security_group_ingress_rule" "own" {
  security_group_id            = aws_security_group.plain.id
  referenced_security_group_id = aws_security_group.inline.id
  ip_protocol                  = "-1"
}
resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.plain.id
  cidr_ipv6         = "::/0"
  ip_protocol       = "-1"
}
resource "aws_security_group" "inline" {
  name   = "inline"
  vpc_id = aws_vpc.net.id
  ingress {
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]
    description = "in"
  }
  ingress {
    from_port = 8
    to_port   = 0
    protocol  = "icmp"
    self      = true
  }
  egress {
    from_port        = 0
    to_port          = 0
    protocol         = "-1"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
  tags = { Name = var.word }
}
resource "aws_security_group_rule" "old" {
  type              = "egress"
  security_group_id = aws_security_group.plain.id
  from_port         = 443
  to_port           = 443
  protocol          = "tcp"
  cidr_blocks       = ["10.0.0.0/8"]
  description       = var.word
}
resource "aws_default_security_group" "none" { vpc_id = aws_vpc.net.id }
resource "aws_default_route_table" "main" {
  default_route_table_id = aws_vpc.net.default_route_table_id
  tags                   = { Name = var.word }
}
resource "aws_default_network_acl" "acl" {
  default_network_acl_id = aws_vpc.net.default_network_acl_id
  subnet_ids             = concat([aws_subnet.public[1].id, aws_subnet.public[2].id], aws_subnet.tasks[*].id)
  ingress {
    protocol   = "-1"
    rule_no    = var.word == "one" ? 100 : 200
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
}
resource "aws_network_acl" "own" {
  vpc_id     = aws_vpc.net.id
  subnet_ids = [aws_subnet.public[0].id]
  egress {
    protocol   = "tcp"
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = var.port
    to_port    = var.port
  }
}
# In the zone of the host.
resource "aws_subnet" "tasks" {
  count             = var.fargate
  vpc_id            = aws_vpc.net.id
  cidr_block        = cidrsubnet(aws_vpc.net.cidr_block, 4, 3)
  availability_zone = "us-east-1a"
}
resource "aws_route_table_association" "tasks" {
  count          = var.fargate
  subnet_id      = aws_subnet.tasks[0].id
  route_table_id = aws_route_table.public.id
}
resource "aws_ecs_task_definition" "web" {
  count                    = var.fargate
  family                   = "terraformed-on-fargate"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  container_definitions = jsonencode([{
    name         = "web"
    image        = var.image
    essential    = true
    command      = ["/bin/sh", "-c", "SCRIPT"]
    portMappings = [{ containerPort = 80, hostPort = 80, protocol = "tcp" }]
  }])
}
resource "aws_ecs_service" "web" {
  count                 = var.fargate
  name                  = "terraformed-on-fargate"
  cluster               = var.cluster
  task_definition       = aws_ecs_task_definition.web[0].arn
  desired_count         = var.word == "one" ? 1 : 2
  launch_type           = "FARGATE"
  platform_version      = "LATEST"
  wait_for_steady_state = true
  network_configuration {
    subnets          = [aws_subnet.tasks[0].id]
    security_groups  = [aws_security_group.plain.id]
    assign_public_ip = true
  }
  depends_on = [aws_route.out, aws_route_table_association.tasks, aws_vpc_security_group_ingress_rule.web]
}
output "vpc" { value = aws_vpc.net.id }
output "subnets" { value = length(data.aws_subnets.default.ids) }
""".replace("SCRIPT", WEB)


def test_terraform_makes_changes_and_destroys_a_network(roadstead, ec2, terraform, tmp_path):  # noqa: F811
    """And in it a service on Fargate, which its group lets in, where this kernel has what interfaces of tasks need."""
    (tmp_path / "main.tf").write_text(NETWORK)
    instance, = instances(roadstead)
    fargate = int(any(attribute["name"] == "ecs.capability.task-eni" for attribute in instance["attributes"]))
    resources, plain = 23 + 4 * fargate, {"fargate": fargate}
    terraform("init", "-no-color")
    apply = ("apply", "-no-color", "-auto-approve")
    said = terraform(*apply, **plain)
    assert f"Apply complete! Resources: {resources} added" in said and "subnets = 3" in said, said
    empty = ("plan", "-no-color", "-detailed-exitcode")  # Anything to do is exit code 2.
    assert "No changes." in terraform(*empty, **plain)
    before = {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    web = tasks_of_service(roadstead) if fargate else set()
    addresses = [public_address(ec2, roadstead.running(arn))["Association"]["PublicIp"] for arn in web]
    assert len(addresses) == fargate
    until(lambda: all(says(address) for address in addresses), what="an answer at its public address")

    changed = {"word": "two", "port": 8080, **plain}
    terraform(*apply, **changed)
    vpc, = ec2.describe_vpcs(Filters=by("tag:Name", "two"))["Vpcs"]
    assert vpc["VpcId"] in before, "it was changed, not made anew"
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in ec2.describe_subnets(Filters=by("vpc-id", vpc["VpcId"]))["Subnets"])
    rule, = ec2.describe_security_group_rules(Filters=by("tag:Name", "two"))["SecurityGroupRules"]
    assert (rule["FromPort"], rule["Description"]) == (8080, "two")
    if fargate:
        now, = roadstead.ecs.describe_services(cluster=CLUSTER, services=["terraformed-on-fargate"])["services"]
        assert now["runningCount"] == 2 and web < tasks_of_service(roadstead), "one more, and the first one stayed"
    until(lambda: not any(says(address) for address in addresses), what="no answer at a port that is closed now")
    assert "No changes." in terraform(*empty, **changed)

    said = terraform("destroy", "-no-color", "-auto-approve", **changed)
    assert f"Destroy complete! Resources: {resources} destroyed" in said, said
    assert not ec2.describe_vpcs(VpcIds=[], Filters=by("tag:made", "by terraform"))["Vpcs"]
    assert ec2.describe_addresses()["Addresses"] == []


def tasks_of_service(roadstead):
    """Of the service on Fargate."""
    return set(roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="terraformed-on-fargate")["taskArns"])
