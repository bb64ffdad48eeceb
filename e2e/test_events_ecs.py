"""What happens to tasks, hosts and services is told: to rules, to log groups and to people, over kill -9 too."""

import collections
import contextlib
import json
import subprocess

import pytest

from harness import ACCOUNT, BIN, CLUSTER, PATIENCE, REGION, SLEEP, container, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/runs"
LIFE = ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"]
# Long enough to be seen RUNNING.
SHORT = "sleep 1; exit 0"


@pytest.fixture(scope="module")
def events(roadstead):
    return roadstead.client("events")


def arn(service, resource):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def rule(events, name, detail, target):
    """A rule on task state changes with one target."""
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    answer = events.put_targets(Rule=name, Targets=[{"Id": "t", **target}])
    assert answer["FailedEntryCount"] == 0, answer


def unrule(events, *names):
    for name in names:
        events.remove_targets(Rule=name, Ids=["t"])
        events.delete_rule(Name=name)


def of_family(roadstead, family):
    """The ARNs of the tasks of a family, whatever they do."""
    both = (roadstead.ecs.list_tasks(cluster=CLUSTER, family=family, desiredStatus=status)["taskArns"]
            for status in ("RUNNING", "STOPPED"))
    return {task for tasks in both for task in tasks}


def told(roadstead, group):
    """Every event that came to a log group."""
    streams = roadstead.logs.describe_log_streams(logGroupName=group)["logStreams"]
    return [json.loads(message) for stream in streams
            for message in roadstead.messages(group, stream["logStreamName"])]


@contextlib.contextmanager
def following(roadstead, *flags):
    """`roadstead events --follow` at work: a function that gives the events so far."""
    out, err = roadstead.top / "events.out", roadstead.top / "events.err"
    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        process = subprocess.Popen([BIN, "events", "--follow", *flags], stdout=stdout, stderr=stderr,
                                   stdin=subprocess.DEVNULL, env=roadstead.environment(AWS_REGION=REGION))
    try:
        until(lambda: "following" in err.read_text() or process.poll() is not None, what=err)
        assert process.poll() is None, err.read_text()
        yield lambda: [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
    finally:
        process.kill()
        process.wait(PATIENCE)


def in_order(tasks):
    """By task, its statuses as the versions of its events have them. A target is called at least once: what was under way
    when the program was killed may be there twice, and is the same event then."""
    found = collections.defaultdict(list)
    for event in {event["id"]: event for event in tasks}.values():
        found[event["detail"]["taskArn"]].append(event)
    for task, its in found.items():
        versions = [event["detail"]["version"] for event in its]
        assert len(set(versions)) == len(versions), (task, versions)
        its.sort(key=lambda event: event["detail"]["version"])
        ranks = [LIFE.index(event["detail"]["lastStatus"]) for event in its]
        assert ranks == sorted(ranks) and [e["time"] for e in its] == sorted(e["time"] for e in its), (task, ranks)
    return {task: [event["detail"]["lastStatus"] for event in its] for task, its in found.items()}


def test_a_task_that_stops_runs_another_once_though_the_program_is_killed(roadstead, events):
    group = "/aws/events/tasks"
    roadstead.logs.create_log_group(logGroupName=group)
    first = roadstead.define("first", container(script=SHORT))
    roadstead.define("second", container(script="exit 0"))
    target = {"Arn": arn("ecs", f"cluster/{CLUSTER}"), "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": "second"}}
    rule(events, "chain", {"lastStatus": ["STOPPED"], "group": ["family:first"]}, target)
    rule(events, "told", {"group": ["family:first"]}, {"Arn": arn("logs", f"log-group:{group}")})
    made = []
    for number in range(6):
        made += roadstead.run(first)
        if number in (1, 3):
            # While the task starts, and once it is RUNNING: it ends while nobody looks.
            if number == 3:
                roadstead.reach(made[-1], "RUNNING")
            roadstead.kill()
            roadstead.up()
    for task in made:
        roadstead.stopped(task)
    until(lambda: len(of_family(roadstead, "second")) >= len(made), what="a task for each that stopped")
    for task in of_family(roadstead, "second"):
        roadstead.stopped(task)

    def all_stopped():
        stopped = {event["detail"]["taskArn"] for event in told(roadstead, group)
                   if event["detail"]["lastStatus"] == "STOPPED"}
        return stopped >= set(made)

    until(all_stopped, what=f"the end of each task in {group}")
    assert len(of_family(roadstead, "second")) == len(made)
    found = told(roadstead, group)
    for task in made:
        # As the log group has them, one after the other.
        steps = [event["detail"]["lastStatus"] for event in found if event["detail"]["taskArn"] == task]
        passed = list(dict.fromkeys(step for step in steps if step in ("PENDING", "RUNNING", "STOPPED")))
        assert passed == ["PENDING", "RUNNING", "STOPPED"], steps
    statuses = in_order(found)
    assert set(statuses) == set(made)
    for task, its in statuses.items():
        assert its[0] == "PENDING" and "RUNNING" in its and its[-1] == "STOPPED", (task, its)
    ended = next(event for event in found if event["detail"]["lastStatus"] == "STOPPED")
    shown = roadstead.task(ended["detail"]["taskArn"])
    assert ended["source"] == "aws.ecs" and ended["resources"] == [shown["taskArn"]]
    for name in ("stopCode", "stoppedReason", "lastStatus", "desiredStatus", "taskDefinitionArn", "clusterArn", "version"):
        assert ended["detail"][name] == shown[name], name
    assert ended["detail"]["containers"][0]["exitCode"] == 0
    unrule(events, "chain", "told")


