"""Tasks on Fargate: on the host that `roadstead up` gives to it, shown as ECS shows them, and refused as it refuses them."""

import datetime
import json
import subprocess
import urllib.request

import botocore.exceptions
import pytest

from harness import BIN, CLUSTER, SLEEP, WEB, container, until

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"


@pytest.fixture(scope="module")
def ec2(roadstead):
    return roadstead.client("ec2")


@pytest.fixture(scope="module")
def network(ec2):
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]}}


@pytest.fixture(scope="module")
def definition(roadstead):
    size = dict(networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512")
    return roadstead.define("fargate", container(script=SLEEP), **size)


@pytest.fixture(scope="module")
def able(roadstead):
    """The host is given to Fargate, and can give tasks interfaces."""
    instance, = instances(roadstead)
    names = {attribute["name"]: attribute.get("value") for attribute in instance["attributes"]}
    assert names["roadstead.fargate"] == "true"
    if "ecs.capability.task-eni" not in names:
        pytest.skip("this kernel has not what interfaces of tasks need")


@pytest.fixture(scope="module")
def providers(roadstead):
    roadstead.ecs.put_cluster_capacity_providers(
        cluster=CLUSTER, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[])


def instances(roadstead):
    arns = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    return roadstead.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]


def left(roadstead):
    instance, = instances(roadstead)
    return {of["name"]: of["integerValue"] for of in instance["remainingResources"] if of["type"] == "INTEGER"}


def refused(call, **members):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_task_runs_and_shows_no_container_instance(roadstead, definition, network, able):
    before = left(roadstead)
    arn, = roadstead.run(definition, launchType="FARGATE", networkConfiguration=network)
    task = roadstead.running(arn)
    assert (task["launchType"], task["platformVersion"], task["platformFamily"]) == ("FARGATE", "1.4.0", "Linux")
    assert "containerInstanceArn" not in task and "capacityProviderName" not in task
    assert task["ephemeralStorage"] == {"sizeInGiB": 20} == task["fargateEphemeralStorage"]
    assert (task["cpu"], task["memory"], task["availabilityZone"]) == ("256", "512", "us-east-1a")
    attachment, = task["attachments"]
    assert (attachment["type"], attachment["status"]) == ("ElasticNetworkInterface", "ATTACHED")
    # All of the task together has no more than its size.
    limit = roadstead.cgroup_value(arn, "", "memory.max", "memory.limit_in_bytes")
    assert int(limit) == 512 << 20
    # One ledger: its container instance counts it, and shows it not.
    instance, = instances(roadstead)
    assert (instance["runningTasksCount"], instance["pendingTasksCount"]) == (0, 0)
    now = left(roadstead)
    assert (before["CPU"] - now["CPU"], before["MEMORY"] - now["MEMORY"]) == (256, 512)
    listed = dict(cluster=CLUSTER, containerInstance=instance["containerInstanceArn"])
    assert roadstead.ecs.list_tasks(**listed)["taskArns"] == []
    assert roadstead.ecs.list_tasks(cluster=CLUSTER, launchType="FARGATE")["taskArns"] == [arn]
    cluster, = roadstead.ecs.describe_clusters(clusters=[CLUSTER], include=["STATISTICS"])["clusters"]
    counts = {of["name"]: of["value"] for of in cluster["statistics"]}
    assert (counts["runningFargateTasksCount"], counts["runningEC2TasksCount"]) == ("1", "0")
    assert (cluster["registeredContainerInstancesCount"], cluster["runningTasksCount"]) == (1, 1)
    # It outlives the program.
    roadstead.kill()
    roadstead.up()
    roadstead.stop(arn)
    task = roadstead.stopped(arn)
    assert [one["exitCode"] for one in task["containers"]] == [0]
    until(lambda: left(roadstead) == before, what="all of it is given back")


def test_a_strategy_says_of_which_provider_each_is(roadstead, definition, network, able, providers):
    strategy = [{"capacityProvider": "FARGATE", "base": 1, "weight": 0},
                {"capacityProvider": "FARGATE_SPOT", "base": 0, "weight": 1}]
    arns = roadstead.run(definition, 2, capacityProviderStrategy=strategy, networkConfiguration=network)
    shown = [(task["launchType"], task["capacityProviderName"]) for task in map(roadstead.running, arns)]
    assert shown == [("FARGATE", "FARGATE"), ("FARGATE", "FARGATE_SPOT")]
    for arn in arns:
        roadstead.stop(arn)
    for arn in arns:
        roadstead.stopped(arn)


