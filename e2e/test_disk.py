"""What containers can write to, and a disk that is full: nobody is locked out, and the writer is ended."""

import os
import pathlib

from harness import SLEEP, awslogs, container, exit_codes, until


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
