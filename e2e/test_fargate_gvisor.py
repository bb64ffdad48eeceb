"""Tasks on Fargate in sandboxes of gVisor's: their kernel is not the host's, and all else is as without it: one network of
the task's, health checks, logs, exit codes, stops, a killed agent; and a sandbox for one task on a host that has another wall."""

import os
from pathlib import Path
import shutil

import pytest

from harness import CLUSTER, PATIENCE, SLEEP, awslogs, container, exit_codes, until

UNPACKED = Path(os.environ.get("ROADSTEAD_BENCH_DIR") or Path.home() / ".cache/roadstead/bench") / "gvisor/usr/bin/runsc"
KERNEL = "Linux version 4.4.0"


def program():
    found = shutil.which("runsc") or (str(UNPACKED) if UNPACKED.exists() else None)
    if not found:
        assert not os.environ.get("CI"), "CI has gVisor: tools/setup.sh VENV test"
        pytest.skip("SKIPPED, NOT TESTED: there is no runsc here: sandboxes are not tested")
    return found


def instance(fresh, isolation):
    return fresh(f'[fargate]\nisolation = "{isolation}"\nrunsc = "{program()}"\n')


@pytest.fixture(scope="module")
def gvisor(fresh):
    return instance(fresh, "gvisor")


def attributes(instance):
    arns = instance.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    found, = instance.ecs.describe_container_instances(
        cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    return {attribute["name"]: attribute.get("value") for attribute in found["attributes"]}


def network(instance):
    if "ecs.capability.task-eni" not in attributes(instance):
        pytest.skip("this kernel has not what interfaces of tasks need")
    subnets = instance.client("ec2").describe_subnets()["Subnets"]
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in subnets]}}


def define(instance, family, *containers, **members):
    return instance.define(family, *containers, networkMode="awsvpc", requiresCompatibilities=["FARGATE"],
                           cpu="256", memory="512", executionRoleArn="arn:aws:iam::000000000000:role/logs", **members)


def wall(task):
    return [attribute["value"] for attribute in task["attributes"] if attribute["name"] == "roadstead.isolation"]


def sandboxes(id8):
    """The processes of an instance's sandboxes, by the control groups that they are in."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"/roadstead-{id8}/" in (process / "cgroup").read_text() and \
                    b"runsc-sandbox" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
        except OSError:
            pass
    return found


def test_a_task_has_a_kernel_of_its_own_and_all_else_is_as_ever(gvisor):
    assert attributes(gvisor)["roadstead.isolation"] == "gvisor"
    serve = "cat /proc/version; dmesg | head -1; while :; do echo from main | nc -l -p 8000 -w 2 > /dev/null; done & " + SLEEP
    ask = "until nc -w 1 127.0.0.1 8000 < /dev/null | grep main; do sleep 0.2; done; " + SLEEP
    definition = define(
        gvisor, "sandboxed",
        container(script=serve, logConfiguration=awslogs(), healthCheck={
            "interval": 5, "timeout": 60, "retries": 10, "command": ["CMD-SHELL", "grep -q 4.4.0 /proc/version"]}),
        container("side", script=ask, logConfiguration=awslogs()))
    arn, = gvisor.run(definition, launchType="FARGATE", networkConfiguration=network(gvisor))
    gvisor.running(arn)
    said = gvisor.output(arn, lines=2)
    assert said[0].startswith(KERNEL) and "Starting gVisor" in said[1], said
    assert gvisor.output(arn, "side") == ["from main"], "one localhost"
    until(lambda: gvisor.task(arn)["healthStatus"] == "HEALTHY", PATIENCE, "HEALTHY")
    assert wall(gvisor.task(arn)) == ["gvisor"]
    before = sandboxes(gvisor.id8())
    assert len(before) == 1, before
    # The agent is killed, and another one finds all as it was.
    gvisor.kill()
    assert sandboxes(gvisor.id8()) == before
    gvisor.up()
    assert sandboxes(gvisor.id8()) == before and gvisor.task(arn)["lastStatus"] == "RUNNING"
    gvisor.stop(arn)
    assert exit_codes(gvisor.stopped(arn)) == {"main": 0, "side": 0}
    until(lambda: not sandboxes(gvisor.id8()), PATIENCE, "the sandbox to go")


def test_codes_failures_and_refusals_are_told(gvisor):
    ends = define(gvisor, "ends", container(script="exit 42"))
    arn, = gvisor.run(ends, launchType="FARGATE", networkConfiguration=network(gvisor))
    assert exit_codes(gvisor.stopped(arn)) == {"main": 42}
    asked = container(script="true", linuxParameters={"initProcessEnabled": True})
    arn, = gvisor.run(define(gvisor, "refused", asked), launchType="FARGATE", networkConfiguration=network(gvisor))
    stopped = gvisor.stopped(arn)
    told = stopped["stoppedReason"] + str(stopped["containers"])
    assert "linuxParameters.initProcessEnabled is not possible with isolation gvisor" in told, told


def test_one_task_may_ask_for_a_sandbox(fresh):
    plain = instance(fresh, "namespaces")
    look = container(script="cat /proc/version; " + SLEEP, logConfiguration=awslogs())
    asked = {"trustedExecutionConfiguration": {"isolationMode": "ISOLATED_SANDBOX"}}
    both = [define(plain, "shared", look), define(plain, "isolated", look, **asked)]
    shared, isolated = [
        plain.run(one, launchType="FARGATE", networkConfiguration=network(plain))[0] for one in both]
    for arn in (shared, isolated):
        plain.running(arn)
    assert not plain.output(shared)[0].startswith(KERNEL)
    assert plain.output(isolated)[0].startswith(KERNEL)
    assert (wall(plain.task(shared)), wall(plain.task(isolated))) == (["namespaces"], ["gvisor"])
    assert plain.task(isolated)["trustedExecutionSummary"]["isolationMode"] == "ISOLATED_SANDBOX"
    # What runs is taken along.
    mark = plain.id8()
    plain.destroy()
    assert not sandboxes(mark)
