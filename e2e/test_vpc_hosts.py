"""Tasks of one VPC on several hosts, each of which is a network namespace with an address of its own on one bridge: who reaches whom,
while tasks come and go, while a host is cut off, and while an agent is dead; and that nothing of it is left."""

import json
import os
import random
import re
import subprocess
import sys

import pytest

import harness
from harness import BIN, CLUSTER, SLEEP, container, until

PORT = 8080
SERVE = f"mkdir /tmp/www; echo here > /tmp/www/index.html; httpd -p {PORT} -h /tmp/www; {SLEEP}"
HOSTS, TASKS = 3, 60
# The underlay: of it .1 is the control plane's, on this machine, and the others are the hosts'.
NETWORK = f"10.214.{os.getpid() % 250}"
MTU = 1450
# Who of these can be connected to, asked all at once, in the network of a task.
PROBE = """
import asyncio, json, sys

async def reaches(to):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(to, int(sys.argv[1])), 1.5)
    except (OSError, asyncio.TimeoutError):
        return None
    writer.close()
    return to

async def main():
    print(json.dumps([to for to in await asyncio.gather(*map(reaches, sys.argv[2:])) if to]))

asyncio.run(main())
"""


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Underlay:
    """A bridge on this machine, and hosts on it."""

    def __init__(self):
        self.mark = f"rsu{os.getpid() % 100000}"
        self.bridge, self.names = f"{self.mark}b", []
        self.own = f"{NETWORK}.1"
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "address", "add", f"{self.own}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def host(self):
        name = f"{self.mark}-{len(self.names)}"
        self.names.append(name)
        address = f"{NETWORK}.{10 + len(self.names)}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "mtu", str(MTU), "type", "veth", "peer", "name", "eth0", "mtu", str(MTU), "netns", name)
        run("ip", "link", "set", name, "master", self.bridge, "up")
        for command in (f"address add {address}/24 dev eth0", "link set eth0 up", "link set lo up", f"route add default via {self.own}"):
            run("ip", "-n", name, *command.split())
        return name, address

    def destroy(self):
        for name in self.names:
            subprocess.run(["ip", "link", "del", name], check=False)
            subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", self.bridge], check=False)


class Host:
    """An agent in a namespace of its own."""

    def __init__(self, underlay, instance):
        self.instance, self.arn = instance, None
        self.name, self.address = underlay.host()
        # Its network alone: what `ip netns exec` does to /sys hides the control groups.
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]

    def start(self, *flags):
        instance = self.instance
        argv = [*self.enter, BIN, "agent", *instance.settings(), *flags]
        with open(instance.log, "ab") as log:
            instance.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={"RUST_LOG": harness.LOG, "NO_COLOR": "1", "PATH": os.environ["PATH"]})

    def cable(self, state):
        run("ip", "link", "set", self.name, state)

    def inside(self, *argv):
        return run(*self.enter, *argv)

    def links(self):
        return set(re.findall(r"^\d+: ([^:@]+)", self.inside("ip", "-o", "link"), re.MULTILINE))


@pytest.fixture(scope="module")
def underlay():
    made = Underlay()
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def server(fresh, underlay):
    port = harness.held_port()
    number = port.getsockname()[1]
    server = fresh(f'[server]\nnames = ["{underlay.own}"]\n[tls]\nlisten = "0.0.0.0:{number}"\n', start=False)
    port.close()
    server.start("server")
    server.ready_line = until(server.said_ready, what="ready")
    return server


@pytest.fixture(scope="module")
def hosts(server, fresh, underlay):
    made = []
    for _ in range(HOSTS):
        before = set(instances(server))
        host = Host(underlay, fresh("[agent]\n", start=False))
        made.append(host)
        host.start("--join", server.cli("token", "create").stdout.strip())
        new = until(lambda before=before: set(instances(server)) - before, what="it joins")
        host.arn, = new
    yield made


def instances(server):
    arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    found = server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"] if arns else []
    return {one["containerInstanceArn"]: one for one in found if one["agentConnected"]}


