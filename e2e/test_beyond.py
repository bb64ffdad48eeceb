"""What Roadstead has beyond ECS, each only where it is asked for."""

import json
import subprocess

import pytest

from harness import BIN, CLUSTER, IMAGE, SLEEP, container, until


def described(roadstead, name):
    return roadstead.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]


def set_image(roadstead, *argv):
    return subprocess.run([BIN, "service", "set-image", *argv, "--cluster", CLUSTER], env=roadstead.environment(),
                          capture_output=True, text=True)


def test_one_command_deploys_another_image_and_changes_nothing_else(roadstead, service, image_tar):
    other = "e2e/busybox:other"
    roadstead.load_image(image_tar, other)
    members = {"environment": [{"name": "A", "value": "b=c"}], "portMappings": [{"containerPort": 80, "hostPort": 0}]}
    containers = [container(script=SLEEP, **members), container("side", script=SLEEP, essential=False)]
    tags = [{"key": "team", "value": "blue"}]
    first = roadstead.define("images", *containers, volumes=[{"name": "v", "host": {}}], tags=tags)
    service("images", first)
    roadstead.wait("services_stable", services=["images"])
    done = set_image(roadstead, "images", f"main={other}", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == "SUCCESSFUL" and said["taskDefinition"] != first
    assert described(roadstead, "images")["taskDefinition"] == said["taskDefinition"]
    newest = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service="images")["serviceDeployments"][0]
    assert newest["serviceDeploymentArn"] == said["serviceDeployment"]
    before, after = (roadstead.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
                     for arn in (first, said["taskDefinition"]))
    assert after["tags"] == tags
    images = [one.pop("image") for one in after["taskDefinition"]["containerDefinitions"]]
    assert images == [other, IMAGE]
    for one in before["taskDefinition"]["containerDefinitions"]:
        del one["image"]
    for of in (before, after):
        for member in ("taskDefinitionArn", "revision", "registeredAt"):
            del of["taskDefinition"][member]
    assert before["taskDefinition"] == after["taskDefinition"]
    again = set_image(roadstead, "images", f"main={other}")
    assert again.returncode == 0 and "nothing to deploy" in again.stdout, again.stdout
    assert described(roadstead, "images")["taskDefinition"] == said["taskDefinition"]


@pytest.mark.parametrize("argv, said", [
    (["nobody", f"main={IMAGE}"], "no service nobody is ACTIVE"),
    (["named", f"other={IMAGE}"], "the task definition has no container other, it has main"),
    (["named", "main"], "it is no CONTAINER=IMAGE"),
])
def test_what_has_no_such_service_or_container_is_refused(roadstead, service, argv, said):
    definition = roadstead.define("named", container(script=SLEEP))
    service("named", definition, desired=0)
    done = set_image(roadstead, *argv)
    assert done.returncode in (1, 2) and said in done.stderr, done.stderr
    assert described(roadstead, "named")["taskDefinition"] == definition


def tags(**given):
    return [{"key": f"roadstead:{key.replace('_', '-')}", "value": str(value)} for key, value in given.items()]


def explained(roadstead, kind, named):
    done = subprocess.run([BIN, "explain", kind, named, "--cluster", CLUSTER, "--json"], env=roadstead.environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def memory_left(roadstead):
    arns = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    host, = roadstead.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
    return next(one["integerValue"] for one in host["remainingResources"] if one["name"] == "MEMORY")


def test_a_task_that_finds_no_room_waits_for_it_where_it_is_asked_to(roadstead):
    most = memory_left(roadstead) * 2 // 3
    large = roadstead.define("large", container(script=SLEEP, memory=most))
    first, = roadstead.run(large)
    refused = roadstead.ecs.run_task(cluster=CLUSTER, taskDefinition=large)
    assert [one["reason"] for one in refused["failures"]] == ["RESOURCE:MEMORY"] and not refused["tasks"]
    short, = roadstead.run(large, tags=tags(queue=1))
    ended = roadstead.stopped(short)
    assert (ended["stopCode"], ended["stoppedReason"]) == ("TaskFailedToStart", "RESOURCE:MEMORY")
    waits, = roadstead.run(large, tags=tags(queue=3600))
    assert roadstead.task(waits)["lastStatus"] == "PROVISIONING"
    said = explained(roadstead, "task", waits)
    assert said["refused"] == [{"reason": "RESOURCE:MEMORY", "containerInstances": 1}], said
    roadstead.running(first)
    roadstead.stop(first)
    roadstead.running(waits)
    roadstead.stop(waits)
    roadstead.stopped(waits)


def test_tasks_of_a_started_by_go_on_one_at_a_time(roadstead):
    definition = roadstead.define("job", container(script=SLEEP))
    one = tags(max_concurrent=1)
    first, = roadstead.run(definition, startedBy="job", tags=one)
    refused = roadstead.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, startedBy="job", tags=one)
    failure, = refused["failures"]
    assert failure["reason"] == "roadstead:max-concurrent" and "1 task goes on" in failure["detail"], failure
    waiting = set(roadstead.run(definition, count=2, startedBy="job", tags=one + tags(queue=3600)))
    begun = lambda: [task["taskArn"] for task in roadstead.tasks(list(waiting)) if task["lastStatus"] != "PROVISIONING"]
    now = first
    while now:
        roadstead.running(now)
        assert not begun()
        for arn in waiting:
            assert "its turn" in explained(roadstead, "task", arn)["waitsFor"][0]
        roadstead.stop(now)
        roadstead.stopped(now)
        now = waiting and until(begun, what="the next one has its turn")[0]
        waiting.discard(now)


