"""Task definitions: what is given comes back with what ECS itself adds, words of refusals, and what a host does with the
members by which containers share or have of their own: processes, IPC, ranges of ports, the network, GPUs."""

import botocore.exceptions
import pytest

from harness import ACCOUNT, CLUSTER, IMAGE, REGION, SLEEP, awslogs, container, exit_codes, get, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"
ADDED = {"cpu": 0, "essential": True, "environment": [], "mountPoints": [], "volumesFrom": [], "systemControls": [],
         "portMappings": []}
# GPUs that are none: devices that a container has not by itself, or has.
CONFIG = """
[agent.gpus]
GPU-a = ["/dev/kmsg"]
GPU-b = ["/dev/kmsg", "/dev/full"]
"""


@pytest.fixture(scope="module")
def roadstead(fresh):
    return fresh(CONFIG)


def refused(call, **members):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**members)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def fargate(**members):
    """A definition of the kind that people run on Fargate."""
    return {
        "family": "fargate", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "1024", "memory": "3072",
        "executionRoleArn": ROLE, "pidMode": "task", "ephemeralStorage": {"sizeInGiB": 50},
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "volumes": [{"name": "scratch"}],
        "containerDefinitions": [{
            "name": "web", "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/web:7", "cpu": 512, "memory": 2048,
            "memoryReservation": 1024, "portMappings": [
                {"containerPort": 8080, "name": "http", "appProtocol": "http2"},
                {"containerPortRange": "9000-9010", "protocol": "udp"}],
            "command": [], "ulimits": [], "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
            "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}],
            "healthCheck": {"command": ["CMD-SHELL", "true"]}, "user": "1000", "readonlyRootFilesystem": True,
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"add": ["SYS_PTRACE"], "drop": ["ALL"]}},
            "versionConsistency": "disabled", "startTimeout": 60, "stopTimeout": 120, "dockerLabels": {"team": "shop"},
            "restartPolicy": {"enabled": True, "ignoredExitCodes": [0], "restartAttemptPeriod": 180},
            "logConfiguration": awslogs(mode="non-blocking", max_buffer_size="25m"),
            "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}],
        }, {"name": "init", "image": IMAGE, "essential": False, "systemControls": [
            {"namespace": "net.core.somaxconn", "value": "1024"}]}],
        "tags": [{"key": "team", "value": "shop"}], **members}


