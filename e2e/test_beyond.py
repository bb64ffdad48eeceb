"""What Roadstead has beyond ECS, each only where it is asked for."""

import json
import subprocess

import pytest

from harness import BIN, CLUSTER, IMAGE, SLEEP, container, until


@pytest.fixture
def service(roadstead):
    """Makes a service; it is deleted when the test is done."""
    made = []

    def make(name, definition, desired=1, **members):
        made.append(name)
        roadstead.ecs.create_service(
            cluster=CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=desired, **members)
        return name

    yield make
    for name in made:
        roadstead.ecs.delete_service(cluster=CLUSTER, service=name, force=True)
    if made:
        roadstead.wait("services_inactive", services=made)


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