class World:
    """Tasks of three kinds on all hosts: servers, which clients reach, and strangers, whom nobody does."""

    def __init__(self, server, hosts):
        self.server, self.hosts, self.ec2 = server, hosts, server.client("ec2")
        self.definition = server.define("far", container(script=SERVE, memory=8), networkMode="awsvpc")
        self.vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        zone, = {a["value"] for host in instances(server).values() for a in host["attributes"] if a["name"] == "ecs.availability-zone"}
        there = [{"Name": "vpc-id", "Values": [self.vpc]}, {"Name": "availability-zone", "Values": [zone]}]
        self.subnet = self.ec2.describe_subnets(Filters=there)["Subnets"][0]["SubnetId"]
        self.groups = {kind: self.ec2.create_security_group(VpcId=self.vpc, GroupName=kind, Description=kind)["GroupId"]
                       for kind in ("servers", "clients", "strangers")}
        self.allow = [{"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT,
                       "UserIdGroupPairs": [{"GroupId": self.groups["clients"]}]}]
        self.ec2.authorize_security_group_ingress(GroupId=self.groups["servers"], IpPermissions=self.allow)
        self.tasks = {}

    def start(self, kind, host, count):
        """Tasks of a kind on a host; they need not run yet."""
        network = {"awsvpcConfiguration": {"subnets": [self.subnet], "securityGroups": [self.groups[kind]]}}
        arns = []
        while count > len(arns):
            answer = self.server.ecs.start_task(
                cluster=CLUSTER, taskDefinition=self.definition, containerInstances=[host.arn], networkConfiguration=network)
            assert not answer["failures"], answer
            arns += [task["taskArn"] for task in answer["tasks"]]
        self.tasks |= {arn: (kind, host) for arn in arns}
        return arns

    def stop(self, arns):
        for arn in arns:
            self.server.stop(arn)
            del self.tasks[arn]

    def addresses(self):
        """The addresses of all tasks, by kind and host, once all run."""
        def all_run():
            shown = self.server.tasks(list(self.tasks))
            ended = [task for task in shown if task["lastStatus"] in ("STOPPED", "DEPROVISIONING")]
            assert not ended, ended
            return all(task["lastStatus"] == "RUNNING" for task in shown) and shown

        found = {}
        for task in until(all_run, what="all run"):
            details = {one["name"]: one["value"] for one in task["attachments"][0]["details"]}
            found[details["privateIPv4Address"]] = (*self.tasks[task["taskArn"]], task["taskArn"])
        return found

    def reached(self, arn, addresses):
        """Which of these, but for itself, a task reaches."""
        pid = until(lambda: self.tasks[arn][1].instance.first(arn, "main"), what="its process")
        argv = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", PROBE, str(PORT), *addresses]
        details = {one["name"]: one["value"] for one in self.server.task(arn)["attachments"][0]["details"]}
        return set(json.loads(run(*argv))) - {details["privateIPv4Address"]}

    def check(self, hosts=None, kinds=("clients", "strangers")):
        """From each of these hosts a client reaches all servers on all of them, and nothing else; a stranger reaches nothing."""
        hosts = hosts or self.hosts
        all_of = {address: of for address, of in self.addresses().items() if of[1] in hosts}
        servers = {address for address, (kind, *_) in all_of.items() if kind == "servers"}
        assert {of[1] for of in all_of.values()} == set(hosts) and len(servers) >= len(hosts)
        sources = []
        for host in hosts:
            for kind in kinds:
                arn = random.choice([of[2] for of in all_of.values() if of[:2] == (kind, host)])
                sources.append((arn, servers if kind == "clients" else set()))

        def one(source):
            arn, expected = source
            until(lambda: self.reached(arn, all_of) == expected, what=Differs(self, arn, all_of, expected))

        harness.at_once(one, sources, 3)


class Differs:
    def __init__(self, world, arn, others, expected):
        self.world, self.arn, self.others, self.expected = world, arn, others, expected

    def __str__(self):
        reached = self.world.reached(self.arn, self.others)
        hosts = {address: of[1].name for address, of in self.world.addresses().items()}
        name = lambda all_of: sorted(f"{one} on {hosts.get(one)}" for one in all_of)
        return (f"{self.world.tasks[self.arn][0]} on {self.world.tasks[self.arn][1].name}: too much {name(reached - self.expected)}, "
                f"missing {name(self.expected - reached)}")


