"""A data directory of before there were accounts and regions: its tasks go on, and nothing of it is lost."""

import contextlib
import json
import pathlib
import sqlite3
import tempfile

import pytest

from before import rewrite, rows
from disks import SmallDisk
from harness import CLUSTER, PATIENCE, SLEEP, Roadstead, awslogs, busybox_tar, container, exit_codes, until

BACKUP = "state.db.before-accounts"
# More than a few commits move.
MANY = 6000


def layouts(state):
    """How many rows have keys of before and of now; None while they cannot be looked at."""
    try:
        keys = [key for key in rows(state) if not key.startswith("aside/")]
    except sqlite3.Error:
        return None
    before = sum(key.startswith(("a/", "c/")) for key in keys)
    return before, len(keys) - before


class Running:
    """A task and a service at work, and what is known of them."""

    def __init__(self, roadstead):
        self.roadstead = roadstead
        definition = roadstead.define("app", container(
            script="echo begun; trap 'exit 3' TERM; while :; do sleep 0.05; done", logConfiguration=awslogs()))
        roadstead.ecs.put_account_setting_default(name="containerInsights", value="enabled")
        self.service = {"cluster": CLUSTER, "serviceName": "web", "taskDefinition": definition, "desiredCount": 2,
                        "tags": [{"key": "kept", "value": "yes"}], "clientToken": "token"}
        roadstead.ecs.create_service(**self.service)
        self.alone = roadstead.run(definition, tags=[{"key": "kept", "value": "yes"}])[0]
        roadstead.wait("services_stable", services=["web"])
        self.arns = sorted(roadstead.ecs.list_tasks(cluster=CLUSTER)["taskArns"])
        assert self.alone in self.arns and len(self.arns) == 3
        for arn in self.arns:
            roadstead.running(arn)
        self.pids = self.first()
        roadstead.output(self.alone)
        self.told, self.said = self.asked(), self.events()
        assert len(self.said) >= 3, self.said

    def first(self):
        return {arn: self.roadstead.first(arn, "main") for arn in self.arns}

    def events(self):
        """What the service has said, the newest first."""
        events = self.roadstead.ecs.describe_services(cluster=CLUSTER, services=["web"])["services"][0]["events"]
        return [(event["id"], event["createdAt"], event["message"]) for event in events]

    def asked(self):
        """What stays as it is."""
        ecs, where = self.roadstead.ecs, {"cluster": CLUSTER}
        tasks = ecs.describe_tasks(**where, tasks=self.arns, include=["TAGS"])["tasks"]
        service = ecs.describe_services(**where, services=["web"], include=["TAGS"])["services"][0]
        service.pop("events")
        instances = ecs.list_container_instances(**where)["containerInstanceArns"]
        told = [sorted([{name: value for name, value in task.items() if name != "version"} for task in tasks],
                       key=lambda task: task["taskArn"]), service, instances,
                ecs.list_task_definitions(familyPrefix="app")["taskDefinitionArns"],
                ecs.list_account_settings(name="containerInsights")["settings"],
                ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["clusterArn"]]
        return json.loads(json.dumps(told, default=str))

    def goes_on(self):
        """Same containers, same ARNs, and it can be worked with."""
        assert self.first() == self.pids and all(self.pids.values()), (self.first(), self.pids)
        roadstead = self.roadstead
        until(lambda: self.asked() == self.told, what=Told(self))
        assert sorted(roadstead.ecs.list_tasks(cluster=CLUSTER)["taskArns"]) == self.arns
        said = self.events()
        assert said[len(said) - len(self.said):] == self.said, (said, self.said)
        # The client token is known still: the same request makes nothing.
        roadstead.ecs.create_service(**self.service)
        assert roadstead.output(self.alone) == ["begun"]

    def ends(self):
        """Stops the task, and has the service replace one of its own."""
        roadstead = self.roadstead
        roadstead.stop(self.alone)
        assert exit_codes(roadstead.stopped(self.alone)) == {"main": 3}
        victim = next(arn for arn in self.arns if arn != self.alone)
        roadstead.stop(victim)
        assert exit_codes(roadstead.stopped(victim)) == {"main": 3}
        roadstead.wait("services_stable", services=["web"])
        running = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="web", desiredStatus="RUNNING")["taskArns"]
        assert len(running) == 2 and victim not in running
        roadstead.ecs.delete_service(cluster=CLUSTER, service="web", force=True)
        for arn in running:
            roadstead.stopped(arn)


