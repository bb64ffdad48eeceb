"""Names that tasks of mode awsvpc find: their own, each other's, those of their containers, and what a name server of the host knows; with
the control plane away too, and when the agent is back."""

import socket
import struct
import subprocess
import sys
import threading

import pytest

from harness import CLUSTER, SLEEP, container, until
from test_packets import group, subnet_of_host
from test_static import connected

A, PTR = 1, 12
EVERYWHERE = "169.254.169.253"
# Asks in the network of a task: server, name, type. Says the code, and of each record TTL and data in hexadecimal digits.
ASK = """
import socket, struct, sys
server, name, kind, way = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
asked = struct.pack(">6H", 4711, 0x100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack(">2H", kind, 1)
if way == "tcp":
    s = socket.create_connection((server, 53), timeout=8)
    s.sendall(struct.pack(">H", len(asked)) + asked)
    reply = s.makefile("rb").read(struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))[0])
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(float(sys.argv[5]))
    s.connect((server, 53))
    s.send(asked)
    reply = s.recv(4096)
number, flags, _, count, _, _ = struct.unpack(">6H", reply[:12])
assert number == 4711 and flags & 0x8000
print(flags & 15)
at = len(asked)
for _ in range(count):
    while reply[at] and reply[at] < 192:
        at += 1 + reply[at]
    at += 2 if reply[at] else 1
    ttl, length = struct.unpack(">IH", reply[at + 4:at + 10])
    print(ttl, reply[at + 10:at + 10 + length].hex())
    at += 10 + length
"""


class NameServer:
    """A name server of the host: every name below example.com is 192.0.2.7, and others are not there."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                asked, whom = self.socket.recvfrom(4096)
            except OSError:
                return
            end = asked.index(b"\0", 12) + 5
            labels, at = [], 12
            while asked[at]:
                labels.append(asked[at + 1:at + 1 + asked[at]].decode())
                at += 1 + asked[at]
            name = ".".join(labels)
            self.asked.append(name)
            known = name.endswith("example.com")
            head = asked[:2] + struct.pack(">5H", 0x8180 if known else 0x8183, 1, int(known), 0, 0)
            record = struct.pack(">3HIH", 0xC00C, A, 1, 300, 4) + bytes([192, 0, 2, 7]) if known else b""
            self.socket.sendto(head + asked[12:end] + record, whom)


@pytest.fixture(scope="module")
def upstream():
    server = NameServer()
    yield server
    server.socket.close()


@pytest.fixture(scope="module")
def server(fresh):
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    return server


@pytest.fixture(scope="module")
def agent(server, fresh, upstream):
    agent = fresh(f'[agent]\ndns_upstream = ["127.0.0.1:{upstream.port}"]\n', start=False)
    agent.flags = ["--endpoint", server.endpoint]
    agent.env = agent.environment()
    agent.start("agent")
    until(lambda: connected(server), what="the agent is there")
    return agent


class Task:
    """A task that runs: its address, its name, and what it finds."""

    def __init__(self, server, agent, subnet, groups):
        definition = server.define("named", container(script=SLEEP), container("side", SLEEP), networkMode="awsvpc")
        network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": groups}}
        self.arn, = server.run(definition, networkConfiguration=network)
        details = {one["name"]: one["value"] for one in server.running(self.arn)["attachments"][0]["details"]}
        self.address, self.name = details["privateIPv4Address"], details.get("privateDnsName")
        self.pid = agent.first(self.arn, "main")

    def ask(self, name, kind=A, server=EVERYWHERE, way="udp", patience=8):
        """The code and the records; None where nobody answers."""
        inside = ["nsenter", f"--net=/proc/{self.pid}/ns/net", sys.executable, "-c", ASK, server, name, str(kind), way, str(patience)]
        done = subprocess.run(inside, capture_output=True, text=True)
        if done.returncode:
            assert "timed out" in done.stderr or "refused" in done.stderr, done.stderr
            return None
        code, *records = done.stdout.splitlines()
        return int(code), [(int(record.split()[0]), bytes.fromhex(record.split()[1])) for record in records]

    def finds(self, name, **how):
        """The address of a name."""
        answer = self.ask(name, **how)
        return answer and [socket.inet_ntoa(data) for _, data in answer[1]]

    def inside(self, *argv):
        """What a program of the container's image says."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--root", "--wd=/", *argv]
        return subprocess.run(inside, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def ec2(server):
    return server.client("ec2")


@pytest.fixture(scope="module")
def vpc(ec2):
    return ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]