def test_a_broad_definition_comes_back_with_what_ecs_adds(roadstead):
    given = fargate()
    made = roadstead.ecs.register_task_definition(**given)
    told = roadstead.ecs.describe_task_definition(taskDefinition="fargate", include=["TAGS"])
    assert (made["tags"], told["tags"]) == (given.pop("tags"),) * 2
    assert made["taskDefinition"] == told["taskDefinition"]
    assert roadstead.ecs.describe_task_definition(taskDefinition="fargate")["tags"] == []
    web, init = given["containerDefinitions"]
    web["healthCheck"] |= {"interval": 30, "timeout": 5, "retries": 3}
    web["portMappings"][0] |= {"hostPort": 8080, "protocol": "tcp"}
    given["containerDefinitions"] = [{**ADDED, **web}, {**ADDED, **init}]
    given["volumes"] = [{"name": "scratch", "host": {}}]
    derived = {name: told["taskDefinition"].pop(name) for name in (
        "taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "requiresAttributes", "compatibilities")}
    assert told["taskDefinition"] == {**given, "placementConstraints": []}
    assert (derived["revision"], derived["status"]) == (1, "ACTIVE")
    assert derived["compatibilities"] == ["EC2", "FARGATE"]
    asked = {attribute["name"].split("capability.")[1] for attribute in derived["requiresAttributes"]}
    api = {f"docker-remote-api.1.{minor}" for minor in (17, 18, 19, 21, 24, 25, 28, 29)}
    assert asked == api | {
        "task-eni", "ecr-auth", "execution-role-ecr-pull", "execution-role-awslogs", "logging-driver.awslogs",
        "container-health-check", "container-ordering", "container-restart-policy", "network.container-port-range",
        "pid-ipc-namespace-sharing"}
    # The CLI sends what it was answered, and gets another revision of the same.
    again = {name: value for name, value in told["taskDefinition"].items()}
    assert roadstead.ecs.register_task_definition(**again)["taskDefinition"]["revision"] == 2


@pytest.mark.parametrize("change, words", [
    ({"networkMode": "bridge"}, "Fargate only supports network mode \u2018awsvpc\u2019."),
    ({"cpu": "1000"}, "No Fargate configuration exists for given values: 1000 CPU, 3072 memory. See the Amazon ECS "
                      "documentation for the valid values."),
    ({"ipcMode": "host"}, "Fargate compatible task definitions do not support ipcMode"),
    ({"ephemeralStorage": {"sizeInGiB": 20}}, "EphemeralStorage size should be at least 21"),
    ({"requiresCompatibilities": ["EC2"]}, "Tasks using the EC2 launch type do not support EphemeralStorage."),
    ({"inferenceAccelerators": [{"deviceName": "d", "deviceType": "t"}]}, "Unsupported field 'inferenceAccelerators'."),
])
def test_refusals_are_in_ecs_s_words(roadstead, change, words):
    assert refused(roadstead.ecs.register_task_definition, **fargate(**change)) == ("ClientException", words)


def test_what_cannot_run_yet_says_so(roadstead):
    arn = roadstead.ecs.register_task_definition(**fargate(family="waits"))["taskDefinition"]["taskDefinitionArn"]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    run = dict(cluster=CLUSTER, taskDefinition=arn)
    code, message = refused(roadstead.ecs.run_task, **run, launchType="EXTERNAL", networkConfiguration=network)
    assert code == "UnsupportedFeatureException" and "EXTERNAL" in message
    assert refused(roadstead.ecs.run_task, **run)[1] == (
        "Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    code, message = refused(roadstead.ecs.create_service, cluster=CLUSTER, serviceName="waits", taskDefinition=arn,
                            desiredCount=1, networkConfiguration=network)
    assert code == "InvalidParameterException" and "InvalidSubnetID.NotFound" in message
    windows = roadstead.define("windows", container(), runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"})
    answer = roadstead.ecs.run_task(cluster=CLUSTER, taskDefinition=windows)
    assert [failure["reason"] for failure in answer["failures"]] == ["ATTRIBUTE"]


def test_revisions_end(roadstead):
    ecs = roadstead.ecs
    roadstead.define("ends", container())
    assert refused(ecs.deregister_task_definition, taskDefinition="ends:9") == (
        "ClientException", "Unable to deregister task definition.")
    ecs.deregister_task_definition(taskDefinition="ends:1")
    deleted = ecs.delete_task_definitions(taskDefinitions=["ends:1", "ends", "ends:9"])
    assert [one["status"] for one in deleted["taskDefinitions"]] == ["DELETE_IN_PROGRESS"]
    assert [failure["arn"] for failure in deleted["failures"]] == ["ends", "ends:9"]


def run(roadstead, family, *containers, **members):
    arn = roadstead.run(roadstead.define(family, *containers, **members))[0]
    return arn, roadstead.running(arn)


def end(roadstead, arn):
    roadstead.stop(arn)
    return roadstead.stopped(arn)


def test_containers_of_a_task_share_processes_and_ipc(roadstead):
    watch = container("watch", "trap 'exit 0' TERM; until ps | grep -q '[s]leep 4321'; do sleep 0.1; done; echo sees; "
                               "until test -e /dev/shm/note; do sleep 0.1; done; cat /dev/shm/note; sleep 1000 & wait",
                      logConfiguration=awslogs())
    other = container("other", "trap 'exit 0' TERM; echo hello > /dev/shm/note; sleep 4321 & wait")
    arn, _ = run(roadstead, "shares", watch, other, pidMode="task", ipcMode="task")
    assert roadstead.output(arn, "watch", lines=2) == ["sees", "hello"]
    assert exit_codes(end(roadstead, arn)) == {"watch": 0, "other": 0}


@pytest.mark.parametrize("mode, script", [
    ({"pidMode": "host"}, "ps | grep -q [r]oadstead"),
    ({"ipcMode": "none"}, "test ! -e /dev/shm"),
    ({"ipcMode": "host"}, "grep -q ' /dev/shm ' /proc/mounts"),
])
def test_containers_share_with_the_host_or_with_nobody(roadstead, mode, script):
    assert exit_codes(roadstead.finish(roadstead.define("modes", container(script=script), **mode))) == {"main": 0}


def test_a_range_of_ports_is_published_side_by_side(roadstead):
    script = ("for n in 0 1 2; do mkdir /tmp/$n; echo $n > /tmp/$n/index.html; httpd -p 808$n -h /tmp/$n; done; " + SLEEP)
    arn, _ = run(roadstead, "ranges", container(script=script, portMappings=[
        {"containerPortRange": "8080-8082"}, {"containerPort": 9999}]))
    bindings = until(lambda: roadstead.task(arn)["containers"][0].get("networkBindings"), what="bindings")
    ranged, single = bindings
    assert (ranged["containerPortRange"], ranged["protocol"]) == ("8080-8082", "tcp")
    assert "containerPort" not in ranged and single["containerPort"] == 9999
    first, last = map(int, ranged["hostPortRange"].split("-"))
    assert last - first == 2
    for number in range(3):
        until(lambda number=number: get(first + number) == f"{number}\n", what=f"port {first + number} answers")
    end(roadstead, arn)


def test_a_container_without_a_network_among_others(roadstead):
    quiet = container("quiet", "test $(ls /sys/class/net) = lo", disableNetworking=True, essential=False)
    loud = container("loud", "ls /sys/class/net | grep -q eth0", dependsOn=[{"containerName": "quiet", "condition": "SUCCESS"}])
    assert exit_codes(roadstead.finish(roadstead.define("quiet", quiet, loud))) == {"quiet": 0, "loud": 0}


def test_gpus_are_given_to_one_container_at_a_time(roadstead):
    one = [{"type": "GPU", "value": "1"}]
    first = container("first", f"echo $NVIDIA_VISIBLE_DEVICES; {SLEEP}", resourceRequirements=one, logConfiguration=awslogs())
    second = container("second", f"echo $NVIDIA_VISIBLE_DEVICES; {SLEEP}", resourceRequirements=one, logConfiguration=awslogs())
    arn, task = run(roadstead, "gpus", first, second)
    assert {c["name"]: c["gpuIds"] for c in task["containers"]} == {"first": ["GPU-a"], "second": ["GPU-b"]}
    assert (roadstead.output(arn, "first"), roadstead.output(arn, "second")) == (["GPU-a"], ["GPU-b"])
    instance = roadstead.ecs.describe_container_instances(
        cluster=CLUSTER, containerInstances=[task["containerInstanceArn"]])["containerInstances"][0]
    ids = lambda of: [r["stringSetValue"] for r in instance[of] if r["name"] == "GPU"]
    assert (ids("registeredResources"), ids("remainingResources")) == ([["GPU-a", "GPU-b"]], [[]])
    single = roadstead.define("gpu", container(script="test -c /dev/kmsg", resourceRequirements=one))
    answer = roadstead.ecs.run_task(cluster=CLUSTER, taskDefinition=single)
    assert [failure["reason"] for failure in answer["failures"]] == ["RESOURCE:GPU"]
    end(roadstead, arn)
    assert exit_codes(roadstead.finish(single)) == {"main": 0}
    without = roadstead.define("none", container(script="test ! -e /dev/kmsg && test -z \"$NVIDIA_VISIBLE_DEVICES\""))
    assert exit_codes(roadstead.finish(without)) == {"main": 0}