def test_a_service_is_deployed_there(roadstead, definition, network, able):
    service = roadstead.ecs.create_service(
        cluster=CLUSTER, serviceName="on-fargate", taskDefinition=definition, desiredCount=2, launchType="FARGATE",
        platformVersion="LATEST", networkConfiguration=network)["service"]
    assert (service["launchType"], service["platformVersion"], service["platformFamily"]) == ("FARGATE", "LATEST", "Linux")
    roadstead.wait("services_stable", services=["on-fargate"])
    service, = roadstead.ecs.describe_services(cluster=CLUSTER, services=["on-fargate"])["services"]
    deployment, = service["deployments"]
    assert (deployment["runningCount"], deployment["platformVersion"], deployment["launchType"]) == (2, "1.4.0", "FARGATE")
    before = set(roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="on-fargate")["taskArns"])
    roadstead.ecs.update_service(cluster=CLUSTER, service="on-fargate", forceNewDeployment=True)
    roadstead.wait("services_stable", services=["on-fargate"])
    after = set(roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="on-fargate")["taskArns"])
    assert len(after) == 2 and not before & after
    roadstead.delete_services(["on-fargate"])


def test_what_fargate_has_not_is_refused_in_the_words_of_ecs(roadstead, definition, network, able):
    run = dict(cluster=CLUSTER, launchType="FARGATE", networkConfiguration=network)
    plain = roadstead.define("plain", container(script=SLEEP))
    for more, code, message in [
        ({"taskDefinition": plain}, "InvalidParameterException", "Task definition does not support launch_type FARGATE."),
        ({"placementConstraints": [{"type": "distinctInstance"}]}, "InvalidParameterException",
         "Placement constraints are not supported with FARGATE launch type."),
        ({"placementStrategy": [{"type": "random"}]}, "InvalidParameterException",
         "Placement strategies are not supported with FARGATE launch type."),
        ({"platformVersion": "1.5.0"}, "PlatformUnknownException", "The specified platform version does not exist."),
        ({"overrides": {"memory": "2560"}}, "InvalidParameterException", "No Fargate configuration exists for given values."),
    ]:
        assert refused(roadstead.ecs.run_task, **{**run, "taskDefinition": definition, **more}) == (code, message)
    code, message = refused(
        roadstead.ecs.run_task, cluster=CLUSTER, taskDefinition=definition, launchType="FARGATE")
    assert message == "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    huge = roadstead.define("huge", container(script=SLEEP), networkMode="awsvpc", cpu="16384", memory="122880")
    answer = roadstead.ecs.run_task(**run, taskDefinition=huge)
    assert (answer["tasks"], [failure["reason"] for failure in answer["failures"]]) == ([], [NO_CAPACITY])


