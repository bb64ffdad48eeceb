"""`roadstead explain` says of real tasks, services and container instances why they are as they are."""

import json
import subprocess

import pytest

from harness import BIN, CLUSTER, SLEEP, container, task_id, until


def explained(roadstead, kind, named, *flags):
    done = subprocess.run([BIN, "explain", kind, named, "--cluster", CLUSTER, *flags], env=roadstead.environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(roadstead, kind, named):
    return json.loads(explained(roadstead, kind, named, "--json"))


def test_a_service_without_room_says_who_refuses_it_and_what_would_help(roadstead):
    definition = roadstead.define("too-large", container(script=SLEEP, memory=900_000))
    service = roadstead.ecs.create_service(cluster=CLUSTER, serviceName="too-large", taskDefinition=definition, desiredCount=1)
    arn = service["service"]["serviceArn"]
    said = until(lambda: (told := as_json(roadstead, "service", arn))["refused"] and told, what="a refusal")
    assert said["refused"] == [{"reason": "RESOURCE:MEMORY", "containerInstances": 1}]
    events = roadstead.ecs.describe_services(cluster=CLUSTER, services=["too-large"])["services"][0]["events"]
    assert any(events[0]["message"].split("because ", 1)[1] in why for why in said["because"]), (events, said)
    assert any("with 900000 MiB left" in change for change in said["wouldChange"]), said
    text = explained(roadstead, "service", "too-large")
    assert text.startswith("service too-large: ACTIVE, desired 1, running 0, pending 0 since "), text
    assert "  refused by      1 container instance(s): RESOURCE:MEMORY\n" in text
    roadstead.ecs.delete_service(cluster=CLUSTER, service="too-large", force=True)


def test_a_task_says_how_it_is_and_why_it_stopped(roadstead):
    definition = roadstead.define("explained", container(script="trap 'exit 7' TERM; while :; do sleep 0.1; done"))
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    assert as_json(roadstead, "task", arn)["because"] == ["it runs as it shall"]
    roadstead.heeds(arn, "main")
    roadstead.stop(arn, reason="seen enough")
    roadstead.stopped(arn)
    said = as_json(roadstead, "task", task_id(arn))
    assert said["state"] == "STOPPED"
    assert said["because"] == ["UserInitiated: seen enough", "container main ended with exit code 7"]
    instance = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"][0]
    assert "ACTIVE, agent connected" in explained(roadstead, "instance", instance)


def test_a_deployment_says_what_its_circuit_breaker_counts(roadstead):
    definition = roadstead.define("breaks", container(script="exit 1"))
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    roadstead.ecs.create_service(cluster=CLUSTER, serviceName="breaks", taskDefinition=definition, desiredCount=1,
                                 deploymentConfiguration=breaker)
    deployment = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service="breaks")["serviceDeployments"][0]
    arn = deployment["serviceDeploymentArn"]
    said = until(lambda: (told := as_json(roadstead, "deployment", arn))["state"] != "IN_PROGRESS"
                 or any("has counted 1 failure" in why for why in told["because"]) and told, what="a failure that is counted")
    assert said
    roadstead.ecs.delete_service(cluster=CLUSTER, service="breaks", force=True)


def test_a_deployment_that_pauses_says_by_which_command_it_goes_on(roadstead):
    definition = roadstead.define("pauses", container(script=SLEEP))
    hook = {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}
    roadstead.ecs.create_service(cluster=CLUSTER, serviceName="pauses", taskDefinition=definition, desiredCount=1,
                                 deploymentConfiguration={"strategy": "BLUE_GREEN", "lifecycleHooks": [hook]})
    deployment = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service="pauses")["serviceDeployments"][0]
    arn = deployment["serviceDeploymentArn"]
    said = until(lambda: (told := as_json(roadstead, "deployment", arn)) and
                 any(" pauses it at POST_SCALE_UP " in why for why in told["because"]) and told, what="a pause")
    assert any("ContinueServiceDeployment for hook ecs-pause-" in what for what in said["waitsFor"]), said
    command, = [change for change in said["wouldChange"] if "continue-service-deployment" in change]
    assert arn in command
    roadstead.aws(*command.split("`")[1].split()[1:])
    until(lambda: as_json(roadstead, "deployment", arn)["state"] == "SUCCESSFUL", what="its end")
    roadstead.ecs.delete_service(cluster=CLUSTER, service="pauses", force=True)


@pytest.mark.parametrize("kind, named, code", [
    ("service", "nobody", "ServiceNotFoundException"),
    ("task", "0" * 32, "InvalidParameterException"),
    ("deployment", "nobody/x", "ClientException"),
])
def test_what_is_not_there_is_refused(roadstead, kind, named, code):
    done = subprocess.run([BIN, "explain", kind, named, "--cluster", CLUSTER], env=roadstead.environment(),
                          capture_output=True, text=True)
    assert done.returncode == 1 and code in done.stderr, done.stderr
