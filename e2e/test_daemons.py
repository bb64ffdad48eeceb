"""Managed daemons: their task definitions, and what they run on two hosts."""

import botocore.exceptions
import pytest

from harness import ACCOUNT, CLUSTER, IMAGE, REGION, SLEEP, container, until

PROVIDER = "own"
HOST = f'[agent]\ncapacity_provider = "{PROVIDER}"\n'
WHERE = {"cluster": CLUSTER}


def refused(call, **members):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**members)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def wait(roadstead, waiter, **members):
    roadstead.ecs.get_waiter(waiter).wait(WaiterConfig={"Delay": 0.5, "MaxAttempts": 120}, **members)


def define(roadstead, family, script=SLEEP, **members):
    """Registers a daemon's task definition; its ARN."""
    containers = [container(script=script, **members)]
    return roadstead.ecs.register_daemon_task_definition(family=family, containerDefinitions=containers)["daemonTaskDefinitionArn"]


def test_a_task_definition_from_registration_to_the_end(roadstead):
    ecs = roadstead.ecs
    first = define(roadstead, "agent")
    assert first == f"arn:aws:ecs:{REGION}:{ACCOUNT}:daemon-task-definition/agent:1"
    wait(roadstead, "daemon_task_definition_active", daemonTaskDefinition="agent")
    second = define(roadstead, "agent", cpu=10)
    told = ecs.describe_daemon_task_definition(daemonTaskDefinition="agent")["daemonTaskDefinition"]
    assert (told["daemonTaskDefinitionArn"], told["revision"], told["status"]) == (second, 2, "ACTIVE")
    assert told["containerDefinitions"] == [{
        "name": "main", "image": IMAGE, "memory": 32, "cpu": 10, "essential": True, "command": ["/bin/sh", "-c", SLEEP],
        "environment": [], "mountPoints": [], "systemControls": []}]
    listed = ecs.list_daemon_task_definitions(family="agent")["daemonTaskDefinitions"]
    assert [one["arn"] for one in listed] == [first, second] and all(one["registeredBy"] for one in listed), listed
    assert ecs.delete_daemon_task_definition(daemonTaskDefinition=first)["daemonTaskDefinitionArn"] == first
    code, words = refused(ecs.delete_daemon_task_definition, daemonTaskDefinition=first)
    assert code == "ClientException" and "being deleted" in words
    wait(roadstead, "daemon_task_definition_deleted", daemonTaskDefinition=first)
    assert [one["arn"] for one in ecs.list_daemon_task_definitions(family="agent")["daemonTaskDefinitions"]] == [second]
    assert "not found" in refused(ecs.describe_daemon_task_definition, daemonTaskDefinition="other")[1]


def test_what_is_not_built_is_refused_by_name(roadstead):
    ecs = roadstead.ecs
    role = f"arn:aws:iam::{ACCOUNT}:role/x"
    plain = {"family": "f", "containerDefinitions": [container(script="true")]}
    for member, given in [
            ("taskRoleArn", {**plain, "taskRoleArn": role}),
            ("containerDefinitions.secrets", {**plain, "containerDefinitions": [
                container(script="true", secrets=[{"name": "A", "valueFrom": "b"}])]}),
            ("volumes.logDriverVolumeConfiguration", {**plain, "volumes": [
                {"name": "v", "logDriverVolumeConfiguration": {"driver": "json-file"}}]})]:
        code, words = refused(ecs.register_daemon_task_definition, **given)
        assert code == "UnsupportedFeatureException" and member in words, words


def test_it_outlives_the_program(roadstead):
    arn = define(roadstead, "lasting")
    roadstead.kill()
    roadstead.up()
    assert roadstead.ecs.describe_daemon_task_definition(daemonTaskDefinition="lasting")["daemonTaskDefinition"][
        "daemonTaskDefinitionArn"] == arn


