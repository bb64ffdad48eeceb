"""Agents and their keys: each speaks for its own container instance, whoever dies on the way."""

import contextlib
import json
import shutil
import socket
import stat
import tomllib
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from harness import CLUSTER, REGION, SLEEP, awslogs, container, until

RESOURCES = [{"name": "CPU", "type": "INTEGER", "integerValue": 1024},
             {"name": "MEMORY", "type": "INTEGER", "integerValue": 512}]


class Key:
    """A key pair and what it calls."""

    def __init__(self, roadstead, access_key, secret):
        self.roadstead, self.access_key, self.secret = roadstead, access_key, secret
        self.ecs, self.logs = (roadstead.client(service, access_key, secret) for service in ("ecs", "logs"))

    def register(self, **members):
        """RegisterContainerInstance; the ARN."""
        answer = self.ecs.register_container_instance(cluster=CLUSTER, totalResources=RESOURCES, **members)
        return answer["containerInstance"]["containerInstanceArn"]

    def socket(self, kind, instance):
        """The status and body with which the agents' web socket of this kind is answered."""
        query = {"agentHash": "0", "agentVersion": "1.0.0", "dockerVersion": "1", "protocolVersion": "2", "seqNum": "1",
                 "sendCredentials": "false", "clusterArn": CLUSTER, "containerInstanceArn": instance}
        if kind == "tcs":
            query = {"agentVersion": "1", "agentHash": "0", "dockerVersion": "1", "cluster": CLUSTER, "containerInstance": instance}
        url = f"{self.roadstead.endpoint}/{kind}/ws?{urllib.parse.urlencode(sorted(query.items()))}"
        request = botocore.awsrequest.AWSRequest("GET", url)
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(self.access_key, self.secret), "ecs", REGION).add_auth(request)
        at = urllib.parse.urlsplit(request.url)
        headers = {**dict(request.headers), "Host": at.netloc, "Connection": "Upgrade", "Upgrade": "websocket",
                   "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        lines = [f"GET {at.path}?{at.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        with socket.create_connection((at.hostname, at.port)) as sock:
            sock.sendall("\r\n".join(lines).encode())
            return sock.recv(4096).decode(errors="replace")


@contextlib.contextmanager
def denied():
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException", caught.value


def shared(roadstead):
    keys = tomllib.loads((roadstead.data / "credentials.toml").read_text())["agent"]
    return Key(roadstead, keys["access_key"], keys["secret"])


def own(roadstead, number):
    """A second agent's key, and the document that brings it along."""
    key = Key(roadstead, f"RSAG{number:016}", "s" * 40)
    pair = {"accessKeyId": key.access_key, "secretAccessKey": key.secret}
    return key, json.dumps({"roadstead": pair})


def made(roadstead):
    """A key pair of the operator's."""
    lines = roadstead.cli("agent-key", "create").stdout.split()
    pair = dict(line.split("=", 1) for line in lines)
    return Key(roadstead, pair["AWS_ACCESS_KEY_ID"], pair["AWS_SECRET_ACCESS_KEY"])


def instances(roadstead):
    arns = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    found = roadstead.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns) if arns else {"containerInstances": []}
    return found["containerInstances"]


def connected(roadstead):
    """The ARN of the one container instance whose agent is connected."""
    found = until(lambda: [one for one in instances(roadstead) if one["agentConnected"]], what="an agent")
    assert len(found) == 1
    return found[0]["containerInstanceArn"]


def test_a_key_does_nothing_to_another_host(roadstead):
    """By the key of one agent, by the shared one, by one just made, and by the administrator's."""
    mine = connected(roadstead)
    definition = roadstead.define("victim", container(script=SLEEP, logConfiguration=awslogs("/victim")))
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    agent, document = own(roadstead, 1)
    theirs = shared(roadstead).register(instanceIdentityDocument=document)
    where = {"cluster": CLUSTER}
    for named in (mine, mine.rsplit("/", 1)[-1]):
        for key in (agent, shared(roadstead), made(roadstead), Key(roadstead, "test", "test")):
            for kind in ("acs", "tcs"):
                answer = key.socket(kind, named)
                assert answer.startswith("HTTP/1.1 403 ") and "AccessDeniedException" in answer, answer
            with denied():
                key.register(containerInstanceArn=named, instanceIdentityDocument=document)
            with denied():
                key.ecs.submit_task_state_change(**where, task=arn, status="STOPPED")
            with denied():
                key.ecs.submit_container_state_change(**where, task=arn, containerName="main", status="STOPPED", exitCode=1)
    for key in (agent, shared(roadstead), made(roadstead)):
        with denied():
            key.ecs.update_container_instances_state(**where, containerInstances=[mine], status="DRAINING")
        with denied():
            key.ecs.list_tags_for_resource(resourceArn=arn)
        with denied():
            key.logs.create_log_stream(logGroupName="/victim", logStreamName=f"t/main/{arn.rsplit('/', 1)[-1]}")
        with denied():
            key.logs.create_log_group(logGroupName="/elsewhere")
    assert agent.socket("acs", theirs).startswith("HTTP/1.1 101 ") and agent.socket("tcs", theirs).startswith("HTTP/1.1 101 ")
    roadstead.ecs.deregister_container_instance(**where, containerInstance=theirs)
    assert connected(roadstead) == mine and roadstead.task(arn)["lastStatus"] == "RUNNING"
    roadstead.stop(arn)
    roadstead.stopped(arn)


def test_a_key_of_the_operators_is_for_one_agent(roadstead):
    key = made(roadstead)
    with denied():
        key.ecs.discover_poll_endpoint(cluster=CLUSTER)
    arn = key.register()
    assert key.register(containerInstanceArn=arn) == arn and key.register() == arn
    assert key.ecs.discover_poll_endpoint(cluster=CLUSTER, containerInstance=arn)["endpoint"]
    assert key.socket("acs", arn).startswith("HTTP/1.1 101 ")
    with denied():
        shared(roadstead).register()
    roadstead.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=arn)
    with pytest.raises(botocore.exceptions.ClientError, match="is inactive"):
        key.register()


