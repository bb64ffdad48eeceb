"""The host's clock is set, ahead and back, while everything runs: the program's own view of it, by a preloaded library."""

import datetime
import os
import signal

import botocore.exceptions
import pytest

from harness import CLUSTER, SLEEP, container, exit_codes, until

HOUR = 3600


@pytest.fixture(scope="module")
def roadstead(fresh, clock):
    made = fresh(start=False)
    made.env = clock.env
    return made.up()


def refused(roadstead):
    """Whether calls are refused for the time that they are signed at."""
    try:
        roadstead.ecs.list_clusters()
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidSignatureException", error
        return True
    return False


def kill(roadstead, arn):
    """Ends a container, and waits until its supervisor has seen it."""
    os.kill(roadstead.first(arn, "main"), signal.SIGKILL)
    until(lambda: not roadstead.pids(arn, "main"), what="the container is gone")


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_clock_that_is_put_right_leaves_nothing_behind(roadstead, clock, off):
    definition = roadstead.define("clock", container(script=SLEEP))
    service = roadstead.ecs.create_service(
        cluster=CLUSTER, serviceName=f"clock{off}", taskDefinition=definition, desiredCount=1)["service"]
    roadstead.wait("services_stable", services=[service["serviceName"]])
    served = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName=service["serviceName"])["taskArns"][0]
    alone = [roadstead.running(arn)["taskArn"] for arn in roadstead.run(definition, count=3)]
    clock.set(off)
    try:
        assert refused(roadstead), "the clock is judged as it is"
        # What ends meanwhile, by itself.
        kill(roadstead, served)
        kill(roadstead, alone[0])
    finally:
        clock.set(0)
    assert not refused(roadstead), "and as it is again"
    # What ends after.
    kill(roadstead, alone[1])
    roadstead.stop(alone[2])
    for arn in (served, *alone):
        task = roadstead.stopped(arn)
        assert exit_codes(task)["main"] in (0, 137, 143), task
    roadstead.wait("services_stable", services=[service["serviceName"]])
    new = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName=service["serviceName"])["taskArns"]
    assert len(new) == 1 and new != [served]
    after = roadstead.finish(roadstead.define("clock-ends", container(script="exit 3")))
    now = datetime.datetime.now(datetime.timezone.utc)
    for name in ("createdAt", "startedAt", "stoppedAt", "pullStartedAt", "pullStoppedAt", "executionStoppedAt"):
        assert abs((now - after[name]).total_seconds()) < 300, (name, after[name])
    instance = roadstead.ecs.describe_container_instances(
        cluster=CLUSTER, containerInstances=[after["containerInstanceArn"]])["containerInstances"][0]
    assert instance["agentConnected"]
    roadstead.ecs.delete_service(cluster=CLUSTER, service=service["serviceName"], force=True)
    roadstead.stopped(new[0])


def test_a_program_that_started_on_a_wrong_clock_goes_on_with_the_right_one(roadstead, clock):
    """Rows and ledger from an hour ahead; then the clock is put right while nothing runs."""
    definition = roadstead.define("clock", container(script=SLEEP))
    before = roadstead.running(roadstead.run(definition)[0])["taskArn"]
    roadstead.kill()
    clock.set(HOUR)
    roadstead.start()
    until(roadstead.said_ready, what="ready, an hour ahead")
    roadstead.kill()
    clock.set(0)
    roadstead.up()
    assert not refused(roadstead)
    roadstead.stop(before)
    assert exit_codes(roadstead.stopped(before))["main"] in (0, 143)
    roadstead.finish(roadstead.define("clock-ends", container(script="exit 3")))
