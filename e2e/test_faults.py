"""kill -9 of everything, each while 20 tasks start, run and stop: every task ends as it would have, once."""

import collections
import os
import signal
import threading
import time

import botocore.exceptions
import pytest

from harness import CLUSTER, PATIENCE, SLEEP, NothingLeft, awslogs, container, exit_codes, until

TASKS = 20
# Says that it ran, on the host, once it can be stopped; ends by itself at once, after a while, or when it is asked to.
SCRIPT = """
trap "exit $N" TERM
echo >> /ran/$N
case $((N % 3)) in
0) exit $N ;;
1) sleep 2; exit $N ;;
2) while :; do sleep 0.05; done ;;
esac
"""


class Storm:
    """Twenty tasks on their way, by a client that asks again until it is answered."""

    def __init__(self, roadstead, folder):
        self.roadstead, self.folder = roadstead, folder
        self.definition = roadstead.define(
            "storm", container(script=SCRIPT, memory=16, mountPoints=[{"sourceVolume": "ran", "containerPath": "/ran"}]),
            volumes=[{"name": "ran", "host": {"sourcePath": str(folder)}}])
        self.arns, self.problems, self.over = {}, [], False
        self.client = threading.Thread(target=self.guarded)

    def __enter__(self):
        self.client.start()
        return self

    def __exit__(self, kind, *_):
        # Where the test has failed already, nothing more is to be waited for.
        self.over = kind is not None
        self.client.join()

    def guarded(self):
        try:
            for number in range(TASKS):
                self.start(number)
            for number in range(2, TASKS, 3):
                self.end(number)
        except Exception as error:  # told by the thread that waits
            self.problems.append(error)

    def start(self, number):
        override = {"containerOverrides": [{"name": "main", "environment": [{"name": "N", "value": str(number)}]}]}
        answer = self.insist(lambda: self.roadstead.ecs.run_task(
            cluster=CLUSTER, taskDefinition=self.definition, overrides=override, clientToken=f"storm-{self.folder}-{number}"[-64:]),
            lambda answer: answer["tasks"])
        self.arns[number] = answer["tasks"][0]["taskArn"]

    def end(self, number):
        """Stops a task that would run for ever, once it runs."""
        arn = self.arns[number]
        self.insist(lambda: self.roadstead.task(arn), lambda task: task["lastStatus"] in ("RUNNING", "STOPPED"))
        until(lambda: (self.folder / str(number)).exists() or self.ended(number), what=f"{number} says that it runs")
        self.insist(lambda: self.roadstead.stop(arn))

    def ended(self, number):
        return self.insist(lambda: self.roadstead.task(self.arns[number]))["lastStatus"] == "STOPPED"

    def insist(self, call, good=lambda _: True):
        def once():
            assert not self.over, "given up"
            return call()

        return insist(once, good)

    def reached(self, started):
        """Waits until so many tasks have been accepted."""
        until(lambda: len(self.arns) >= started or self.problems, what=f"{started} tasks accepted")

    def all_ended_right(self):
        """Every task has stopped with its own exit code."""
        assert not self.problems, self.problems
        ended = {number: self.roadstead.stopped(arn) for number, arn in self.arns.items()}
        wrong = [f"{number}: {exit_codes(task)} {task['taskArn']} {task['stopCode']}: {task['stoppedReason']}"
                 for number, task in ended.items() if exit_codes(task) != {"main": number}]
        assert not wrong, "\n".join(["not as they should have ended:", *wrong])

    def runs(self):
        """How often each task's container has begun."""
        return {number: (self.folder / str(number)).read_text().count("\n") if (self.folder / str(number)).exists() else 0
                for number in range(TASKS)}

    def nothing_is_left(self):
        ids = [arn.rsplit("/", 1)[-1] for arn in self.arns.values()]
        self.roadstead.marks = ids
        until(lambda: not self.roadstead.left(), what=NothingLeft(self.roadstead))


