"""Capacity providers: hosts that belong to one, what is distributed over them, and what waits until one comes."""

import collections
import json

import botocore.exceptions
import pytest

from harness import CLUSTER, SLEEP, container, until

GROUP = "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:0e8b2c2e-0000-4000-8000-000000000000:autoScalingGroupName/"


@pytest.fixture(scope="module")
def server(fresh):
    """A control plane without an agent."""
    server = fresh(start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    server.sleeper = server.define("sleeper", container(script=SLEEP, memory=16))
    return server


@pytest.fixture(scope="module")
def host(fresh, server):
    """Starts an agent on this machine whose host belongs to a capacity provider; its container instance."""

    def start(provider):
        agent = fresh(f'[agent]\ncapacity_provider = "{provider}"\n', start=False)
        agent.flags = ["--endpoint", server.endpoint]
        agent.env = agent.environment()
        agent.start("agent")

        def connected():
            arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
            found = arns and server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
            return [one for one in found if one.get("capacityProviderName") == provider and one["agentConnected"]]

        return until(connected, what="the agent connects")[0]["containerInstanceArn"]

    return start


def make(server, name, status="DISABLED", **members):
    given = {"autoScalingGroupArn": GROUP + name, "managedScaling": {"status": status}}
    return server.ecs.create_capacity_provider(name=name, autoScalingGroupProvider=given, **members)["capacityProvider"]


def put(server, providers, default=()):
    return server.ecs.put_cluster_capacity_providers(
        cluster=CLUSTER, capacityProviders=providers, defaultCapacityProviderStrategy=list(default))["cluster"]


def item(provider, weight, base=0):
    return {"capacityProvider": provider, "weight": weight, "base": base}


def described(server, name):
    found = server.ecs.describe_capacity_providers(capacityProviders=[name], include=["TAGS"])
    return found["capacityProviders"][0]


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def spread(server, arns):
    """How many of the tasks are of each capacity provider; each is on an instance of it."""
    tasks = server.tasks(arns)
    on = {task["containerInstanceArn"] for task in tasks}
    instances = server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=list(on))["containerInstances"]
    provider = {one["containerInstanceArn"]: one["capacityProviderName"] for one in instances}
    assert all(provider[task["containerInstanceArn"]] == task["capacityProviderName"] for task in tasks)
    return collections.Counter(task["capacityProviderName"] for task in tasks)


def of_service(server, name, count):
    """The tasks of a service, once it is steady with so many."""

    def steady():
        service = server.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
        return service["runningCount"] == count and len(service["deployments"]) == 1 and service["pendingCount"] == 0

    until(steady, what=f"{name} has {count} tasks")
    return server.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]


