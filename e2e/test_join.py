"""Hosts that join by a token: each in a network namespace of its own, over TLS, with real tasks; and what they are refused."""

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess

import boto3
import botocore.config
import botocore.exceptions
import pytest

import harness
from harness import BIN, CLUSTER, REGION, SLEEP, container, until

# A network of our own on this host: of two of these the last number is the control plane's and the host's.
NETWORK = f"10.213.{os.getpid() % 250}"


class Wire:
    """A network namespace that is a host with an address of its own, and a cable to this one."""

    made = 0

    def __init__(self):
        Wire.made += 1
        self.name = f"rsj{os.getpid() % 100000}-{Wire.made}"
        self.ours, self.theirs = (f"{NETWORK}.{4 * Wire.made + end}" for end in (1, 2))
        self.cable = f"rsj{os.getpid() % 100000}{Wire.made}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "address", "add", f"{self.ours}/30", "dev", self.cable)
        run("ip", "link", "set", self.cable, "up")
        for command in (f"address add {self.theirs}/30 dev eth0", "link set eth0 up", "link set lo up",
                        f"route add default via {self.ours}"):
            run("ip", "-n", self.name, *command.split())
        # Its network alone: what `ip netns exec` does to /sys hides the control groups.
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]

    def destroy(self):
        subprocess.run(["ip", "link", "del", self.cable], check=False)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wires():
    made = []

    def wire():
        made.append(Wire())
        return made[-1]

    yield wire
    for one in made:
        one.destroy()


@pytest.fixture(scope="module")
def wire(wires):
    return wires()


@pytest.fixture(scope="module")
def server(fresh, wire):
    port = harness.held_port()
    server = fresh(f'[server]\nnames = ["{wire.ours}"]\n[tls]\nlisten = "0.0.0.0:{port.getsockname()[1]}"\n', start=False)
    port.close()
    server.tls_port = port_of(server)
    server.secure = f"https://{wire.ours}:{server.tls_port}"
    server.start("server")
    server.ready_line = until(server.said_ready, what="ready")
    server.ca = server.data / "tls/ca.pem"
    return server


def port_of(server):
    return int(re.search(r"listen = \"0.0.0.0:(\d+)\"", server.config.read_text()).group(1))


def token(server, *flags):
    return server.cli("token", "create", *flags).stdout.strip()


def listed(server):
    return {one["id"]: one for one in map(json.loads, server.cli("token", "list", "--json").stdout.splitlines())}


def start(host, wire, *flags, env=None):
    """Has an agent run in a namespace."""
    argv = [*wire.enter, BIN, "agent", *host.settings(), *flags]
    with open(host.log, "ab") as log:
        host.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                        env={"RUST_LOG": harness.LOG, "NO_COLOR": "1", "PATH": os.environ["PATH"], **(env or {})})
    return host


def refused(host, wire, *flags, env=None):
    """What an agent says that ends by itself."""
    before = host.log.stat().st_size if host.log.exists() else 0
    start(host, wire, *flags, env=env)
    assert host.process.wait(harness.PATIENCE) == 1, host.log_tail()
    return host.log.read_text(errors="replace")[before:]


def connected(server):
    arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    found = server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns) if arns else {"containerInstances": []}
    return [one["containerInstanceArn"] for one in found["containerInstances"] if one["agentConnected"]]


@pytest.fixture(scope="module")
def joined(server, fresh, wire):
    """A host that has joined, and runs."""
    host = fresh("[agent]\n", start=False)
    host.token = token(server)
    start(host, wire, "--join", host.token)
    until(lambda: connected(server), what=Told(host, "the agent connects"))
    return host


class Told:
    def __init__(self, host, what):
        self.host, self.what = host, what

    def __str__(self):
        return f"{self.what}\n{self.host.log_tail()}"