@pytest.fixture(scope="module")
def tasks(server, agent, ec2, vpc):
    """Two tasks whose security group lets nothing through, in either direction."""
    own = group(ec2, vpc, "closed")
    ec2.revoke_security_group_egress(GroupId=own, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    subnet = subnet_of_host(server, ec2, vpc)["SubnetId"]
    return [Task(server, agent, subnet, [own]) for _ in range(2)]


def test_names_follow_from_addresses_and_lead_back(tasks):
    one, other = tasks
    for task in tasks:
        assert task.name == f"ip-{task.address.replace('.', '-')}.ec2.internal"
        for server in ("172.31.0.2", EVERYWHERE):
            for way in ("udp", "tcp"):
                assert one.finds(task.name, server=server, way=way) == [task.address], (server, way)
    back = ".".join(reversed(other.address.split("."))) + ".in-addr.arpa"
    (code, [(ttl, data)]) = one.ask(back, PTR)
    assert (code, ttl) == (0, 60) and other.name.split(".")[0].encode() in data
    assert one.ask("nobody.ec2.internal") == (3, [])
    assert one.ask("ip-10-9-9-9.ec2.internal") == (3, [])


def test_a_container_finds_what_its_files_say(tasks):
    one, other = tasks
    assert one.inside("/bin/cat", "/etc/resolv.conf").splitlines()[:2] == ["nameserver 172.31.0.2", "search ec2.internal"]
    hosts = [line.split() for line in one.inside("/bin/cat", "/etc/hosts").splitlines()]
    assert [one.address, one.name] in hosts
    assert ["127.0.0.1", "main"] in hosts and ["127.0.0.1", "side"] in hosts
    assert other.address in one.inside("/bin/nslookup", other.name)


def test_others_are_asked_once_for_what_is_not_known(tasks, upstream):
    one, other = tasks
    code, [(ttl, data)] = one.ask("www.example.com")
    assert (code, ttl, data) == (0, 300, bytes([192, 0, 2, 7]))
    code, [(ttl, data)] = other.ask("WWW.example.com")
    assert code == 0 and 290 < ttl <= 300 and data == bytes([192, 0, 2, 7])
    assert upstream.asked.count("www.example.com") == 1
    assert one.ask("www.example.org") == (3, [])
    assert not [name for name in upstream.asked if name.endswith(("ec2.internal", "arpa"))]


def test_names_are_found_while_the_control_plane_is_away(server, agent, tasks, upstream):
    one, other = tasks
    server.kill()
    assert one.finds(other.name) == [other.address]
    assert one.finds("away.example.com") == ["192.0.2.7"]
    agent.kill()
    agent.start("agent")
    until(lambda: one.finds(other.name, patience=1) == [other.address], what="the agent answers again, still without it")
    assert one.finds("again.example.com") == ["192.0.2.7"]
    server.start("server")
    until(server.said_ready, what="ready")
    until(lambda: connected(server), what="the agent is there")
    assert one.finds(other.name) == [other.address]


def test_a_vpc_may_be_without(server, tasks, ec2, vpc):
    one, other = tasks
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    until(lambda: one.ask(other.name, patience=1) is None, what="nobody answers")
    assert one.ask(other.name, server="172.31.0.2", patience=1) is None
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    until(lambda: one.finds(other.name, patience=1) == [other.address], what="it is answered again")


def test_another_vpc_has_its_own_names(server, agent, ec2, tasks):
    zone = subnet_of_host(server, ec2, ec2.describe_vpcs()["Vpcs"][0]["VpcId"])["AvailabilityZone"]
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    third = Task(server, agent, subnet, [group(ec2, vpc, "third")])
    named = f"ip-{third.address.replace('.', '-')}.ec2.internal"
    assert third.finds(named, server="10.7.0.2") == [third.address]
    assert third.ask(tasks[0].name) == (3, []) and tasks[0].ask(named) == (3, [])
    assert third.inside("/bin/cat", "/etc/resolv.conf").startswith("nameserver 10.7.0.2\n")
    server.stop(third.arn)
    server.stopped(third.arn)
    server.stop(tasks[0].arn)
    server.stop(tasks[1].arn)
    for task in tasks:
        server.stopped(task.arn)
