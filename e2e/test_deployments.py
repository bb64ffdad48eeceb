"""Deployments by stages: blue and green at once, pauses that somebody ends, steps, and the way back."""

import pytest

from harness import CLUSTER, SLEEP, container, until


def define(roadstead, family):
    return roadstead.define(family, container(script=SLEEP))


def newest(roadstead, name):
    """The newest deployment of a service."""
    brief = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"][0]
    arn = brief["serviceDeploymentArn"]
    return roadstead.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]


def ended(roadstead, name, status):
    """Waits for the end of the newest deployment; gives it."""
    ends = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
    until(lambda: newest(roadstead, name)["status"] in ends, what=f"an end of the deployment of {name}")
    deployment = newest(roadstead, name)
    assert deployment["status"] == status, deployment
    return deployment


def paused(roadstead, name, stage, but=()):
    """Waits until the newest deployment pauses at a stage, by a hook that is none of `but`; gives the hook's id."""
    def waits():
        deployment = newest(roadstead, name)
        hooks = deployment.get("lifecycleHookDetails", [])
        here = [hook for hook in hooks if hook["status"] == "AWAITING_ACTION" and hook["hookId"] not in but]
        return here if deployment["lifecycleStage"] == stage else None
    until(waits, what=f"a pause of {name} at {stage}")
    hook, = waits()
    assert hook["targetType"] == "PAUSE" and hook["hookId"].startswith("ecs-pause-")
    return hook["hookId"]


def proceed(roadstead, name, hook, **members):
    arn = newest(roadstead, name)["serviceDeploymentArn"]
    return roadstead.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook, **members)


def pause(*stages):
    return {"targetType": "PAUSE", "lifecycleStages": list(stages)}


def running(roadstead, name):
    """How many tasks of each revision of a family are RUNNING."""
    arns = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]
    up = [task for task in roadstead.tasks(arns) if task["lastStatus"] == "RUNNING"] if arns else []
    revisions = [int(task["taskDefinitionArn"].rsplit(":", 1)[1]) for task in up]
    return {revision: revisions.count(revision) for revision in revisions}


def weights(deployment):
    """Test and production traffic that is to go to the target, and to the first source."""
    def of(revision):
        return revision["requestedTestTrafficWeight"], revision["requestedProductionTrafficWeight"]
    return of(deployment["targetServiceRevision"]), of(deployment["sourceServiceRevisions"][0])


def test_green_comes_beside_blue_and_takes_its_place_once_somebody_says_so(roadstead, service):
    configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [pause("POST_TEST_TRAFFIC_SHIFT")]}
    service("bg", define(roadstead, "bg"), 2)
    ended(roadstead, "bg", "SUCCESSFUL")
    roadstead.ecs.update_service(
        cluster=CLUSTER, service="bg", taskDefinition=define(roadstead, "bg"), deploymentConfiguration=configuration)
    hook = paused(roadstead, "bg", "POST_TEST_TRAFFIC_SHIFT")
    assert running(roadstead, "bg") == {1: 2, 2: 2}
    deployment = newest(roadstead, "bg")
    assert weights(deployment) == ((100.0, 0.0), (0.0, 100.0))
    assert deployment["deploymentConfiguration"]["strategy"] == "BLUE_GREEN"
    # Whoever waits for somebody waits over the death of the program too.
    roadstead.kill()
    roadstead.up()
    assert paused(roadstead, "bg", "POST_TEST_TRAFFIC_SHIFT") == hook
    said = roadstead.aws(
        "ecs", "continue-service-deployment", "--service-deployment-arn", deployment["serviceDeploymentArn"],
        "--hook-id", hook, "--action", "CONTINUE")
    assert said == {"serviceDeploymentArn": deployment["serviceDeploymentArn"]}
    done = ended(roadstead, "bg", "SUCCESSFUL")
    assert done["lifecycleStage"] == "CLEAN_UP" and weights(done)[0] == (100.0, 100.0)
    roadstead.wait("services_stable", services=["bg"])
    assert running(roadstead, "bg") == {2: 2}


