"""Which packets reach tasks of mode awsvpc: security groups, as they are and as they change, and VPCs that know nothing of each other."""

import subprocess
import sys

import pytest

from harness import CLUSTER, SLEEP, container, until

PORT = 8080
SERVE = f"mkdir /tmp/www; echo here > /tmp/www/index.html; httpd -p {PORT} -h /tmp/www; {SLEEP}"
# Tries to connect, in the network of a task.
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()"


@pytest.fixture(scope="module")
def ec2(roadstead):
    return roadstead.client("ec2")


@pytest.fixture(scope="module")
def definition(roadstead):
    return roadstead.define("packets", container(script=SERVE), networkMode="awsvpc")


class Task:
    """A task that runs, and its address."""

    def __init__(self, roadstead, definition, subnet, groups):
        network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": groups}}
        self.subnet, self.arn = subnet, roadstead.run(definition, networkConfiguration=network)[0]
        shown = roadstead.running(self.arn)
        details = {one["name"]: one["value"] for one in shown["attachments"][0]["details"]}
        self.address = details["privateIPv4Address"]
        self.pid = roadstead.first(self.arn, "main")

    def reaches(self, other, port=PORT):
        """Whether it can connect to another task, or an address."""
        return reaches(self.pid, getattr(other, "address", other), port)


def reaches(pid, address, port=PORT):
    """Whether a process's network lets one connect to an address."""
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", CONNECT, address, str(port)]
    return subprocess.run(inside, stderr=subprocess.DEVNULL).returncode == 0


def rule(port=PORT, **whom):
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **whom}]


def group(ec2, vpc, name):
    return ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]


@pytest.fixture(scope="module")
def vpc(ec2):
    return ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]


def subnet_of_host(roadstead, ec2, vpc):
    arn, = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    host, = roadstead.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=[arn])["containerInstances"]
    zone = {a["name"]: a.get("value") for a in host["attributes"]}["ecs.availability-zone"]
    there = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "availability-zone", "Values": [zone]}]
    subnet, = ec2.describe_subnets(Filters=there)["Subnets"]
    return subnet


@pytest.fixture(scope="module")
def tasks(roadstead, ec2, vpc, definition):
    """A server that a group may reach, a client of that group, and a stranger."""
    server, clients, others = (group(ec2, vpc, name) for name in ("server", "clients", "others"))
    ec2.authorize_security_group_ingress(
        GroupId=server, IpPermissions=rule(UserIdGroupPairs=[{"GroupId": clients}]))
    subnet = subnet_of_host(roadstead, ec2, vpc)["SubnetId"]
    made = {name: Task(roadstead, definition, subnet, [of])
            for name, of in (("server", server), ("client", clients), ("stranger", others))}
    return made | {"groups": (server, clients, others)}


def test_a_group_says_who_comes_in(tasks):
    server, client, stranger = tasks["server"], tasks["client"], tasks["stranger"]
    until(lambda: client.reaches(server), what="the client reaches the server")
    assert not stranger.reaches(server)
    assert not server.reaches(client), "nothing is said of that way"
    assert not client.reaches(server, PORT + 1)


def test_a_change_holds_at_once_and_for_what_runs(roadstead, ec2, definition, tasks):
    server, client, stranger = tasks["server"], tasks["client"], tasks["stranger"]
    own, clients, _ = tasks["groups"]
    stranger_only = rule(IpRanges=[{"CidrIp": f"{stranger.address}/32"}])
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=stranger_only)
    until(lambda: stranger.reaches(server), what="a block of one address lets it in")
    ec2.revoke_security_group_ingress(GroupId=own, IpPermissions=stranger_only)
    until(lambda: not stranger.reaches(server), what="it does so no more")
    newcomer = Task(roadstead, definition, client.subnet, [clients])
    until(lambda: newcomer.reaches(server), what="who joins the group is let in")
    roadstead.stop(newcomer.arn)
    assert client.reaches(server)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=clients, IpPermissions=everything)
    until(lambda: not client.reaches(server), what="and nothing goes out that must not")
    ec2.authorize_security_group_egress(GroupId=clients, IpPermissions=everything)
    until(lambda: client.reaches(server), what="it may again")


def test_packets_go_on_while_the_program_is_away(roadstead, tasks):
    server, client, stranger = tasks["server"], tasks["client"], tasks["stranger"]
    roadstead.kill()
    assert client.reaches(server) and not stranger.reaches(server)
    roadstead.up()
    assert client.reaches(server) and not stranger.reaches(server)


def test_equal_addresses_in_two_vpcs_do_not_meet(roadstead, ec2, vpc, definition, tasks):
    zone = subnet_of_host(roadstead, ec2, vpc)["AvailabilityZone"]
    other_vpc = ec2.create_vpc(CidrBlock="172.31.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=other_vpc, CidrBlock="172.31.0.0/16", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    both = group(ec2, other_vpc, "all")
    ec2.authorize_security_group_ingress(GroupId=both, IpPermissions=rule(IpRanges=[{"CidrIp": "0.0.0.0/0"}]))
    one, other = (Task(roadstead, definition, subnet, [both]) for _ in range(2))
    until(lambda: one.reaches(other), what="those of one VPC reach each other")
    assert not one.reaches(tasks["server"]) and not tasks["client"].reaches(other)
    assert not one.reaches("169.254.169.254", 80) and not one.reaches("127.0.0.1", 4566)
    for task in (one, other):
        roadstead.stop(task.arn)
        roadstead.stopped(task.arn)
    ec2.delete_security_group(GroupId=both)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=other_vpc)


def test_nothing_is_left_of_them(roadstead, ec2, tasks):
    for name in ("server", "client", "stranger"):
        roadstead.stop(tasks[name].arn)
    for name in ("server", "client", "stranger"):
        roadstead.stopped(tasks[name].arn)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    server, clients, others = tasks["groups"]
    for one in (server, clients, others):
        ec2.delete_security_group(GroupId=one)