@pytest.fixture(scope="module")
def two(fresh):
    """A control plane, and two hosts of one capacity provider."""
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    server.hosts = []
    for _ in range(2):
        agent = fresh(HOST, start=False)
        agent.flags = ["--endpoint", server.endpoint]
        agent.env = server.environment()
        server.hosts.append(agent.start("agent"))
    until(lambda: len(of_status(server, "ACTIVE")) == 2, what="both are container instances")
    server.ecs.create_capacity_provider(name=PROVIDER, autoScalingGroupProvider={"autoScalingGroupArn": PROVIDER})
    server.ecs.put_cluster_capacity_providers(
        cluster=CLUSTER, capacityProviders=[PROVIDER], defaultCapacityProviderStrategy=[])
    return server


def of_status(server, status):
    return server.ecs.list_container_instances(**WHERE, status=status)["containerInstanceArns"]


@pytest.fixture
def daemon(two):
    """Makes a daemon; it is deleted when the test is done."""
    made = []

    def make(name, definition, **members):
        answer = two.ecs.create_daemon(
            daemonName=name, clusterArn=CLUSTER, daemonTaskDefinitionArn=definition, capacityProviderArns=[PROVIDER], **members)
        made.append(answer["daemonArn"])
        return answer["daemonArn"], answer["deploymentArn"]

    yield make
    for arn in made:
        try:
            two.ecs.delete_daemon(daemonArn=arn)
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "DaemonNotFoundException"
    until(lambda: not two.ecs.list_daemons(clusterArn=CLUSTER)["daemonSummariesList"], what="the daemons are gone")


def successful(server, deployment):
    server.ecs.get_waiter("daemon_deployment_successful").wait(
        daemonDeploymentArns=[deployment], WaiterConfig={"Delay": 1, "MaxAttempts": 150})


def tasks_of(server, name):
    arns = server.ecs.list_tasks(**WHERE, daemonName=name)["taskArns"]
    return server.tasks(arns) if arns else []


def script_of(server, says):
    """A daemon whose health is checked, so that a deployment need not wait to believe that it stays."""
    check = {"command": ["CMD-SHELL", "true"], "interval": 5}
    return define(server, f"of-{says}", script=f"echo {says}; {SLEEP}", healthCheck=check)


def test_a_daemon_from_creation_to_deletion(two, daemon):
    ecs = two.ecs
    first = script_of(two, "first")
    arn, deployment = daemon("agent", first, deploymentConfiguration={"drainPercent": 50.0},
                             tags=[{"key": "team", "value": "blue"}], propagateTags="DAEMON", enableECSManagedTags=True)
    assert arn == f"arn:aws:ecs:{REGION}:{ACCOUNT}:daemon/{CLUSTER}/agent"
    ecs.get_waiter("daemon_active").wait(daemonArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    successful(two, deployment)
    tasks = tasks_of(two, "agent")
    assert len({task["containerInstanceArn"] for task in tasks}) == len(tasks) == 2
    assert {(task["group"], task["startedBy"], task["taskDefinitionArn"], task["lastStatus"]) for task in tasks} == {
        ("daemon:agent", "daemon/agent", first, "RUNNING")}
    tags = ecs.describe_tasks(**WHERE, tasks=[tasks[0]["taskArn"]], include=["TAGS"])["tasks"][0]["tags"]
    assert {"key": "team", "value": "blue"} in tags and {"key": "aws:ecs:clusterName", "value": CLUSTER} in tags
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "blue"}]
    told = ecs.describe_daemon(daemonArn=arn)["daemon"]
    assert (told["status"], told["deploymentArn"]) == ("ACTIVE", deployment)
    assert told["currentRevisions"][0]["totalRunningCount"] == 2
    # It is replaced in place, and what else is there stays.
    other = two.run(two.define("other", container(script=SLEEP)), count=2)
    for task in other:
        two.reach(task, "RUNNING")
    second = script_of(two, "second")
    deployment = ecs.update_daemon(daemonArn=arn, daemonTaskDefinitionArn=second, capacityProviderArns=[PROVIDER])["deploymentArn"]
    successful(two, deployment)
    assert [task["taskDefinitionArn"] for task in tasks_of(two, "agent")] == [second] * 2
    assert all(two.task(task)["lastStatus"] == "RUNNING" for task in other)
    listed = ecs.list_daemon_deployments(daemonArn=arn)["daemonDeployments"]
    assert [one["status"] for one in listed] == ["SUCCESSFUL"] * 2 and listed[0]["daemonDeploymentArn"] == deployment
    revision = ecs.describe_daemon_revisions(daemonRevisionArns=[listed[0]["targetDaemonRevisionArn"]])["daemonRevisions"][0]
    assert revision["daemonTaskDefinitionArn"] == second and revision["critical"] is True
    assert ecs.delete_daemon_task_definition(daemonTaskDefinition=second)
    assert ecs.delete_daemon(daemonArn=arn)["status"] == "DELETE_IN_PROGRESS"
    until(lambda: not tasks_of(two, "agent"), what="its tasks end")
    until(lambda: not ecs.list_daemons(clusterArn=CLUSTER)["daemonSummariesList"], what="it is gone")
    assert refused(ecs.describe_daemon, daemonArn=arn)[0] == "DaemonNotFoundException"
    wait(two, "daemon_task_definition_deleted", daemonTaskDefinition=second)
    for task in other:
        two.stop(task)
        two.stopped(task)