def test_a_deployment_that_pauses_is_rolled_back_by_stop_and_by_its_hook(roadstead, service):
    configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [pause("POST_PRODUCTION_TRAFFIC_SHIFT")]}
    service("back", define(roadstead, "back"), 1)
    ended(roadstead, "back", "SUCCESSFUL")
    roadstead.ecs.update_service(
        cluster=CLUSTER, service="back", taskDefinition=define(roadstead, "back"), deploymentConfiguration=configuration)
    paused(roadstead, "back", "POST_PRODUCTION_TRAFFIC_SHIFT")
    deployment = newest(roadstead, "back")
    assert weights(deployment) == ((100.0, 100.0), (0.0, 0.0)) and running(roadstead, "back") == {1: 1, 2: 1}
    roadstead.ecs.stop_service_deployment(
        serviceDeploymentArn=deployment["serviceDeploymentArn"], stopType="ROLLBACK")
    done = ended(roadstead, "back", "ROLLBACK_SUCCESSFUL")
    assert weights(done) == ((0.0, 0.0), (100.0, 100.0))
    until(lambda: running(roadstead, "back") == {1: 1}, what="green to be gone")
    roadstead.ecs.update_service(cluster=CLUSTER, service="back", taskDefinition="back:2")
    hook = paused(roadstead, "back", "POST_PRODUCTION_TRAFFIC_SHIFT")
    proceed(roadstead, "back", hook, action="ROLLBACK")
    done = ended(roadstead, "back", "ROLLBACK_SUCCESSFUL")
    assert done["lifecycleHookDetails"][0]["status"] == "FAILED" and "hook" in done["rollback"]["reason"]
    roadstead.wait("services_stable", services=["back"])
    assert running(roadstead, "back") == {1: 1}
    # Left where it is: both stay, and there is nothing to continue.
    roadstead.ecs.update_service(cluster=CLUSTER, service="back", taskDefinition="back:2")
    hook = paused(roadstead, "back", "POST_PRODUCTION_TRAFFIC_SHIFT")
    roadstead.ecs.stop_service_deployment(
        serviceDeploymentArn=newest(roadstead, "back")["serviceDeploymentArn"], stopType="ABORT")
    assert "rollback" not in ended(roadstead, "back", "STOPPED")
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException, match="IN_PROGRESS state"):
        proceed(roadstead, "back", hook, action="CONTINUE")
    assert running(roadstead, "back") == {1: 1, 2: 1}


def test_a_canary_goes_in_two_steps(roadstead, service):
    configuration = {
        "strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 0},
        "bakeTimeInMinutes": 0, "lifecycleHooks": [pause("PRE_PRODUCTION_TRAFFIC_SHIFT")],
    }
    service("canary", define(roadstead, "canary"), 1)
    ended(roadstead, "canary", "SUCCESSFUL")
    roadstead.ecs.update_service(
        cluster=CLUSTER, service="canary", taskDefinition=define(roadstead, "canary"), deploymentConfiguration=configuration)
    first = paused(roadstead, "canary", "PRODUCTION_TRAFFIC_SHIFT")
    assert weights(newest(roadstead, "canary"))[0] == (100.0, 0.0)
    proceed(roadstead, "canary", first)
    second = paused(roadstead, "canary", "PRODUCTION_TRAFFIC_SHIFT", but=[first])
    assert weights(newest(roadstead, "canary")) == ((100.0, 12.5), (0.0, 87.5))
    proceed(roadstead, "canary", second)
    assert weights(ended(roadstead, "canary", "SUCCESSFUL"))[0] == (100.0, 100.0)


def test_a_service_that_rolls_pauses_before_and_behind_it(roadstead, service):
    service("rolls", define(roadstead, "rolls"), 1,
            deploymentConfiguration={"lifecycleHooks": [pause("PRE_SCALE_UP", "POST_SCALE_UP")]})
    first = paused(roadstead, "rolls", "PRE_SCALE_UP")
    assert running(roadstead, "rolls") == {}
    proceed(roadstead, "rolls", first, action="CONTINUE")
    second = paused(roadstead, "rolls", "POST_SCALE_UP", but=[first])
    assert running(roadstead, "rolls") == {1: 1}
    proceed(roadstead, "rolls", second)
    ended(roadstead, "rolls", "SUCCESSFUL")
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException):
        proceed(roadstead, "rolls", second)


def task_set(roadstead, name, one):
    answer = roadstead.ecs.describe_task_sets(cluster=CLUSTER, service=name, taskSets=[one], include=["TAGS"])
    return answer["taskSets"][0] if answer["taskSets"] else None


def is_steady(roadstead, name, one, count):
    def steady():
        found = task_set(roadstead, name, one)
        return found["stabilityStatus"] == "STEADY_STATE" and found["runningCount"] == count
    until(steady, what=f"{count} tasks of {one}")
    return task_set(roadstead, name, one)