@pytest.fixture(scope="module")
def world(server, hosts):
    return World(server, hosts)


def test_one_host_alone_needs_no_link_to_others(world, hosts):
    world.start("servers", hosts[0], 1)
    world.addresses()
    assert "_far" not in hosts[0].inside("nft", "list", "tables")
    shown = hosts[0].inside("ss", "-ulnH")
    assert ":4789 " not in shown, shown


def test_sixty_tasks_on_three_hosts_reach_whom_their_groups_let_them(world, hosts):
    kinds = list(world.groups)
    for number in range(len(world.tasks), TASKS):
        world.start(kinds[number % 3], hosts[number // 3 % HOSTS], 1)
    world.check()
    assert len(world.tasks) == TASKS
    arn = next(iter(world.tasks))
    pid = world.tasks[arn][1].instance.first(arn, "main")
    link = run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "show", "eth0")
    assert f"mtu {MTU - 50}" in link, link
    for host in hosts:
        assert "_far" in host.inside("nft", "list", "tables")


def test_a_change_of_a_group_holds_on_all_hosts(world):
    own = world.groups["servers"]
    world.ec2.revoke_security_group_ingress(GroupId=own, IpPermissions=world.allow)
    addresses = world.addresses()
    clients = [of[2] for of in addresses.values() if of[0] == "clients"][:HOSTS]
    for arn in clients:
        until(lambda arn=arn: not world.reached(arn, addresses), what="nobody is let in")
    world.ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=world.allow)
    world.check(kinds=["clients"])


def test_tasks_come_and_go(world, hosts):
    for _ in range(2):
        # One of each kind stays on each host.
        spare = [arn for arn, of in world.tasks.items() if sum(other == of for other in world.tasks.values()) > 2]
        gone = random.sample(spare, 9)
        kinds = [world.tasks[arn][0] for arn in gone]
        world.stop(gone)
        for kind in kinds:
            world.start(kind, random.choice(hosts), 1)
        world.check()
    for arn in gone:
        world.server.stopped(arn)


def test_a_host_that_is_cut_off_comes_back_to_what_has_changed(world, hosts):
    cut, others = hosts[0], hosts[1:]
    there = {address: of for address, of in world.addresses().items() if of[1] is cut}
    client = next(of[2] for of in there.values() if of[0] == "clients")
    near = {address for address, of in there.items() if of[0] == "servers"}
    cut.cable("down")
    try:
        leaving = [arn for arn, of in world.tasks.items() if of == ("servers", others[0])][:1]
        world.stop(leaving)
        world.start("servers", others[1], 1)
        world.start("clients", others[0], 1)
        world.check(others)
        until(lambda: world.reached(client, there) == near, what=Differs(world, client, there, near))
    finally:
        cut.cable("up")
    world.check()


def test_an_agent_that_is_killed_finds_what_has_changed(world, hosts):
    killed, others = hosts[1], [hosts[0], hosts[2]]
    addresses = world.addresses()
    client = next(of[2] for of in addresses.values() if of[:2] == ("clients", killed))
    servers = {address for address, of in addresses.items() if of[0] == "servers"}
    killed.instance.kill()
    until(lambda: world.reached(client, addresses) == servers, what=Differs(world, client, addresses, servers))
    world.start("servers", others[0], 1)
    world.check(others)
    killed.start()
    world.check()


def test_nothing_is_left_of_them(world, hosts, server):
    tasks = list(world.tasks)
    world.stop(tasks)
    for arn in tasks:
        server.stopped(arn)
    assert world.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    for host in hosts:
        ours = lambda host=host: [link for link in host.links() if link.startswith("rw")]
        until(lambda: not ours() and "_far" not in host.inside("nft", "list", "tables"), what="no VPC is left on a host")
        assert ":4789 " not in host.inside("ss", "-ulnH")
        host.instance.terminate()
        host.inside(BIN, "down", *host.instance.settings(), "--purge")
        assert host.links() <= {"lo", "eth0", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0"}, host.links()
        assert host.inside("nft", "list", "ruleset") == ""
    for group in world.groups.values():
        if group != world.groups["clients"]:
            world.ec2.delete_security_group(GroupId=group)
    world.ec2.delete_security_group(GroupId=world.groups["clients"])
