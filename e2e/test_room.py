"""What a host has room for: as much as the scheduler has counted, and nothing that ended takes any of it."""

import pytest

from harness import SLEEP, awslogs, container, exit_codes, held_port, until

SMALL = 100


def small_host():
    """Settings of an instance that has 100 MiB for tasks, and keeps ended ones for ten minutes."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        total = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:")) >> 10
    return f"[agent]\nreserved_memory = {total - SMALL}\ntask_cleanup_wait_seconds = 600\n"


@pytest.fixture(scope="module")
def small(fresh):
    return fresh(small_host())


def free_port():
    with held_port() as sock:
        return sock.getsockname()[1]


def on_port(roadstead, family, port, script=SLEEP, **members):
    return roadstead.define(family, container(
        script=script, memory=10, portMappings=[{"containerPort": 80, "hostPort": port}], **members))


def test_all_that_fits_by_the_scheduler_s_count_runs(small):
    """4 MiB are counted as 4, though a container gets the 6 that are the least there is."""
    definition = small.define("tiny", container(script=SLEEP, memory=4))
    arns = [arn for count in (10, 10, 5) for arn in small.run(definition, count)]
    for arn in arns:
        small.running(arn)
    refused = small.ecs.run_task(cluster=small.cluster, taskDefinition=definition)
    assert refused["failures"][0]["reason"] == "RESOURCE:MEMORY"
    for arn in arns:
        small.stop(arn)
    for arn in arns:
        small.stopped(arn)


def test_a_kept_task_holds_neither_its_port_nor_others(small):
    """The replacement runs at once, and over a restart; so does whoever comes after it."""
    definition = on_port(small, "kept", free_port())
    other = small.define("other", container(script=SLEEP, memory=10))
    arn = small.run(definition)[0]
    for restart in (False, True):
        small.running(arn)
        small.stop(arn)
        small.stopped(arn)
        if restart:
            small.kill()
            small.up()
        arn, unrelated = small.run(definition)[0], small.run(other)[0]
        small.running(arn)
        small.running(unrelated)
    # They are still here.
    folders = until(lambda: list((small.data / "engine/tasks").iterdir()))
    assert len(folders) >= 3
    small.stop(arn)
    small.stopped(arn)


def test_a_deleted_log_group_holds_up_nothing(small):
    """Neither a container that writes more than may wait, nor the next user of its port."""
    group = "/e2e/gone"
    small.logs.create_log_group(logGroupName=group)
    definition = on_port(
        small, "writes", free_port(), "echo first; read -t 1 x < /dev/zero; yes 0123456789012345678901234567890 | "
        "head -n 1500000; echo last >&2; exit 7",
        logConfiguration=awslogs(group, mode="blocking", awslogs_create_group="false"))
    arn = small.run(definition)[0]
    small.running(arn)
    small.logs.delete_log_group(logGroupName=group)
    assert exit_codes(small.stopped(arn)) == {"main": 7}
    waits = on_port(small, "next", small.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"][
        "containerDefinitions"][0]["portMappings"][0]["hostPort"])
    after = small.run(waits)[0]
    small.running(after)
    until(lambda: "its log group takes none" in small.log.read_text(), what="the log says what was lost")
    small.stop(after)
    small.stopped(after)
