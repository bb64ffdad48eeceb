"""What containers can write to, and a disk that is full: nobody is locked out, and the writer is ended."""

import json
import os
import pathlib
import tempfile

import pytest

from disks import SmallDisk
from harness import (CLUSTER, IMAGE, PATIENCE, SLEEP, NothingLeft, Roadstead, awslogs, busybox_tar, container, exit_codes,
                     until)


def test_the_files_of_the_network_take_no_memory_and_follow_the_root(roadstead):
    """Not one task can make another's start fail by what it writes to /etc/hosts."""
    script = """
    for file in hosts hostname resolv.conf; do
        (dd if=/dev/zero of=/etc/$file bs=1M count=4 >/dev/null 2>&1) && echo written || echo refused
    done
    """
    both = [container(name, script, readonlyRootFilesystem=name == "readonly", essential=False, logConfiguration=awslogs())
            for name in ("readonly", "writable")]
    after = [{"containerName": one["name"], "condition": "SUCCESS"} for one in both]
    task = roadstead.finish(roadstead.define("etc", *both, container(script="true", dependsOn=after)))
    arn = task["taskArn"]
    assert exit_codes(task)["readonly"] == exit_codes(task)["writable"] == 0, task
    assert roadstead.output(arn, "readonly", lines=3) == ["refused"] * 3
    assert roadstead.output(arn, "writable", lines=3) == ["written"] * 3
    memory = os.statvfs(f"/run/roadstead/{roadstead.id8()}")
    assert (memory.f_blocks - memory.f_bfree) * memory.f_frsize < 4 << 20


def score(pid):
    return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())


def test_memory_short_ends_tasks_before_what_holds_them(roadstead):
    """By what the kernel is told. Where it lets nobody lower the score, all stand at the same."""
    arn = roadstead.run(roadstead.define("oom", container(
        script="until [ -e /tmp/score ]; do sleep 0.02; done; cat /proc/self/oom_score_adj /tmp/score; " + SLEEP,
        logConfiguration=awslogs(), healthCheck={
            "command": ["CMD-SHELL", "cat /proc/self/oom_score_adj > /tmp/s; mv /tmp/s /tmp/score"], "interval": 5})))[0]
    assert roadstead.output(arn, lines=2) == ["0", "0"]
    first = roadstead.first(arn, "main")
    assert score(first) == 0
    supervisors = roadstead.processes("supervise")
    assert supervisors
    if may_lower():
        assert score(roadstead.process.pid) == -500
        assert {score(pid) for pid in supervisors} == {-999}
    else:
        assert {score(roadstead.process.pid), *map(score, supervisors)} == {score(os.getpid())}
        assert "may end Roadstead before a task" in roadstead.log_tail()
    roadstead.stop(arn)
    roadstead.stopped(arn)