def insist(call, good=lambda _: True, timeout=PATIENCE):
    """Calls until there is an answer, and a good one: what a client does while its server is away."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            answer = call()
            if good(answer):
                return answer
            problem = answer
        except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError) as error:
            problem = error
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            problem = error
        assert time.monotonic() < deadline, f"not within {timeout} s: {problem!r}"
        time.sleep(0.02)


@pytest.mark.parametrize("started", [1, 8, TASKS])
def test_kill_up_while_tasks_come_and_go(roadstead, tmp_path, started):
    with Storm(roadstead, tmp_path) as storm:
        storm.reached(started)
        roadstead.kill()
        roadstead.up()
    storm.all_ended_right()
    assert storm.runs() == dict.fromkeys(range(TASKS), 1)
    storm.nothing_is_left()


def test_kill_up_again_and_again(roadstead, tmp_path):
    with Storm(roadstead, tmp_path) as storm:
        for started in (2, 5, 9, 14, 18):
            storm.reached(started)
            roadstead.kill()
            roadstead.up()
    storm.all_ended_right()
    assert storm.runs() == dict.fromkeys(range(TASKS), 1)
    storm.nothing_is_left()


def test_kill_a_container_while_tasks_come_and_go(roadstead, tmp_path):
    victim = roadstead.run(roadstead.define("victim", container(script=SLEEP)))[0]
    roadstead.running(victim)
    with Storm(roadstead, tmp_path) as storm:
        storm.reached(8)
        os.kill(roadstead.first(victim, "main"), signal.SIGKILL)
        ended = roadstead.stopped(victim)
    assert exit_codes(ended) == {"main": 137}
    assert (ended["stopCode"], ended["stoppedReason"]) == ("EssentialContainerExited", "Essential container in task exited")
    storm.all_ended_right()
    storm.nothing_is_left()


def test_kill_a_supervisor_while_tasks_come_and_go(roadstead, tmp_path):
    """Its task cannot be watched any more: it is ended, and that is said; all others go on."""
    victim = roadstead.run(roadstead.define("victim", container(script=SLEEP)))[0]
    roadstead.running(victim)
    pid = supervisor(roadstead, victim)
    with Storm(roadstead, tmp_path) as storm:
        storm.reached(8)
        os.kill(pid, signal.SIGKILL)
        ended = roadstead.stopped(victim)
    assert ended["stoppedReason"] and roadstead.pids(victim, "main") == []
    storm.all_ended_right()
    assert storm.runs() == dict.fromkeys(range(TASKS), 1)
    storm.nothing_is_left()


def test_a_task_stops_whose_supervisor_is_stopped(roadstead):
    """What the supervisor does not do, the agent does: the signal first, and the true reason."""
    victim = roadstead.run(roadstead.define("victim", container(script=SLEEP, stopTimeout=2)))[0]
    roadstead.running(victim)
    os.kill(supervisor(roadstead, victim), signal.SIGSTOP)
    roadstead.stop(victim)
    ended = roadstead.stopped(victim)
    assert exit_codes(ended) == {"main": 0} and ended["stopCode"] == "UserInitiated"
    assert ended["containers"][0]["reason"].startswith("ContainerRuntimeTimeoutError: the task's supervisor")


def supervisor(roadstead, arn):
    """The process that holds a task's containers: the parent of the container's first process."""
    first = roadstead.first(arn, "main")
    with open(f"/proc/{first}/stat", encoding="utf-8") as stat:
        parent = int(stat.read().rpartition(")")[2].split()[1])
    assert parent in roadstead.processes("supervise"), (parent, roadstead.processes("supervise"))
    return parent


def test_kill_everything_of_a_task_while_the_agent_is_away(roadstead):
    """As after a reboot: supervisor and containers are gone when the agent comes back."""
    lost, kept = roadstead.run(roadstead.define("victim", container(script=SLEEP)), 2)
    for arn in (lost, kept):
        roadstead.running(arn)
    doomed = [supervisor(roadstead, lost), *roadstead.pids(lost, "main")]
    before = roadstead.first(kept, "main")
    roadstead.kill()
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    roadstead.up()
    assert roadstead.stopped(lost)["stoppedReason"]
    assert roadstead.task(kept)["lastStatus"] == "RUNNING" and roadstead.first(kept, "main") == before
    roadstead.stop(kept)
    assert exit_codes(roadstead.stopped(kept)) == {"main": 0}


def test_a_container_that_ended_meanwhile_is_reported_with_its_true_code(roadstead, tmp_path):
    definition = roadstead.define(
        "meanwhile", container(script="until [ -e /gate/open ]; do sleep 0.05; done; exit 77",
                               mountPoints=[{"sourceVolume": "gate", "containerPath": "/gate"}]),
        volumes=[{"name": "gate", "host": {"sourcePath": str(tmp_path)}}])
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    roadstead.kill()
    (tmp_path / "open").touch()
    until(lambda: not roadstead.pids(arn, "main"), what="the container ends")
    roadstead.up()
    assert exit_codes(roadstead.stopped(arn)) == {"main": 77}


def test_sigterm_leaves_tasks_running_and_the_next_up_adopts_them(roadstead):
    arns = roadstead.run(roadstead.define("stays", container(script=SLEEP)), 3)
    for arn in arns:
        roadstead.running(arn)
    before = {arn: roadstead.first(arn, "main") for arn in arns}
    assert all(before.values())
    assert roadstead.terminate(timeout=5) == 0
    assert {arn: roadstead.first(arn, "main") for arn in arns} == before
    roadstead.up()
    assert {task["lastStatus"] for task in roadstead.tasks(arns)} == {"RUNNING"}
    assert {arn: roadstead.first(arn, "main") for arn in arns} == before
    assert len(roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]) == 1
    for arn in arns:
        roadstead.stop(arn)
    for arn in arns:
        assert exit_codes(roadstead.stopped(arn)) == {"main": 0}


def test_lines_written_while_nobody_listens_are_kept(roadstead, tmp_path):
    """The agent and the server die while a container writes; no line is missing. One that was stored just before is stored again."""
    count, kills = 4000, (100, 1000, 2000)
    script = f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); [ $((i % 100)) = 0 ] && sleep 0.05; done"
    arn = roadstead.run(roadstead.define("writer", container(script=script, logConfiguration=awslogs())))[0]
    for lines in kills:
        roadstead.output(arn, lines=lines)
        roadstead.kill()
        roadstead.up()
    assert exit_codes(roadstead.stopped(arn)) == {"main": 0}
    found = until(lambda: f"line {count - 1}" in (found := roadstead.output(arn)) and found, what="the last line")
    assert list(dict.fromkeys(found)) == [f"line {i}" for i in range(count)]
    assert max(collections.Counter(found).values()) <= 1 + len(kills)


@pytest.fixture(scope="module")
def halves(fresh, image_tar):
    """A control plane and an agent as two processes, with data directories of their own."""
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    agent = fresh(start=False)
    agent.flags = ["--endpoint", server.endpoint]
    agent.env = agent.environment()
    agent.start("agent")
    joined(server)
    return server, agent


def joined(server):
    def connected():
        arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        told = server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"] if arns else []
        return [instance for instance in told if instance["agentConnected"]]

    assert len(insist(connected, good=bool)) == 1


@pytest.mark.parametrize("half", ["server", "agent"])
def test_kill_one_half_while_tasks_come_and_go(halves, tmp_path, half):
    server, agent = halves
    victim = server if half == "server" else agent
    with Storm(server, tmp_path) as storm:
        for started in (4, 12):
            storm.reached(started)
            victim.kill()
            victim.start(half)
            if half == "server":
                until(server.said_ready, what="ready")
        assert (server.process.poll(), agent.process.poll()) == (None, None)
    storm.all_ended_right()
    assert storm.runs() == dict.fromkeys(range(TASKS), 1)
    agent.marks = [arn.rsplit("/", 1)[-1] for arn in storm.arns.values()]
    until(lambda: not agent.left(), what=NothingLeft(agent))