def test_a_host_is_the_same_however_it_dies(fresh):
    """The program is killed around its first registration, and after; then its ledger, or the state, is lost."""
    roadstead = fresh(start=False)
    for _ in range(5):
        roadstead.start()
        until(lambda: any((roadstead.data / "agent").glob("ledger.db*")) or roadstead.process.poll() is not None)
        roadstead.kill()
    roadstead.up()
    mine = connected(roadstead)
    assert [one["containerInstanceArn"] for one in instances(roadstead)] == [mine]
    for name in ("state.db", "agent/ledger.db"):
        assert stat.S_IMODE((roadstead.data / name).stat().st_mode) == 0o600, name
    roadstead.kill()
    roadstead.up()
    assert connected(roadstead) == mine
    # Deregistered: it comes back as another, when it starts again.
    roadstead.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=mine)
    roadstead.kill()
    roadstead.up()
    second = connected(roadstead)
    assert second != mine
    roadstead.kill()
    for path in (roadstead.data / "agent").glob("ledger.db*"):
        path.unlink()
    roadstead.up()
    assert connected(roadstead) not in (mine, second)


def test_an_agent_is_brought_in_by_any_key_that_may(fresh):
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    for number, key in enumerate((shared(server), made(server), Key(server, "test", "test"))):
        agent = fresh(start=False)
        agent.flags = ["--endpoint", server.endpoint]
        agent.env = agent.environment(AWS_ACCESS_KEY_ID=key.access_key, AWS_SECRET_ACCESS_KEY=key.secret)
        for _ in range(2):
            agent.start("agent")
            until(lambda: [one for one in instances(server) if one["agentConnected"]], what="the agent connects")
            agent.kill()
            until(lambda: not [one for one in instances(server) if one["agentConnected"]], what="it is seen to be gone")
        assert len(instances(server)) == number + 1


@pytest.fixture
def apart(fresh):
    """A control plane without an agent, and what makes agents for it."""
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")

    def agent(instance=None, *flags):
        instance = instance or fresh(start=False)
        instance.flags = ["--endpoint", server.endpoint, *flags]
        instance.env = instance.environment()
        return instance.start("agent")

    return server, agent