def may_lower():
    """Whether a process may lower its own score here; tried by one that ends."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    try:
        pathlib.Path("/proc/self/oom_score_adj").write_text("-999")
    except OSError:
        os._exit(1)
    os._exit(0)


def test_a_raised_score_is_not_handed_on_to_tasks(fresh):
    """As under a service manager or another orchestrator, which raise what they run."""
    instance = fresh(start=False)
    own = pathlib.Path("/proc/self/oom_score_adj")
    before = own.read_text()
    try:
        own.write_text("300")
        instance.up()
    finally:
        own.write_text(before)
    arn = instance.run(instance.define("oom", container(script=SLEEP)))[0]
    instance.running(arn)
    assert score(instance.first(arn, "main")) == 0
    assert score(instance.process.pid) == (-500 if may_lower() else 300)


@pytest.fixture
def small(fresh, tmp_path):
    """Makes instances on small disks; they are gone before their disks are."""
    made = []

    def make(command="up", **options):
        disk = SmallDisk(pathlib.Path(tempfile.mkdtemp(dir=tmp_path)), **options)
        instance = Roadstead()
        instance.data = disk.at / "data"
        made.append((instance, disk))
        if command != "server":
            instance.load_image(tmp_path / "busybox.tar")
        if command == "up":
            instance.up()
        return instance, disk

    busybox_tar(tmp_path / "busybox.tar")
    yield make
    problems = []
    for instance, disk in made:
        try:
            instance.destroy()
        except AssertionError as error:
            problems.append(str(error))
        disk.empty()
        disk.gone()
    assert not problems, "\n".join(problems)


FILL = {
    "layer": "dd if=/dev/zero of=/big bs=1M 2>/dev/null; ",
    "etc": "dd if=/dev/zero of=/etc/hosts bs=1M 2>/dev/null; ",
    "volume": "dd if=/dev/zero of=/v/big bs=1M 2>/dev/null; ",
    "nameless": "exec 3>/big; rm /big; dd if=/dev/zero bs=1M >&3 2>/dev/null; ",
    "inodes": "mkdir /many; cd /many; i=0; while true > $i; do i=$((i+1)); done 2>/dev/null; ",
}


@pytest.mark.parametrize("how", FILL)
def test_the_task_that_fills_the_disk_is_ended_and_hears_why(small, how):
    instance, disk = small()
    steady = instance.run(instance.define("steady", container(
        script="dd if=/dev/zero of=/mine bs=1M count=8 2>/dev/null; " + SLEEP)))[0]
    instance.running(steady)
    arn = instance.run(instance.define(
        "filler", container("quiet", SLEEP), container("loud", FILL[how] + "trap '' TERM; while :; do sleep 1; done", mountPoints=[
            {"sourceVolume": "v", "containerPath": "/v"}]), volumes=[{"name": "v"}]))[0]
    ended = instance.stopped(arn)
    assert "DiskFullError: the task has written" in ended["stoppedReason"], ended
    reasons = {one["name"]: one.get("reason", "") for one in ended["containers"]}
    if how != "volume":
        assert "DiskFullError" in reasons["loud"] and "DiskFullError" not in reasons["quiet"], ended
    assert instance.task(steady)["lastStatus"] == "RUNNING"
    # What it wrote is gone, and the next may come.
    until(lambda: disk.free() > 40 << 20, what="room again")
    until(lambda: run_or_none(instance, instance.define("next", container(script="true"))), what="a task may begin")
    instance.stop(steady)
    assert exit_codes(instance.stopped(steady)) == {"main": 0}


def run_or_none(instance, definition):
    try:
        return exit_codes(instance.finish(definition)) == {"main": 0}
    except instance.ecs.exceptions.ClientError:
        return None


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_disk_filled_from_outside_locks_nobody_out(small, what):
    """Running, stop, kill and start, end and start, delete, down: on a disk that has nothing left."""
    instance, disk = small()
    definition = instance.define("app", container(
        script="trap 'exit 3' TERM; while :; do sleep 0.05; done", logConfiguration=awslogs()))
    arns = instance.run(definition, 5)
    instance.ecs.create_service(cluster=CLUSTER, serviceName="web", taskDefinition=definition, desiredCount=1)
    for arn in arns:
        instance.running(arn)
    instance.wait("services_stable", services=["web"])
    disk.fill(what)
    with pytest.raises(instance.ecs.exceptions.ServerException) as refused:
        instance.run(definition)
    assert "nearly full" in str(refused.value)
    with pytest.raises(instance.ecs.exceptions.ServerException):
        instance.define("another", container(script="true"))
    told = instance.cli("doctor", "--json", check=False).stdout
    checks = {check["name"]: check for check in json.loads(told)["checks"]}
    assert checks["disk"]["status"] == "fail" and "disk-room" in checks, checks
    for arn, between in zip(arns, (lambda: None, instance.kill, instance.terminate, instance.kill)):
        between()
        if instance.process.poll() is not None:
            instance.up()
            until(lambda: connected(instance), what="the agent is back")
        assert instance.task(arn)["lastStatus"] == "RUNNING"
        instance.stop(arn)
        assert exit_codes(instance.stopped(arn)) == {"main": 3}
    # Nobody was ended for what others wrote.
    assert instance.task(arns[4])["lastStatus"] == "RUNNING"
    instance.ecs.delete_service(cluster=CLUSTER, service="web", force=True)
    instance.ecs.deregister_task_definition(taskDefinition=definition)
    instance.logs.delete_log_group(logGroupName="/e2e")
    instance.cli("down")
    instance.process.wait(PATIENCE)
    instance.marks = [instance.id8(), str(instance.data / "engine")]
    until(lambda: not instance.left(), what=NothingLeft(instance))
    instance.cli("image", "remove", IMAGE)
    assert IMAGE not in instance.cli("image", "list").stdout
    instance.up()
    assert instance.stopped(arns[4])["stoppedReason"]
    disk.empty()
    instance.define("again", container(script="true"))
    disk.fill(what)
    # The end of the test purges it, on the full disk.


@pytest.mark.parametrize("runs", [True, False])
def test_down_on_a_disk_that_became_read_only(small, runs):
    """Every task is ended, and what stays is said; once the disk takes something again, nothing stays."""
    instance, disk = small()
    definition = instance.define("app", container(script=SLEEP, portMappings=[{"containerPort": 80}]))
    arns = instance.run(definition, 2)
    for arn in arns:
        instance.running(arn)
    if not runs:
        instance.kill()
    disk.fail()
    done = instance.cli("down", check=False)
    assert done.returncode == 1, done
    assert "every task is stopped" in done.stderr and "Read-only file system" in done.stderr, done.stderr
    assert str(instance.data) in done.stderr and "roadstead down" in done.stderr.splitlines()[-1], done.stderr
    instance.process.wait(PATIENCE)
    instance.marks = [instance.id8()]
    until(lambda: not instance.left(), what=NothingLeft(instance))
    disk.gone()
    disk.mount()
    instance.cli("down")
    assert not any((instance.data / "engine").glob("tasks/*"))
    instance.up()
    for arn in arns:
        instance.stopped(arn)


def connected(instance):
    arns = instance.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    told = arns and instance.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    return any(one["agentConnected"] for one in told or [])


@pytest.mark.parametrize("half", ["server", "agent"])
def test_one_half_on_a_full_disk(small, half):
    """Tasks can be stopped, and their ends are told, whichever disk is full."""
    server, server_disk = small("server")
    server.start("server")
    until(server.said_ready, what="ready")
    agent, agent_disk = small("agent")
    agent.flags = ["--endpoint", server.endpoint]
    agent.env = agent.environment()
    agent.start("agent")
    until(lambda: connected(server), what="the agent is there")
    definition = server.define("half", container(script="trap 'exit 3' TERM; while :; do sleep 0.05; done"))
    arns = server.run(definition, 3)
    for arn in arns:
        server.reach(arn, "RUNNING")
        until(lambda arn=arn: agent.heeds(arn, "main"), what="a trap")
    victim, disk = (server, server_disk) if half == "server" else (agent, agent_disk)
    disk.fill("bytes")
    if half == "server":
        with pytest.raises(server.ecs.exceptions.ServerException):
            server.run(definition)
    else:
        assert "DiskFullError: no task begins" in server.stopped(server.run(definition)[0])["stoppedReason"]
    for arn, between in zip(arns, (lambda: None, victim.kill, victim.terminate)):
        between()
        if victim.process.poll() is not None:
            victim.start(half)
            if half == "server":
                until(server.said_ready, what="ready")
            until(lambda: connected(server), what="the agent is there")
        server.stop(arn)
        assert exit_codes(server.stopped(arn)) == {"main": 3}
    agent.marks = [arn.rsplit("/", 1)[-1] for arn in arns]
    until(lambda: not agent.left(), what=NothingLeft(agent))