@pytest.mark.parametrize("key, value, said", [
    ("queue", "0", "The tag roadstead:queue is a number from 1 to 86400."),
    ("max-concurrent", "1", "The tag roadstead:max-concurrent needs a startedBy."),
    ("rebalance", "binpack", "The tag roadstead:rebalance is for services of strategy REPLICA alone."),
    ("else", "1", "The tag roadstead:else means nothing to Roadstead."),
])
def test_a_tag_that_does_not_fit_is_refused(roadstead, key, value, said):
    definition = roadstead.define("refused", container(script=SLEEP))
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException, match=said):
        roadstead.run(definition, tags=[{"key": f"roadstead:{key}", "value": value}])


def test_a_deployment_replaces_one_task_at_a_time(roadstead, service):
    first, second = (roadstead.define("careful", container(script=SLEEP)) for _ in range(2))
    service("careful", first, desired=3, tags=tags(one_at_a_time="true"))
    roadstead.wait("services_stable", services=["careful"])
    roadstead.ecs.update_service(cluster=CLUSTER, service="careful", taskDefinition=second)
    roadstead.wait("services_stable", services=["careful"])
    events = described(roadstead, "careful")["events"]
    starts = [event["message"] for event in events if "has started" in event["message"]]
    assert [text.split("has started ", 1)[1].split(" ")[0] for text in starts] == ["1", "1", "1", "3"], starts


def test_a_binpack_service_moves_onto_fewer_hosts(fresh):
    """Two agents on this machine: the second one has room for the task that the first one has."""
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")

    def agent():
        one = fresh(start=False)
        one.flags = ["--endpoint", server.endpoint]
        one.env = one.environment()
        one.start("agent")

    def hosts():
        arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        found = arns and server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
        return [one for one in found if one["agentConnected"]]

    def places():
        arns = server.ecs.list_tasks(cluster=CLUSTER, serviceName="packed")["taskArns"]
        return [task["containerInstanceArn"] for task in server.tasks(arns) if task["lastStatus"] == "RUNNING"]

    agent()
    first, = until(hosts, what="an agent")
    most = next(one["integerValue"] for one in first["registeredResources"] if one["name"] == "MEMORY")
    server.run(server.define("other", container(script=SLEEP, memory=most // 2)))
    packed = [{"type": "binpack", "field": "memory"}]
    arn = server.ecs.create_service(
        cluster=CLUSTER, serviceName="packed", desiredCount=1, placementStrategy=packed,
        taskDefinition=server.define("packed", container(script=SLEEP, memory=most * 2 // 5)))["service"]["serviceArn"]
    server.wait("services_stable", services=["packed"])
    agent()
    until(lambda: len(hosts()) == 2, what="two agents")
    server.ecs.update_service(cluster=CLUSTER, service="packed", desiredCount=2)
    server.wait("services_stable", services=["packed"])
    assert len(set(places())) == 2
    server.ecs.tag_resource(resourceArn=arn, tags=tags(rebalance="binpack"))
    until(lambda: len(places()) == 2 and len(set(places())) == 1, what="both on one host")
    assert first["containerInstanceArn"] not in places()
    said = [event["message"] for event in described(server, "packed")["events"]]
    assert any("has stopped 1 running tasks to empty (container-instance" in text for text in said), said