def test_who_follows_sees_what_the_pattern_matches_over_kill_9(roadstead, events, tmp_path):
    pattern = tmp_path / "pattern.json"
    pattern.write_text(json.dumps({"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"], "group": ["family:seen"]}}))
    seen, unseen = (roadstead.define(name, container(script="exit 3")) for name in ("seen", "unseen"))
    with following(roadstead, "--pattern", pattern) as shown:
        made = [roadstead.finish(seen)["taskArn"]]
        roadstead.finish(unseen)
        until(lambda: len(shown()) == 1, what="the first line")
        made += roadstead.run(seen)
        roadstead.kill()
        roadstead.up()
        roadstead.stopped(made[-1])
        until(lambda: len(shown()) == 2, what="the second line")
        made.append(roadstead.finish(seen)["taskArn"])
        until(lambda: len(shown()) == 3, what="the third line")
        assert [event["detail"]["taskArn"] for event in shown()] == made
        assert all(event["detail"]["containers"][0]["exitCode"] == 3 for event in shown())
    # What came is kept for a while.
    kept = subprocess.run([BIN, "events", "--pattern", pattern], check=True, capture_output=True, text=True,
                          env=roadstead.environment(AWS_REGION=REGION)).stdout
    assert [json.loads(line)["detail"]["taskArn"] for line in kept.splitlines()] == made
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")
    refused = subprocess.run([BIN, "events", "--pattern", wrong], capture_output=True, text=True,
                             env=roadstead.environment(AWS_REGION=REGION))
    assert refused.returncode == 1 and "InvalidEventPattern" in refused.stderr, refused.stderr


def test_hosts_and_services_are_told(roadstead):
    definition = roadstead.define("serves", container(script=SLEEP))
    with following(roadstead) as shown:
        roadstead.ecs.create_service(cluster=CLUSTER, serviceName="told", taskDefinition=definition, desiredCount=1)

        def names():
            return [event["detail"].get("eventName") for event in shown() if event["resources"][0].endswith("/told")]

        until(lambda: "SERVICE_STEADY_STATE" in names(), what="a steady state")
        assert names()[0] == "SERVICE_DEPLOYMENT_IN_PROGRESS" and "SERVICE_DEPLOYMENT_COMPLETED" in names()
        hosts = [event["detail"] for event in shown() if event["detail-type"] == "ECS Container Instance State Change"]
        host = roadstead.ecs.describe_container_instances(
            cluster=CLUSTER, containerInstances=[hosts[-1]["containerInstanceArn"]])["containerInstances"][0]
        assert hosts[-1]["version"] == host["version"] and hosts[-1]["status"] == "ACTIVE"

        def memory(resources):
            return next(one["integerValue"] for one in resources if one["name"] == "MEMORY")

        assert memory(hosts[-1]["remainingResources"]) == memory(host["remainingResources"])
        before = len(shown())
        roadstead.ecs.update_service(cluster=CLUSTER, service="told", desiredCount=0)
        until(lambda: "TASKS_STOPPED" in names(), what="that its task was stopped")
        roadstead.ecs.delete_service(cluster=CLUSTER, service="told", force=True)
        until(lambda: any(event["detail"].get("lastStatus") == "STOPPED" for event in shown()[before:]), what="its end")
