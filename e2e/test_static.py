"""What stands while the control plane is away: tasks, their health, their network; and that it finds all as it is when it returns."""

import os
import signal
import time

import pytest

from harness import CLUSTER, SLEEP, NothingLeft, container, exit_codes, task_id, until
from test_packets import PORT, SERVE, group, reaches, rule

# How long it is away, and how soon all is known again behind its `ready`, in seconds.
AWAY = 600 if os.environ.get("ROADSTEAD_LONG") else 12
RECONCILED = 5
NETWORKED = ("server", "client", "stranger")


@pytest.fixture(scope="module")
def server(fresh):
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    return server


@pytest.fixture(scope="module")
def agent(server, fresh):
    agent = fresh(start=False)
    agent.flags = ["--endpoint", server.endpoint]
    agent.env = agent.environment()
    agent.start("agent")
    until(lambda: connected(server), what="the agent is there")
    return agent


def connected(server):
    arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    told = arns and server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    return [one for one in told or [] if one["agentConnected"]]


def volume(folder):
    return {"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}, [{"name": "v", "host": {"sourcePath": str(folder)}}]


@pytest.fixture(scope="module")
def tasks(server, agent, tmp_path_factory):
    """One of each kind, by name: those with interfaces, one that is watched, one that will end, and two services."""
    folder = tmp_path_factory.mktemp("v")
    mounts, volumes = volume(folder)
    ec2 = server.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    groups = {name: group(ec2, vpc, name) for name in NETWORKED}
    ec2.authorize_security_group_ingress(
        GroupId=groups["server"], IpPermissions=rule(UserIdGroupPairs=[{"GroupId": groups["client"]}]))
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    serving = server.define("serving", container(script=SERVE), networkMode="awsvpc")
    arns = {name: server.run(serving, networkConfiguration={"awsvpcConfiguration": {
        "subnets": subnets, "securityGroups": [groups[name]]}})[0] for name in NETWORKED}
    arns["watched"] = server.run(server.define("watched", container(script=SLEEP, healthCheck={
        "command": ["CMD-SHELL", "echo >> /v/probes; [ ! -e /v/sick ]"], "interval": 5, "retries": 1}, **mounts), volumes=volumes))[0]
    arns["ends"] = server.run(server.define("ends", container(
        script="until [ -e /v/gate ]; do sleep 0.05; done; exit 7", **mounts), volumes=volumes))[0]
    for name in ("stays", "falls"):
        server.ecs.create_service(cluster=CLUSTER, serviceName=name, desiredCount=1,
                                  taskDefinition=server.define(name, container(script=SLEEP)))
        server.wait("services_stable", services=[name])
        arns[name], = of_service(server, name)
    for arn in arns.values():
        server.reach(arn, "RUNNING")
    until(lambda: server.task(arns["watched"])["healthStatus"] == "HEALTHY", what="it is seen to be well")
    return {"arns": arns, "folder": folder}


def of_service(server, name):
    return server.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]


def address(server, arn):
    attachment, = server.task(arn)["attachments"]
    return {one["name"]: one["value"] for one in attachment["details"]}["privateIPv4Address"]


def has_ended(agent, arn):
    """As after a reboot of its host: nothing of the task is left that runs."""
    first = agent.first(arn, "main")
    with open(f"/proc/{first}/stat", encoding="utf-8") as stat:
        supervisor = int(stat.read().rpartition(")")[2].split()[1])
    assert supervisor in agent.processes("supervise")
    for pid in (supervisor, *agent.pids(arn, "main")):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_all_stands_while_the_control_plane_is_away(server, agent, tasks):
    arns, folder = tasks["arns"], tasks["folder"]
    stays = [name for name in arns if name not in ("ends", "falls")]
    before = {name: agent.first(arns[name], "main") for name in stays}
    assert all(before.values())
    serves = address(server, arns["server"])

    def holds():
        assert {name: agent.first(arns[name], "main") for name in stays} == before
        assert reaches(before["client"], serves, PORT) and not reaches(before["stranger"], serves, PORT)

    def probed():
        lines = len((folder / "probes").read_text())
        until(lambda: len((folder / "probes").read_text()) > lines, what="another probe")

    holds()
    server.kill()
    gone = time.monotonic()
    holds()
    probed()
    (folder / "gate").touch()
    until(lambda: not agent.pids(arns["ends"], "main"), what="it ends")
    agent.kill()
    holds()
    has_ended(agent, arns["falls"])
    agent.start("agent")
    probed()
    holds()
    agent.terminate()
    agent.start("agent")
    (folder / "sick").touch()
    probed()
    until(lambda: time.monotonic() - gone > AWAY, timeout=AWAY + 1, what="it was away for long enough")
    assert agent.process.poll() is None, agent.log_tail()
    holds()

    server.start("server")
    until(server.said_ready, what="ready")
    until(lambda: connected(server) and known(server, arns), RECONCILED, what="all is known")
    assert exit_codes(server.task(arns["ends"])) == {"main": 7}
    assert server.task(arns["falls"])["stoppedReason"]
    for name in ("stays", "falls"):
        server.wait("services_stable", services=[name])
    assert of_service(server, "stays") == [arns["stays"]] and arns["falls"] not in of_service(server, "falls")
    holds()
    assert {server.task(arns[name])["lastStatus"] for name in stays} == {"RUNNING"}


def known(server, arns):
    """Whether what became of the tasks has been told."""
    task = {name: server.task(arn) for name, arn in arns.items()}
    return (task["ends"]["lastStatus"] == task["falls"]["lastStatus"] == "STOPPED"
            and task["watched"]["healthStatus"] == "UNHEALTHY")


def test_nothing_is_left_of_them(server, agent, tasks):
    server.delete_services(["stays", "falls"])
    for name in (*NETWORKED, "watched"):
        server.stop(tasks["arns"][name])
        server.stopped(tasks["arns"][name])
    agent.marks = [task_id(arn) for arn in tasks["arns"].values()]
    until(lambda: not agent.left(), what=NothingLeft(agent))