class Told:
    """Says what is otherwise, should it come to that."""

    def __init__(self, running):
        self.running = running

    def __str__(self):
        return f"as before:\n{json.dumps(self.running.told, indent=1)}\nis:\n{json.dumps(self.running.asked(), indent=1)}"


def test_tasks_and_services_go_on(fresh, tmp_path):
    roadstead = fresh()
    running = Running(roadstead)
    roadstead.kill()
    state, backup = roadstead.data / "state.db", roadstead.data / BACKUP
    keys = rewrite(state)
    assert layouts(state) == (len(keys), 0) and len(keys) > 8
    before = rows(state)
    # What a start that was killed leaves of a copy.
    for unfinished in (".partial", ".partial-journal"):
        backup.with_name(BACKUP + unfinished).write_bytes(b"not whole")
    roadstead.up()
    running.goes_on()
    assert rows(backup) == before and backup.stat().st_mode & 0o777 == 0o600
    assert layouts(state)[0] == 0
    assert [path.name for path in roadstead.data.glob(BACKUP + "*")] == [BACKUP]
    assert "the state of an earlier version was taken over" in roadstead.log_tail()
    # Once only.
    roadstead.terminate()
    backup.rename(roadstead.top / "kept.db")
    roadstead.up()
    running.goes_on()
    assert not backup.exists()
    roadstead.kill()
    (roadstead.top / "kept.db").rename(backup)
    roadstead.up()
    # Beside it everything works.
    roadstead.cli("backup", str(tmp_path / "copy.db"))
    assert layouts(tmp_path / "copy.db")[0] == 0
    checks = {check["name"]: check for check in json.loads(roadstead.cli("doctor", "--json", check=False).stdout)["checks"]}
    assert BACKUP in checks["before-accounts"]["detail"] and checks["before-accounts"]["status"] == "ok", checks
    assert BACKUP in roadstead.cli("repair").stdout
    running.ends()
    assert rows(backup) == before
    roadstead.cli("down")
    roadstead.process.wait(PATIENCE)
    assert backup.exists()
    roadstead.destroy()


def test_down_ends_what_runs_from_before(fresh):
    """Without a start in between: the rows are not needed for it."""
    roadstead = fresh()
    Running(roadstead)
    roadstead.kill()
    rewrite(roadstead.data / "state.db")
    roadstead.destroy()


def test_a_takeover_that_is_killed_goes_on(fresh):
    roadstead = fresh()
    running = Running(roadstead)
    roadstead.kill()
    state = roadstead.data / "state.db"
    keys = rewrite(state, MANY)
    kills = set()
    for _ in range(20):
        if (layouts(state) or (1, 0))[0] == 0:
            break
        begun = layouts(state)
        roadstead.start()
        # Somewhere in the middle: as soon as it is further than it was.
        until(lambda: layouts(state) not in (None, begun) or roadstead.process.poll() is not None, what="rows move")
        roadstead.kill()
        found = layouts(state)
        assert sum(found) >= len(keys) + MANY, found
        kills.add(found[0] > 0)
    assert True in kills, "it was never killed in the middle"
    roadstead.up()
    running.goes_on()
    assert layouts(state)[0] == 0
    backed = rows(roadstead.data / BACKUP)
    assert len(backed) == len(keys) + MANY and all(key.startswith(("a/", "c/")) for key in backed)
    # None twice and none lost.
    assert roadstead.ecs.describe_task_definition(taskDefinition=f"many:{MANY}")["taskDefinition"]["revision"] == MANY
    assert roadstead.define("many", container(script=SLEEP)).endswith(f":{MANY + 1}")
    running.ends()
    roadstead.destroy()


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_full_disk_is_refused_and_nothing_is_lost(tmp_path, what):
    disk = SmallDisk(pathlib.Path(tempfile.mkdtemp(dir=tmp_path)))
    instance = Roadstead()
    instance.data = disk.at / "data"
    try:
        instance.load_image(busybox_tar(tmp_path / "busybox.tar"))
        instance.up()
        running = Running(instance)
        instance.kill()
        state = instance.data / "state.db"
        rewrite(state)
        before = rows(state)
        disk.fill(what)
        for _ in range(2):
            instance.start()
            assert instance.process.wait(PATIENCE) == 1
            told = instance.log_tail(5)
            assert BACKUP in told and "free as much space as state.db takes" in told, told
            assert running.first() == running.pids
        disk.empty()
        assert rows(state) == before
        instance.up()
        running.goes_on()
        assert rows(instance.data / BACKUP) == before
        running.ends()
    finally:
        disk.empty()
        with contextlib.ExitStack() as stack:
            stack.callback(disk.gone)
            instance.destroy()