def test_the_listener_speaks_tls_to_clients(server):
    def client(**more):
        return boto3.client("ecs", endpoint_url=server.secure, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test", config=botocore.config.Config(retries={"max_attempts": 0}), **more)

    assert client(verify=str(server.ca)).list_clusters()["clusterArns"]
    with pytest.raises(botocore.exceptions.SSLError):
        client().list_clusters()
    listed = server.aws("ecs", "list-clusters", AWS_ENDPOINT_URL=server.secure, AWS_CA_BUNDLE=str(server.ca))
    assert any(arn.endswith(f"/{CLUSTER}") for arn in listed["clusterArns"])
    # As strict as Python can be, and by each name.
    context = ssl.create_default_context(cafile=server.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name in ("localhost", "127.0.0.1", server.secure.split("/")[2].split(":")[0]):
        with socket.create_connection(("127.0.0.1", server.tls_port)) as tcp, context.wrap_socket(tcp, server_hostname=name) as tls:
            assert tls.selected_alpn_protocol() == "h2" and tls.version() == "TLSv1.3"
    if shutil.which("curl"):
        done = subprocess.run(["curl", "-sS", "--http2", "--cacert", server.ca, "-w", " %{http_version}", f"{server.secure}/health"],
                              capture_output=True, text=True, check=True)
        assert done.stdout == '{"status":"ok"} 2', done
    assert f" tls=0.0.0.0:{server.tls_port}" in server.ready_line
    modes = {name: (server.data / name).stat().st_mode & 0o777 for name in ("tls", "tls/authority.json", "tls/ca.pem")}
    assert modes == {"tls": 0o700, "tls/authority.json": 0o600, "tls/ca.pem": 0o644}


def test_a_host_joins_and_runs_a_task(server, joined, wire):
    arn = server.run(server.define("joined", container(script=SLEEP)))[0]
    server.reach(arn, "RUNNING")
    pid = until(lambda: joined.first(arn, "main"), what="its process")
    assert os.readlink(f"/proc/{joined.process.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    # All that it says goes over TLS: nothing of it reaches the plain port, which is on loopback.
    assert (joined.data / "agent/joined.json").stat().st_mode & 0o777 == 0o600
    kept = json.loads((joined.data / "agent/joined.json").read_text())
    assert kept["endpoint"] == server.secure and kept["access_key_id"].startswith("RSOP")
    assert (joined.data / "agent/ca.pem").read_text() == server.ca.read_text()
    assert not (joined.data / "agent/joining.json").exists()
    # The key speaks for its own container instance alone.
    own = server.client("ecs", kept["access_key_id"], kept["secret_access_key"])
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        own.list_clusters()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    # From then on it needs no token; the task goes on meanwhile.
    joined.kill()
    until(lambda: not connected(server), what="it is gone")
    start(joined, wire)
    until(lambda: connected(server), what=Told(joined, "it is back"))
    assert joined.first(arn, "main") == pid
    # The old token may stay in its unit.
    joined.kill()
    until(lambda: not connected(server), what="it is gone")
    start(joined, wire, env={"ROADSTEAD_JOIN": joined.token})
    until(lambda: connected(server), what=Told(joined, "it is back"))
    server.stop(arn)
    server.stopped(arn)
    secret = joined.token[4:]
    for log in (joined.log, server.log):
        assert secret not in log.read_text(errors="replace") and kept["secret_access_key"] not in log.read_text(errors="replace")


def test_a_token_that_is_not_good_changes_nothing(server, joined, fresh, wire, clock):
    host = fresh("[agent]\n", start=False)
    kept = host.data / "agent/joined.json"
    assert "the token was used at" in refused(host, wire, "--join", joined.token)
    assert "the token is damaged or cut short" in refused(host, wire, "--join", joined.token[:-20])
    assert "this is no token" in refused(host, wire, "--join", "K10abc")
    other = token(server, "--cluster", CLUSTER)
    id = next(id for id, one in listed(server).items() if one["status"] == "waits")
    assert server.cli("token", "revoke", id).stdout == f"revoked {id}\n"
    assert "the token was revoked" in refused(host, wire, "--join", other)
    other = token(server, "--ttl", "1s")
    until(lambda: any(one["status"] == "expired" for one in listed(server).values()), what="its end")
    assert "the token ended at" in refused(host, wire, "--join", other)
    other = token(server, "--ttl", "1h")
    id = next(id for id, one in listed(server).items() if one["status"] == "waits")
    # A clock that is an hour behind, within which certificates are good, and one that is a year behind or ahead.
    for seconds, said in ((-1800, "this host's clock is 18"), (-400 * 86400, "the control plane's certificate begins at"),
                          (400 * 86400, "the control plane's certificate ended at")):
        clock.set(seconds)
        assert said in refused(host, wire, "--join", other, env=clock.env), said
        assert listed(server)[id]["status"] == "waits"
    clock.set(0)
    # Somebody else at the same address.
    stranger = swapped(other, "a", ["0" * 64])
    assert "the control plane's CA is not the one that the token names" in refused(host, wire, "--join", stranger)
    elsewhere = swapped(other, "e", server.secure.replace(server.secure.split(":")[2], "1"))
    assert "Connection refused" in refused(host, wire, "--join", elsewhere)
    assert listed(server)[id]["status"] == "waits" and not kept.exists()
    with pytest.raises(AssertionError):
        server.cli("token", "create", "--endpoint", "https://elsewhere.example:1")
    # It is as good as it was.
    before = len(connected(server))
    start(host, wire, "--join", other)
    until(lambda: len(connected(server)) == before + 1, what=Told(host, "it joins after all"))
    assert listed(server)[id]["status"] == "used"
    host.terminate()
    until(lambda: len(connected(server)) == before, what="it is gone")


def swapped(token, member, value):
    """A token with something else in it."""
    body = token[4:]
    inner = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    inner[member] = value
    return "rs1." + base64.urlsafe_b64encode(json.dumps(inner).encode()).decode().rstrip("=")


def test_another_ca_takes_over_and_hosts_follow(server, joined, wire):
    before = server.ca.read_text()
    server.cli("tls", "rotate", "--overlap", "12h")
    until(lambda: server.ca.read_text().count("BEGIN") == 2, what="both are told")
    assert server.cli("tls", "show").stdout.count("signs from") == 1
    trusted = joined.data / "agent/ca.pem"

    def hears():
        # The control plane looks every two seconds; the agent hears when it connects.
        joined.kill()
        before = len(joined.log.read_bytes())
        start(joined, wire)
        until(lambda: b"ACS connected" in joined.log.read_bytes()[before:], what=Told(joined, "it connects"))
        return trusted.read_text() == server.ca.read_text()

    until(hears, what=Told(joined, "the agent trusts both"))
    connection = ssl.create_default_context(cafile=server.ca)
    with socket.create_connection(("127.0.0.1", server.tls_port)) as tcp, connection.wrap_socket(tcp, server_hostname="localhost") as tls:
        server.cli("tls", "rotate", "--overlap", "0s")
        until(lambda: presents(server, server.ca), what="the new one signs")
        # Who was connected stays connected.
        tls.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in tls.recv(4096)
    assert server.ca.read_text().count("BEGIN") == 1 and server.ca.read_text() not in before
    assert connected(server)
    until(hears, what=Told(joined, "the agent trusts the new one alone"))
    # A host that heard nothing is told what to do.
    trusted.write_text(before)
    joined.kill()
    start(joined, wire)
    until(lambda: "of no CA that this host trusts" in joined.log_tail(50), what=Told(joined, "it says so"))
    joined.kill()
    trusted.write_text(server.ca.read_text())
    start(joined, wire)
    until(lambda: connected(server), what=Told(joined, "it is back"))


def presents(server, ca):
    """Whether the certificate of the day is by this CA."""
    context = ssl.create_default_context(cafile=ca)
    with contextlib.suppress(ssl.SSLError), socket.create_connection(("127.0.0.1", server.tls_port)) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost"):
            return True
    return False


def test_files_of_an_operator_are_read_again(fresh, wire, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    authority = Pki(folder)
    authority.give("one", wire.ours)
    sock = harness.held_port()
    port = sock.getsockname()[1]
    sock.close()
    server = fresh(f'[server]\nnames = ["{wire.ours}"]\n[tls]\nlisten = "{wire.ours}:{port}"\n'
                   f'certificate = "{folder}/server.pem"\nkey = "{folder}/server.key"\nauthority = "{folder}/ca.pem"\n', start=False)
    server.start("server")
    until(server.said_ready, what="ready")

    def serial():
        pem = ssl.get_server_certificate((wire.ours, port))
        done = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True)
        return done.stdout.strip().split("= ")[-1].split("=")[-1]

    assert serial() == "one"
    host = fresh("[agent]\n", start=False)
    start(host, wire, "--join", server.cli("token", "create").stdout.strip())
    until(lambda: connected(server), what=Told(host, "the agent connects"))
    (folder / "server.key").write_text("nothing")
    until(lambda: "the certificate stays as it was" in server.log_tail(), what="it says so")
    assert serial() == "one" and connected(server)
    authority.give("two", wire.ours)
    until(lambda: serial() == "two", what="the new one")
    assert connected(server)
    host.terminate()


class Pki:
    """A CA of an operator."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                     "-out", "ca.pem", "-subj", "/CN=operator", "-days", "30")

    def openssl(self, *argv):
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)

    def give(self, name, address):
        (self.folder / "ext").write_text(f"subjectAltName=IP:{address},DNS:localhost\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "new.key", "-out", "new.csr",
                     "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "10",
                     "-extfile", "ext", "-out", "new.pem")
        for kind in ("key", "pem"):
            (self.folder / f"new.{kind}").rename(self.folder / f"server.{kind}")