def test_a_container_instance_takes_no_other_task_before_its_daemon_runs(two, daemon):
    """Each is held while the daemon comes to it, and takes tasks then."""
    slow = define(two, "slow", script=SLEEP, healthCheck={"command": ["CMD-SHELL", "test -e /tmp/ready"], "interval": 5, "retries": 10})
    arn, _ = daemon("slow", slow, deploymentConfiguration={"drainPercent": 100.0})
    until(lambda: len(of_status(two, "REGISTERING")) == 2, what="both wait")
    answer = two.ecs.run_task(**WHERE, taskDefinition=two.define("later", container(script=SLEEP)))
    assert not answer["tasks"], answer
    quick = define(two, "slow", script=SLEEP)
    two.ecs.update_daemon(daemonArn=arn, daemonTaskDefinitionArn=quick, capacityProviderArns=[PROVIDER],
                          deploymentConfiguration={"drainPercent": 100.0})
    until(lambda: len(of_status(two, "ACTIVE")) == 2, what="both take tasks")
    task = two.run("later")[0]
    two.reach(task, "RUNNING")
    two.stop(task)
    two.stopped(task)


def test_a_deployment_that_fails_is_rolled_back(two, daemon):
    ecs = two.ecs
    arn, deployment = daemon("breaks", script_of(two, "good"))
    successful(two, deployment)
    good = ecs.describe_daemon(daemonArn=arn)["daemon"]["currentRevisions"][0]["arn"]
    bad = define(two, "breaks", script="exit 1")
    deployment = ecs.update_daemon(daemonArn=arn, daemonTaskDefinitionArn=bad, capacityProviderArns=[PROVIDER])["deploymentArn"]

    def ended():
        told = ecs.describe_daemon_deployments(daemonDeploymentArns=[deployment])["daemonDeployments"][0]
        return told["status"] == "ROLLBACK_SUCCESSFUL" and told

    told = until(ended, 180, "it is rolled back")
    assert told["rollback"]["rollbackTargetDaemonRevisionArn"] == good
    assert told["circuitBreaker"]["status"] == "TRIGGERED" and told["circuitBreaker"]["failureCount"] >= 3
    assert ecs.describe_daemon(daemonArn=arn)["daemon"]["currentRevisions"][0]["arn"] == good
    assert len(tasks_of(two, "breaks")) == 2 and len(of_status(two, "ACTIVE")) == 2


def test_what_of_daemons_is_not_built_is_refused_by_name(two):
    definition = define(two, "plain")
    whole = {"daemonName": "d", "clusterArn": CLUSTER, "daemonTaskDefinitionArn": definition, "capacityProviderArns": [PROVIDER]}
    for member, given in [("enableExecuteCommand", {"enableExecuteCommand": True}),
                          ("alarms", {"deploymentConfiguration": {"alarms": {"alarmNames": ["a"], "enable": True}}})]:
        code, words = refused(two.ecs.create_daemon, **{**whole, **given})
        assert code == "UnsupportedFeatureException" and member in words, words
    assert refused(two.ecs.describe_daemon, daemonArn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:daemon/{CLUSTER}/none")[0] == "DaemonNotFoundException"