def test_task_sets_are_scaled_and_exchanged_by_somebody_else(roadstead):
    roadstead.ecs.create_service(
        cluster=CLUSTER, serviceName="sets", desiredCount=3, deploymentController={"type": "EXTERNAL"})
    of = {"cluster": CLUSTER, "service": "sets"}
    first, second = define(roadstead, "sets"), define(roadstead, "sets")
    blue = roadstead.ecs.create_task_set(
        **of, taskDefinition=first, scale={"value": 100, "unit": "PERCENT"}, externalId="blue", clientToken="t",
        tags=[{"key": "colour", "value": "blue"}])["taskSet"]
    assert blue["status"] == "ACTIVE" and blue["computedDesiredCount"] == 3
    again = roadstead.ecs.create_task_set(
        **of, taskDefinition=first, scale={"value": 100, "unit": "PERCENT"}, externalId="blue", clientToken="t",
        tags=[{"key": "colour", "value": "blue"}])["taskSet"]
    assert again["id"] == blue["id"]
    is_steady(roadstead, "sets", blue["id"], 3)
    roadstead.ecs.update_service_primary_task_set(**of, primaryTaskSet=blue["taskSetArn"])
    told = roadstead.ecs.describe_services(cluster=CLUSTER, services=["sets"])["services"][0]
    assert told["taskDefinition"] == first and told["deployments"] == []
    assert [(one["id"], one["status"]) for one in told["taskSets"]] == [(blue["id"], "PRIMARY")]
    green = roadstead.ecs.create_task_set(**of, taskDefinition=second, scale={"value": 34, "unit": "PERCENT"})["taskSet"]
    is_steady(roadstead, "sets", green["id"], 2)
    assert running(roadstead, "sets") == {1: 3, 2: 2}
    roadstead.ecs.tag_resource(resourceArn=green["taskSetArn"], tags=[{"key": "colour", "value": "green"}])
    assert task_set(roadstead, "sets", green["id"])["tags"] == [{"key": "colour", "value": "green"}]
    roadstead.ecs.update_task_set(**of, taskSet=green["id"], scale={"value": 100, "unit": "PERCENT"})
    is_steady(roadstead, "sets", green["id"], 3)
    roadstead.ecs.update_service_primary_task_set(**of, primaryTaskSet=green["id"])
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException, match="Primary TaskSet cannot be deleted"):
        roadstead.ecs.delete_task_set(**of, taskSet=green["id"])
    roadstead.ecs.delete_task_set(**of, taskSet=blue["id"], force=True)
    until(lambda: task_set(roadstead, "sets", blue["id"]) is None, what="blue to be gone")
    assert running(roadstead, "sets") == {2: 3}
    roadstead.ecs.update_service(cluster=CLUSTER, service="sets", desiredCount=0)
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException, match="while deployments are active"):
        roadstead.ecs.delete_service(cluster=CLUSTER, service="sets")
    roadstead.ecs.delete_task_set(**of, taskSet=green["id"], force=True)
    until(lambda: task_set(roadstead, "sets", green["id"]) is None, what="green to be gone")
    roadstead.ecs.delete_service(cluster=CLUSTER, service="sets")
    roadstead.wait("services_inactive", services=["sets"])


def test_a_task_has_time_to_become_healthy(roadstead, service):
    """Its check fails at first, and would have it replaced."""
    script = "sleep 8; touch /tmp/ready; trap 'exit 0' TERM; sleep 1000 & wait"
    check = {"command": ["CMD-SHELL", "test -e /tmp/ready"], "interval": 5, "timeout": 2, "retries": 1}
    definition = roadstead.define("graceful", container(script=script, healthCheck=check))
    service("graceful", definition, 1, healthCheckGracePeriodSeconds=600)
    told = roadstead.ecs.describe_services(cluster=CLUSTER, services=["graceful"])["services"][0]
    assert told["healthCheckGracePeriodSeconds"] == 600

    def health():
        arns = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="graceful")["taskArns"]
        return [task["healthStatus"] for task in roadstead.tasks(arns)] if arns else []
    until(lambda: health() == ["UNHEALTHY"], what="a check that fails")
    first = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="graceful")["taskArns"]
    until(lambda: health() == ["HEALTHY"], what="a check that succeeds")
    assert roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="graceful")["taskArns"] == first