def interrupt(roadstead, arn, *flags):
    done = subprocess.run([BIN, "fargate", "interrupt", arn, "--cluster", CLUSTER, *flags], env=roadstead.environment(),
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_an_interrupted_task_is_warned_and_replaced(roadstead, definition, network, able, providers):
    events = roadstead.client("events")
    logs = "/aws/events/interrupted"
    roadstead.logs.create_log_group(logGroupName=logs)
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": {"stopCode": ["SpotInterruption"]}}
    events.put_rule(Name="interrupted", EventPattern=json.dumps(pattern))
    group = roadstead.logs.describe_log_groups(logGroupNamePrefix=logs)["logGroups"][0]["arn"].removesuffix(":*")
    assert events.put_targets(Rule="interrupted", Targets=[{"Id": "logs", "Arn": group}])["FailedEntryCount"] == 0
    roadstead.ecs.create_service(
        cluster=CLUSTER, serviceName="spot", taskDefinition=definition, desiredCount=1, networkConfiguration=network,
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
    roadstead.wait("services_stable", services=["spot"])
    arn, = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="spot")["taskArns"]
    roadstead.running(arn)
    code, said = interrupt(roadstead, arn, "--warning", "3")
    assert code == 0 and "RUNNING, Your Spot Task was interrupted." in said
    task = roadstead.task(arn)
    assert (task["lastStatus"], task["desiredStatus"], task["stopCode"]) == ("RUNNING", "STOPPED", "SpotInterruption")
    # Another one has come before it goes.
    until(lambda: roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="spot")["taskArns"], what="another task")
    another, = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="spot")["taskArns"]
    roadstead.running(another)
    task = roadstead.stopped(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("SpotInterruption", "Your Spot Task was interrupted.")
    assert [one["exitCode"] for one in task["containers"]] == [0], "it was asked to stop"
    assert (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds() >= 2.5, "not before its warning was over"

    def told():
        found = roadstead.logs.filter_log_events(logGroupName=logs)["events"]
        details = [json.loads(event["message"])["detail"] for event in found]
        return [detail["lastStatus"] for detail in details if detail["taskArn"] == arn]

    until(lambda: "STOPPED" in told(), what="all of its events")
    assert told()[0] == "RUNNING", "the warning comes first"
    code, said = interrupt(roadstead, "0" * 32)
    assert code == 1 and "The referenced task was not found." in said
    roadstead.delete_services(["spot"])
    events.remove_targets(Rule="interrupted", Ids=["logs"])
    events.delete_rule(Name="interrupted")


def public_address(ec2, task):
    details = {one["name"]: one["value"] for one in task["attachments"][0]["details"]}
    interface, = ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"]
    return interface


def opened(ec2, group, port=80):
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp="0.0.0.0/0")


def says(address):
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
            return answer.read().decode().strip() == "here"
    except OSError:
        return False


@pytest.fixture(scope="module")
def web(roadstead):
    size = dict(networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512")
    return roadstead.define("fargate-web", container(script=WEB), **size)


def test_a_task_is_reached_by_its_public_address(roadstead, ec2, web, network, able):
    subnets = network["awsvpcConfiguration"]["subnets"]
    group = ec2.create_security_group(GroupName="public", Description="d")["GroupId"]
    opened(ec2, group)
    own = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [group], "assignPublicIp": "ENABLED"}}
    arn, = roadstead.run(web, launchType="FARGATE", networkConfiguration=own)
    task = roadstead.running(arn)
    interface = public_address(ec2, task)
    association = interface["Association"]
    assert association["IpOwnerId"] == "amazon" and "AllocationId" not in association
    assert interface["PrivateIpAddresses"][0]["Association"] == association
    by = [{"Name": "association.public-ip", "Values": [association["PublicIp"]]}]
    found, = ec2.describe_network_interfaces(Filters=by)["NetworkInterfaces"]
    assert found["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    until(lambda: says(association["PublicIp"]), what="an answer at its public address")
    gateway, = ec2.describe_internet_gateways()["InternetGateways"]
    code, _ = refused(ec2.detach_internet_gateway, InternetGatewayId=gateway["InternetGatewayId"], VpcId=interface["VpcId"])
    assert code == "DependencyViolation"
    # It is the group that lets in.
    ec2.revoke_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
    until(lambda: not says(association["PublicIp"]), what="no answer any more")
    # One without has none, and says so.
    plain, = roadstead.run(web, launchType="FARGATE", networkConfiguration=network)
    assert "Association" not in public_address(ec2, roadstead.running(plain))
    for one in (arn, plain):
        roadstead.stop(one)
    for one in (arn, plain):
        roadstead.stopped(one)
    ec2.delete_security_group(GroupId=group)


def test_rules_and_schedules_run_tasks_there(roadstead, definition, network, able, providers):
    events, scheduler = roadstead.client("events"), roadstead.client("scheduler")
    role = "arn:aws:iam::000000000000:role/runs"
    cluster = roadstead.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["clusterArn"]
    own = {"awsvpcConfiguration": {"Subnets": network["awsvpcConfiguration"]["subnets"]}}
    events.put_rule(Name="wanted", EventPattern=json.dumps({"source": ["e2e"]}))
    target = {"TaskDefinitionArn": definition, "TaskCount": 1, "LaunchType": "FARGATE", "PlatformVersion": "LATEST",
              "NetworkConfiguration": own}
    events.put_targets(Rule="wanted", Targets=[{"Id": "t", "Arn": cluster, "RoleArn": role, "EcsParameters": target}])
    events.put_events(Entries=[{"Source": "e2e", "DetailType": "d", "Detail": "{}"}])
    at = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    of_spot = {"TaskDefinitionArn": definition, "NetworkConfiguration": own,
               "CapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    scheduler.create_schedule(
        Name="wanted", ScheduleExpression=at, FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": cluster, "RoleArn": role, "EcsParameters": of_spot})

    def running():
        arns = roadstead.ecs.list_tasks(cluster=CLUSTER, launchType="FARGATE")["taskArns"]
        tasks = roadstead.tasks(arns) if arns else []
        return len([task for task in tasks if task["lastStatus"] == "RUNNING"]) == 2 and tasks

    tasks = until(running, what="a task of the rule, and one of the schedule")
    assert {task.get("capacityProviderName") for task in tasks} == {None, "FARGATE_SPOT"}
    for task in tasks:
        roadstead.running(task["taskArn"])
        roadstead.stop(task["taskArn"])
        roadstead.stopped(task["taskArn"])
    events.remove_targets(Rule="wanted", Ids=["t"])
    events.delete_rule(Name="wanted")
    scheduler.delete_schedule(Name="wanted")


def test_a_host_that_is_drained_warns_its_tasks_of_spot(roadstead, definition, network, able, providers):
    spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    of_spot, = roadstead.run(definition, capacityProviderStrategy=spot, networkConfiguration=network)
    plain, = roadstead.run(definition, launchType="FARGATE", networkConfiguration=network)
    for arn in (of_spot, plain):
        roadstead.running(arn)
    instance, = instances(roadstead)
    host = [instance["containerInstanceArn"]]
    roadstead.ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=host, status="DRAINING")
    # Two minutes pass before it is stopped.
    task = until(lambda: roadstead.task(of_spot)["desiredStatus"] == "STOPPED" and roadstead.task(of_spot), what="a warning")
    assert (task["lastStatus"], task["stopCode"]) == ("RUNNING", "SpotInterruption")
    assert roadstead.task(plain)["desiredStatus"] == "RUNNING"
    answer = roadstead.ecs.run_task(
        cluster=CLUSTER, taskDefinition=definition, launchType="FARGATE", networkConfiguration=network)
    assert [failure["reason"] for failure in answer["failures"]] == [NO_CAPACITY]
    roadstead.ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=host, status="ACTIVE")
    roadstead.stop(plain)
    roadstead.stopped(plain)