def runs_on(server, agent, arn):
    """The pid of a task's container, once it runs."""
    server.reach(arn, "RUNNING")
    until(lambda: agent.first(arn, "main") and agent.heeds(arn, "main"), what="its trap")
    return agent.first(arn, "main")


def arn_of_agent(server):
    found = [one["containerInstanceArn"] for one in instances(server) if one["agentConnected"]]
    return found[0] if len(found) == 1 else None


def test_tasks_of_a_host_that_was_deregistered_by_force_are_orphans(apart):
    """As https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterContainerInstance.html has it: they run on, and
    nobody accounts for them any more; whatever becomes of the agent."""
    server, start = apart
    host = start()
    mine = until(lambda: arn_of_agent(server), what="the agent connects")
    orphan = server.run(server.define("orphan", container(script=SLEEP)))[0]
    pid = runs_on(server, host, orphan)
    server.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=mine, force=True)
    ended = server.stopped(orphan)
    assert ended["stoppedReason"] == "Container Instance Deregistration Forced by User"
    until(lambda: "was deregistered" in host.log_tail(), what="the agent says so")
    for end in (host.kill, host.terminate):
        end()
        assert host.first(orphan, "main") == pid
        host.log.write_text("")
        start(host)
        # It does not become another container instance by itself: that one would have its orphans ended.
        until(lambda: "--begin-anew" in host.log_tail(), what="the agent says what to do")
        assert host.first(orphan, "main") == pid and not arn_of_agent(server)
    host.terminate()
    start(host, "--begin-anew")
    second = until(lambda: arn_of_agent(server), what="it is a container instance again")
    assert second != mine
    until(lambda: not host.pids(orphan, "main"), what="the orphan is ended")
    task = server.run(server.define("next", container(script=SLEEP)))[0]
    runs_on(server, host, task)
    server.stop(task)
    server.stopped(task)


def restore(server, backup):
    """As docs/repair.md says."""
    server.terminate()
    for suffix in ("", "-wal", "-shm"):
        (server.data / f"state.db{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, server.data / "state.db")
    server.start("server")
    until(server.said_ready, what="ready")


def test_a_restored_control_plane_has_what_it_does_not_know_ended(apart, tmp_path):
    """What was started since the backup is not in it; and what it has, goes on. However often the agent has connected."""
    server, start = apart
    host = start()
    until(lambda: arn_of_agent(server), what="the agent connects")
    definition = server.define("web", container(script=SLEEP))
    before = server.run(definition)[0]
    pid = runs_on(server, host, before)
    server.cli("backup", str(tmp_path / "backup"))
    for _ in range(3):
        host.kill()
        until(lambda: not arn_of_agent(server), what="it is seen to be gone")
        start(host)
        until(lambda: arn_of_agent(server), what="the agent connects again")
    since = server.run(definition)[0]
    runs_on(server, host, since)
    restore(server, tmp_path / "backup")
    until(lambda: arn_of_agent(server), what="the agent is back")
    until(lambda: not host.pids(since, "main"), what="what is not in the backup is ended")
    assert server.task(before)["lastStatus"] == "RUNNING" and host.first(before, "main") == pid
    server.stop(before)
    assert server.stopped(before)["containers"][0]["exitCode"] == 0


def test_a_control_plane_restored_from_before_a_host_was_there_ends_nothing(apart, tmp_path):
    """The agent goes on with its tasks, says what to do, and gives them up only when it is told to."""
    server, start = apart
    server.cli("backup", str(tmp_path / "backup"))
    host = start()
    mine = until(lambda: arn_of_agent(server), what="the agent connects")
    task = server.run(server.define("web", container(script=SLEEP)))[0]
    pid = runs_on(server, host, task)
    restore(server, tmp_path / "backup")
    for end in (host.kill, host.terminate):
        end()
        host.log.write_text("")
        start(host)
        until(lambda: "--begin-anew" in host.log_tail(), what="the agent says what to do")
        assert host.first(task, "main") == pid and not instances(server)
    host.terminate()
    start(host, "--begin-anew")
    assert until(lambda: arn_of_agent(server), what="it is a container instance again") != mine
    until(lambda: not host.pids(task, "main"), what="its task is given up")
