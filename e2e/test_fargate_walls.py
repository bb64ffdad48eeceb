"""The wall around tasks on Fargate: root in one is nobody on the host, its network is not its own to change, and what it
writes is limited; health checks, logs, stops and a killed agent are as without it."""

from pathlib import Path

import pytest

from harness import CLUSTER, SLEEP, awslogs, container, exit_codes, until

FIRST_ID = 1879048192


@pytest.fixture(scope="module")
def network(roadstead):
    subnets = roadstead.client("ec2").describe_subnets()["Subnets"]
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in subnets]}}


@pytest.fixture(scope="module", autouse=True)
def able(roadstead):
    arns = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    instance, = roadstead.ecs.describe_container_instances(
        cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    names = {attribute["name"]: attribute.get("value") for attribute in instance["attributes"]}
    assert names["roadstead.isolation"] == "namespaces"
    if "ecs.capability.task-eni" not in names:
        pytest.skip("this kernel has not what interfaces of tasks need")


def define(roadstead, family, *containers):
    return roadstead.define(family, *containers, networkMode="awsvpc", requiresCompatibilities=["FARGATE"],
                            cpu="256", memory="512", executionRoleArn="arn:aws:iam::000000000000:role/logs")


def uid(pid):
    """Whom a process runs as, on the host."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Uid:"))


def test_root_is_nobody_and_its_storage_is_limited(roadstead, network):
    look = ("id -u; df -k / | tail -1; mount -t tmpfs t /mnt 2>/dev/null || echo no mount; "
            "ip addr add 10.9.9.9/8 dev eth0 2>/dev/null || echo no spoofing; " + SLEEP)
    definition = define(roadstead, "walled", container(script=look, logConfiguration=awslogs(), healthCheck={
        "interval": 5, "timeout": 60, "retries": 10, "command": ["CMD-SHELL", "test $(id -u) = 0"]}))
    arns = [roadstead.run(definition, launchType="FARGATE", networkConfiguration=network)[0] for _ in range(2)]
    for arn in arns:
        roadstead.running(arn)
    owners = {uid(roadstead.first(arn, "main")) for arn in arns}
    assert len(owners) == 2 and min(owners) >= FIRST_ID, owners
    said = roadstead.output(arns[0], lines=4)
    assert said[0] == "0" and said[2:] == ["no mount", "no spoofing"], said
    assert 18 << 20 < int(said[1].split()[1]) <= 20 << 20, said
    until(lambda: roadstead.task(arns[0])["healthStatus"] == "HEALTHY", 60, "HEALTHY")
    # The agent is killed, and another one finds all as it was.
    roadstead.kill()
    roadstead.up()
    assert {uid(roadstead.first(arn, "main")) for arn in arns} == owners
    for arn in arns:
        roadstead.stop(arn)
        assert exit_codes(roadstead.stopped(arn)) == {"main": 0}
    ids = Path(roadstead.data) / "engine" / "ids"
    until(lambda: not any(ids.iterdir()), 30, "ids to be given back")


def test_processes_may_be_traced(roadstead, network):
    asked = container(script="true", linuxParameters={"capabilities": {"add": ["SYS_PTRACE"]}})
    arn, = roadstead.run(define(roadstead, "ptrace", asked), launchType="FARGATE", networkConfiguration=network)
    assert exit_codes(roadstead.stopped(arn)) == {"main": 0}