def test_a_provider_reads_back_as_it_was_made_and_goes_once_nothing_has_it(server):
    """What Terraform makes, reads and waits for."""
    tags = [{"key": "team", "value": "blue"}]
    made = make(server, "kept", tags=tags)
    assert (made["status"], made["type"], made["tags"]) == ("ACTIVE", "EC2_AUTOSCALING", tags)
    arn = made["capacityProviderArn"]
    group = described(server, arn)["autoScalingGroupProvider"]
    assert group == {
        "autoScalingGroupArn": GROUP + "kept", "managedTerminationProtection": "DISABLED", "managedDraining": "ENABLED",
        "managedScaling": {"status": "DISABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
                           "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300}}
    updated = server.ecs.update_capacity_provider(name="kept", autoScalingGroupProvider={
        "managedScaling": {"status": "ENABLED", "targetCapacity": 90}, "managedTerminationProtection": "ENABLED"})
    assert updated["capacityProvider"]["updateStatus"] in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    until(lambda: described(server, arn)["updateStatus"] == "UPDATE_COMPLETE", what="it is updated")
    server.ecs.tag_resource(resourceArn=arn, tags=[{"key": "more", "value": "1"}])
    assert len(server.ecs.list_tags_for_resource(resourceArn=arn)["tags"]) == 2
    cluster = put(server, ["kept", "FARGATE"], [item("kept", 1)])
    assert cluster["attachmentsStatus"] in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    shown = server.ecs.describe_clusters(clusters=[CLUSTER], include=["ATTACHMENTS"])["clusters"][0]
    assert (shown["capacityProviders"], shown["defaultCapacityProviderStrategy"]) == (["kept", "FARGATE"], [item("kept", 1)])
    assert (shown["status"], shown["attachmentsStatus"]) == ("ACTIVE", "UPDATE_COMPLETE")
    assert {one["type"] for one in shown["attachments"]} == {"as_policy", "managed_draining"}
    of_cluster = server.ecs.describe_capacity_providers(cluster=CLUSTER)["capacityProviders"]
    assert [one["name"] for one in of_cluster] == ["FARGATE", "kept"]
    failed = server.ecs.delete_capacity_provider(capacityProvider=arn)["capacityProvider"]
    assert failed["updateStatus"] == "DELETE_FAILED" and CLUSTER in failed["updateStatusReason"], failed
    put(server, [])
    server.ecs.delete_capacity_provider(capacityProvider=arn)
    until(lambda: described(server, arn)["status"] == "INACTIVE", what="it is deleted")
    code, text = refused(lambda: server.ecs.delete_capacity_provider(capacityProvider=arn))
    assert code == "ClientException" and "capacity provider does not exist" in text
    make(server, "kept")
    server.kill()
    server.start("server")
    until(server.said_ready, what="ready")
    assert described(server, "kept")["status"] == "ACTIVE", "what was answered is kept"


def test_one_of_managed_instances_comes_and_goes_with_its_cluster(server):
    server.ecs.create_cluster(clusterName="managed")
    template = {"ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
                "networkConfiguration": {"subnets": ["subnet-12345678"]}}
    server.ecs.create_capacity_provider(name="managed", cluster="managed", managedInstancesProvider={
        "infrastructureRoleArn": "arn:aws:iam::000000000000:role/r", "instanceLaunchTemplate": template})
    until(lambda: described(server, "managed")["status"] == "ACTIVE", what="its cluster has it")
    shown = server.ecs.describe_clusters(clusters=["managed"])["clusters"][0]
    assert shown["capacityProviders"] == ["managed"]
    assert refused(lambda: server.ecs.delete_cluster(cluster="managed"))[0] == "ClusterContainsCapacityProviderException"
    gone = lambda: server.ecs.delete_capacity_provider(capacityProvider="managed", cluster="managed")
    gone()
    until(lambda: described(server, "managed")["status"] == "INACTIVE", what="it is deleted")
    assert server.ecs.delete_cluster(cluster="managed")["cluster"]["status"] == "INACTIVE"


def test_tasks_wait_until_a_host_of_their_provider_comes(server, host):
    make(server, "grows", "ENABLED")
    put(server, ["grows"], [item("grows", 1)])
    started = server.ecs.run_task(cluster=CLUSTER, taskDefinition=server.sleeper, count=2)
    arns = [task["taskArn"] for task in started["tasks"]]
    assert not started["failures"] and {task["lastStatus"] for task in started["tasks"]} == {"PROVISIONING"}
    figures = json.loads(server.cli("capacity", "--json").stdout)
    assert (figures["provisioningTasks"], figures["capacityProviderReservation"]) == (2, 200), figures
    server.ecs.create_service(cluster=CLUSTER, serviceName="waits", taskDefinition=server.sleeper, desiredCount=1)
    instance = host("grows")
    for arn in arns:
        assert server.running(arn)["containerInstanceArn"] == instance
    assert spread(server, of_service(server, "waits", 1)) == {"grows": 1}
    assert json.loads(server.cli("capacity", "--json").stdout)["capacityProviderReservation"] == 100
    server.ecs.delete_service(cluster=CLUSTER, service="waits", force=True)
    for arn in arns:
        server.stop(arn)
        server.stopped(arn)


def test_a_strategy_with_base_and_weight_over_two_hosts(server, host):
    for name in ("one", "two"):
        make(server, name)
        host(name)
    put(server, ["grows", "one", "two"], [item("two", 1)])
    strategy = [item("one", 1, base=1), item("two", 2)]
    started = server.ecs.run_task(cluster=CLUSTER, taskDefinition=server.sleeper, count=7, capacityProviderStrategy=strategy)
    arns = [task["taskArn"] for task in started["tasks"]]
    assert not started["failures"], started["failures"]
    for arn in arns:
        server.running(arn)
    assert spread(server, arns) == {"one": 3, "two": 4}
    by_default = server.ecs.run_task(cluster=CLUSTER, taskDefinition=server.sleeper)["tasks"][0]
    assert by_default["capacityProviderName"] == "two"
    for arn in [*arns, by_default["taskArn"]]:
        server.stop(arn)
        server.stopped(arn)
    service = server.ecs.create_service(
        cluster=CLUSTER, serviceName="spread", taskDefinition=server.sleeper, desiredCount=7, capacityProviderStrategy=strategy)["service"]
    assert service["capacityProviderStrategy"] == strategy and "launchType" not in service
    assert spread(server, of_service(server, "spread", 7)) == {"one": 3, "two": 4}
    server.ecs.update_service(cluster=CLUSTER, service="spread", desiredCount=4)
    assert spread(server, of_service(server, "spread", 4)) == {"one": 2, "two": 2}
    change = lambda **more: server.ecs.update_service(
        cluster=CLUSTER, service="spread", capacityProviderStrategy=[item("one", 1)], **more)
    assert "you must force a new deployment" in refused(change)[1]
    change(forceNewDeployment=True)
    assert spread(server, of_service(server, "spread", 4)) == {"one": 4}
    assert refused(lambda: put(server, ["two"]))[0] == "ResourceInUseException"
    server.ecs.delete_service(cluster=CLUSTER, service="spread", force=True)
    # Until the last task has stopped, its provider is in use.
    server.inactive(["waits", "spread"])
    put(server, [])
