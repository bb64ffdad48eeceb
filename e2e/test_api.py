"""Every built operation through boto3, a spread of them through the AWS CLI, all paginators, exact errors."""

import datetime
import json
import socket
import urllib.error
import urllib.parse
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from harness import ACCOUNT, CLUSTER, REGION, SLEEP, container, exit_codes, until

ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"


def refused(call, **members):
    """The code and the message of the error that a call answers."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["RequestId"]
    return error["Code"], error["Message"]


def pages(client, operation, key, **members):
    """All items of a paginator, two on a page."""
    found = client.get_paginator(operation).paginate(**members, PaginationConfig={"PageSize": 2})
    return [item for page in found for item in page[key]]


def test_ready_line_and_who_am_i(roadstead):
    assert roadstead.ready_line == f"ready endpoint={roadstead.endpoint} cluster={CLUSTER}"
    assert roadstead.sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert roadstead.aws("sts", "get-caller-identity")["Account"] == ACCOUNT


def test_clusters(roadstead):
    ecs = roadstead.ecs
    for name in ("red", "green", "blue"):
        made = ecs.create_cluster(clusterName=name, tags=[{"key": "colour", "value": name}])["cluster"]
        assert (made["clusterArn"], made["status"]) == (f"{ARN}:cluster/{name}", "ACTIVE")
    assert sorted(pages(ecs, "list_clusters", "clusterArns")) == sorted(
        f"{ARN}:cluster/{name}" for name in ("red", "green", "blue", CLUSTER))
    on = [{"name": "containerInsights", "value": "enabled"}]
    assert ecs.update_cluster_settings(cluster="red", settings=on)["cluster"]["settings"] == on
    off = [{"name": "containerInsights", "value": "disabled"}]
    assert ecs.update_cluster_settings(cluster="red", settings=off)["cluster"]["settings"] == off
    assert ecs.update_cluster(cluster="red", settings=off)["cluster"]["settings"] == off
    answer = ecs.describe_clusters(
        clusters=["red", "none"], include=["TAGS", "SETTINGS", "STATISTICS", "CONFIGURATIONS", "ATTACHMENTS"])
    red = answer["clusters"][0]
    assert red["tags"] == [{"key": "colour", "value": "red"}] and red["settings"] == off
    assert {"name": "runningEC2TasksCount", "value": "0"} in red["statistics"]
    assert answer["failures"] == [{"arn": f"{ARN}:cluster/none", "reason": "MISSING"}]
    assert refused(ecs.delete_cluster, cluster=CLUSTER)[0] == "ClusterContainsContainerInstancesException"
    for name in ("red", "green", "blue"):
        assert ecs.delete_cluster(cluster=name)["cluster"]["status"] == "INACTIVE"
    assert roadstead.aws("ecs", "list-clusters") == {"clusterArns": [f"{ARN}:cluster/{CLUSTER}"]}


def test_task_definitions(roadstead):
    ecs = roadstead.ecs
    given = container(
        "app", "true", cpu=10, environment=[{"name": "A", "value": "b"}],
        portMappings=[{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}])
    for _ in range(3):
        answer = ecs.register_task_definition(
            family="papers", containerDefinitions=[given], networkMode="bridge", tags=[{"key": "k", "value": "v"}])
    assert answer["taskDefinition"]["taskDefinitionArn"] == f"{ARN}:task-definition/papers:3"
    for family in ("papers-b", "papers-c"):
        ecs.register_task_definition(family=family, containerDefinitions=[given])
    told = ecs.describe_task_definition(taskDefinition="papers", include=["TAGS"])
    assert told["tags"] == [{"key": "k", "value": "v"}]
    assert told["taskDefinition"]["revision"] == 3 and told["taskDefinition"]["status"] == "ACTIVE"
    echoed = told["taskDefinition"]["containerDefinitions"][0]
    assert {name: echoed[name] for name in given} == given
    arns = [f"{ARN}:task-definition/papers:{revision}" for revision in (1, 2, 3)]
    assert pages(ecs, "list_task_definitions", "taskDefinitionArns", familyPrefix="papers", sort="ASC") == arns
    families = pages(ecs, "list_task_definition_families", "families", familyPrefix="papers", status="ACTIVE")
    assert families == ["papers", "papers-b", "papers-c"]
    assert ecs.deregister_task_definition(taskDefinition="papers:1")["taskDefinition"]["status"] == "INACTIVE"
    assert refused(ecs.delete_task_definitions, taskDefinitions=["papers:1"] * 11)[0] == "InvalidParameterException"
    deleted = ecs.delete_task_definitions(taskDefinitions=["papers:1"])["taskDefinitions"][0]
    assert deleted["status"] == "DELETE_IN_PROGRESS"
    assert ecs.list_task_definitions(familyPrefix="papers")["taskDefinitionArns"] == arns[1:]


def test_tasks_tags_and_listing(roadstead):
    ecs = roadstead.ecs
    definition = roadstead.define("sleeper", container(script=SLEEP))
    arns = roadstead.run(definition, 3, startedBy="me", group="mine", tags=[{"key": "n", "value": "1"}])
    roadstead.wait("tasks_running", tasks=arns)
    listed = pages(ecs, "list_tasks", "taskArns", cluster=CLUSTER, family="sleeper")
    assert sorted(listed) == sorted(arns)
    assert sorted(ecs.list_tasks(cluster=CLUSTER, startedBy="me")["taskArns"]) == sorted(arns)
    task = ecs.describe_tasks(cluster=CLUSTER, tasks=[arns[0]], include=["TAGS"])["tasks"][0]
    assert task["tags"] == [{"key": "n", "value": "1"}] and task["group"] == "mine"
    assert (task["lastStatus"], task["desiredStatus"], task["launchType"]) == ("RUNNING", "RUNNING", "EC2")
    assert task["createdAt"] <= task["pullStartedAt"] <= task["pullStoppedAt"] <= task["startedAt"]
    ecs.tag_resource(resourceArn=arns[0], tags=[{"key": "m", "value": "2"}])
    ecs.untag_resource(resourceArn=arns[0], tagKeys=["n"])
    assert ecs.list_tags_for_resource(resourceArn=arns[0])["tags"] == [{"key": "m", "value": "2"}]
    for arn in arns:
        asked = roadstead.stop(arn, reason="enough")
        assert asked["desiredStatus"] == "STOPPED"
    roadstead.wait("tasks_stopped", tasks=arns)
    for task in roadstead.tasks(arns):
        assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
        assert task["createdAt"] <= task["startedAt"] <= task["stoppingAt"] <= task["stoppedAt"]
    assert sorted(ecs.list_tasks(cluster=CLUSTER, desiredStatus="STOPPED", family="sleeper")["taskArns"]) == sorted(arns)


def test_client_token_runs_a_task_once(roadstead):
    definition = roadstead.define("once", container(script="true"))
    first = roadstead.run(definition, clientToken="token-1")
    assert roadstead.run(definition, clientToken="token-1") == first
    code, _ = refused(roadstead.ecs.run_task, cluster=CLUSTER, taskDefinition=definition, clientToken="token-1", count=2)
    assert code == "ConflictException"
    assert exit_codes(roadstead.stopped(first[0])) == {"main": 0}
    # A token that started nothing is not used up.
    nowhere = [{"type": "memberOf", "expression": "attribute:rack == none"}]
    for _ in range(2):
        answer = roadstead.ecs.run_task(
            cluster=CLUSTER, taskDefinition=definition, clientToken="token-2", placementConstraints=nowhere)
        assert answer["tasks"] == [] and answer["failures"]


def test_container_instances_and_attributes(roadstead):
    ecs = roadstead.ecs
    arns = pages(ecs, "list_container_instances", "containerInstanceArns", cluster=CLUSTER)
    assert len(arns) == 1
    instance = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"][0]
    assert instance["status"] == "ACTIVE" and instance["agentConnected"]
    resources = {r["name"]: r.get("integerValue") for r in instance["registeredResources"]}
    assert resources["CPU"] >= 1024 and resources["MEMORY"] > 500
    attributes = {a["name"]: a.get("value") for a in instance["attributes"]}
    assert attributes["ecs.os-type"] == "linux"
    rack = {"name": "rack", "value": "r1", "targetType": "container-instance", "targetId": arns[0]}
    ecs.put_attributes(cluster=CLUSTER, attributes=[rack])
    found = pages(ecs, "list_attributes", "attributes", cluster=CLUSTER, targetType="container-instance", attributeName="rack")
    assert [(a["name"], a["value"], a["targetId"]) for a in found] == [("rack", "r1", arns[0])]
    definition = roadstead.define("placed", container(script="true"))
    here = [{"type": "memberOf", "expression": "attribute:rack == r1"}]
    assert exit_codes(roadstead.finish(definition, placementConstraints=here)) == {"main": 0}
    nowhere = [{"type": "memberOf", "expression": "attribute:rack == r2"}]
    answer = ecs.run_task(cluster=CLUSTER, taskDefinition=definition, placementConstraints=nowhere)
    assert answer["tasks"] == [] and answer["failures"][0]["reason"] == "MemberOf placement constraint unsatisfied."
    # Cluster queries have regular expressions of Java.
    for expression, found in (("attribute:rack =~ (?!dev).*", 1), ("attribute:rack =~ (?!r).*", 0), ("attribute:rack =~ [a-z&&[^x]]\\d++", 1)):
        assert len(ecs.list_container_instances(cluster=CLUSTER, filter=expression)["containerInstanceArns"]) == found, expression
    assert exit_codes(roadstead.finish(definition, placementConstraints=[
        {"type": "memberOf", "expression": "attribute:rack =~ (?!dev).*"}])) == {"main": 0}
    assert refused(ecs.list_container_instances, cluster=CLUSTER, filter="attribute:rack =~ (?U)a") == (
        "InvalidParameterException", "Invalid expression: the regular expression '(?U)a' cannot be used ('(?U' is not "
        "supported; flags are i and s) at position 18")
    ecs.delete_attributes(cluster=CLUSTER, attributes=[{k: rack[k] for k in ("name", "targetType", "targetId")}])
    assert pages(ecs, "list_attributes", "attributes", cluster=CLUSTER, targetType="container-instance", attributeName="rack") == []
    started = ecs.start_task(cluster=CLUSTER, taskDefinition=definition, containerInstances=arns)["tasks"][0]
    assert exit_codes(roadstead.stopped(started["taskArn"])) == {"main": 0}
    draining = ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=arns, status="DRAINING")
    assert draining["containerInstances"][0]["status"] == "DRAINING"
    assert refused(ecs.run_task, cluster=CLUSTER, taskDefinition=definition) == (
        "InvalidParameterException", "No Container Instances were found in your cluster.")
    ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=arns, status="ACTIVE")
    assert exit_codes(roadstead.finish(definition)) == {"main": 0}


def test_services_listed_and_tagged(roadstead):
    ecs = roadstead.ecs
    definition = roadstead.define("idle", container(script=SLEEP))
    names = ["one", "two", "three"]
    for name in names:
        service = ecs.create_service(
            cluster=CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=0,
            tags=[{"key": "k", "value": name}])["service"]
        assert (service["status"], service["serviceArn"]) == ("ACTIVE", f"{ARN}:service/{CLUSTER}/{name}")
    arns = [f"{ARN}:service/{CLUSTER}/{name}" for name in names]
    assert sorted(pages(ecs, "list_services", "serviceArns", cluster=CLUSTER)) == sorted(arns)
    told = ecs.describe_services(cluster=CLUSTER, services=["one", "none"], include=["TAGS"])
    assert told["services"][0]["tags"] == [{"key": "k", "value": "one"}]
    assert told["failures"] == [{"arn": f"{ARN}:service/{CLUSTER}/none", "reason": "MISSING"}]
    roadstead.wait("services_stable", services=names)
    for name in names:
        ecs.delete_service(cluster=CLUSTER, service=name)
    roadstead.inactive(names)


def test_account_settings(roadstead):
    ecs = roadstead.ecs
    ecs.put_account_setting(name="containerInsights", value="enabled")
    ecs.put_account_setting_default(name="taskLongArnFormat", value="enabled")
    assert refused(ecs.put_account_setting_default, name="taskLongArnFormat", value="disabled") == (
        "InvalidParameterException", "You can no longer disable Long Arn settings.")
    assert refused(ecs.put_account_setting, name="awsvpcTrunking", value="ENABLED") == (
        "InvalidParameterException", "Invalid setting 'value'")
    made = ecs.create_cluster(clusterName="watched")["cluster"]
    assert made["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    ecs.delete_cluster(cluster="watched")
    mine = pages(ecs, "list_account_settings", "settings", name="containerInsights", effectiveSettings=True)
    assert [(s["name"], s["value"]) for s in mine] == [("containerInsights", "enabled")]
    assert len(pages(ecs, "list_account_settings", "settings", effectiveSettings=True)) > 3
    ecs.delete_account_setting(name="containerInsights")
    assert pages(ecs, "list_account_settings", "settings", name="containerInsights") == []


def test_what_agents_call(roadstead):
    """The operations of the agent, as another agent would call them."""
    ecs = roadstead.ecs
    ecs.create_cluster(clusterName="by-hand")
    resources = [{"name": "CPU", "type": "INTEGER", "integerValue": 1024},
                 {"name": "MEMORY", "type": "INTEGER", "integerValue": 512}]
    made = ecs.register_container_instance(
        cluster="by-hand", totalResources=resources, versionInfo={"agentVersion": "1.0.0"})["containerInstance"]
    assert made["status"] == "ACTIVE" and made["remainingResources"]
    where = {"cluster": "by-hand", "containerInstances": [made["containerInstanceArn"]]}
    endpoint = ecs.discover_poll_endpoint(cluster="by-hand", containerInstance=made["containerInstanceArn"])["endpoint"]
    definition = roadstead.define("by-hand", container(script="true"))
    answer = ecs.start_task(taskDefinition=definition, **where)
    assert answer["tasks"] == [] and answer["failures"] == [{"arn": made["containerInstanceArn"], "reason": "AGENT"}]
    with agent_socket(f"{endpoint}/ws", clusterArn="by-hand", containerInstanceArn=made["containerInstanceArn"]):
        until(lambda: ecs.describe_container_instances(**where)["containerInstances"][0]["agentConnected"], what="its socket counts")
        answer = ecs.start_task(taskDefinition=definition, **where)
    arn = answer["tasks"][0]["taskArn"]
    ack = ecs.submit_container_state_change(cluster="by-hand", task=arn, containerName="main", status="STOPPED", exitCode=7)
    assert ack["acknowledgment"] == "ACK"
    assert ecs.submit_task_state_change(cluster="by-hand", task=arn, status="STOPPED")["acknowledgment"] == "ACK"
    task = ecs.describe_tasks(cluster="by-hand", tasks=[arn])["tasks"][0]
    assert task["lastStatus"] == "STOPPED" and exit_codes(task) == {"main": 7}
    gone = ecs.deregister_container_instance(cluster="by-hand", containerInstance=made["containerInstanceArn"])
    assert gone["containerInstance"]["status"] == "INACTIVE"
    ecs.delete_cluster(cluster="by-hand")


def agent_socket(url, **query):
    """An open ACS socket of an agent that says no more."""
    query |= {"agentHash": "0", "agentVersion": "1.0.0", "dockerVersion": "1", "protocolVersion": "2", "seqNum": "1", "sendCredentials": "false"}
    request = botocore.awsrequest.AWSRequest("GET", f"{url}?{urllib.parse.urlencode(sorted(query.items()))}")
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecs", REGION).add_auth(request)
    at = urllib.parse.urlsplit(request.url)
    headers = {**dict(request.headers), "Host": at.netloc, "Connection": "Upgrade", "Upgrade": "websocket",
               "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    sock = socket.create_connection((at.hostname, at.port))
    lines = [f"GET {at.path}?{at.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    sock.sendall("\r\n".join(lines).encode())
    answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return sock


def test_cli_alone_takes_a_service_up_and_down(roadstead, tmp_path):
    """The same path with nothing but `aws`, its waiters too."""
    aws, where = roadstead.aws, ("--cluster", CLUSTER)
    definition = {"family": "by-cli", "containerDefinitions": [container(script=SLEEP)]}
    (tmp_path / "definition.json").write_text(json.dumps(definition))
    answer = aws("ecs", "register-task-definition", "--cli-input-json", f"file://{tmp_path}/definition.json")
    assert answer["taskDefinition"]["family"] == "by-cli"
    aws("ecs", "create-service", *where, "--service-name", "web", "--task-definition", "by-cli", "--desired-count", "1")
    roadstead.wait("services_stable", services=["web"])
    aws("ecs", "wait", "services-stable", *where, "--services", "web")
    tasks = aws("ecs", "list-tasks", *where, "--service-name", "web")["taskArns"]
    aws("ecs", "wait", "tasks-running", *where, "--tasks", *tasks)
    told = aws("ecs", "describe-tasks", *where, "--tasks", *tasks, "--query", "tasks[].lastStatus", "--output", "text")
    assert told == "RUNNING\n"
    aws("ecs", "update-service", *where, "--service", "web", "--desired-count", "0")
    roadstead.wait("tasks_stopped", tasks=tasks)
    aws("ecs", "wait", "tasks-stopped", *where, "--tasks", *tasks)
    aws("ecs", "delete-service", *where, "--service", "web")
    roadstead.wait("services_inactive", services=["web"])
    aws("ecs", "wait", "services-inactive", *where, "--services", "web")
    failed = aws("ecs", "describe-task-definition", "--task-definition", "nothing", check=False)
    assert failed.returncode in (254, 255)
    assert "An error occurred (ClientException) when calling the DescribeTaskDefinition operation" in failed.stderr


def test_errors_of_ecs(roadstead):
    ecs = roadstead.ecs
    assert refused(ecs.list_tasks, cluster="nowhere") == ("ClusterNotFoundException", "Cluster not found.")
    assert refused(ecs.describe_task_definition, taskDefinition="nothing") == (
        "ClientException", "Unable to describe task definition.")
    assert refused(ecs.run_task, cluster=CLUSTER, taskDefinition="nothing:9") == (
        "ClientException", "TaskDefinition not found.")
    assert refused(ecs.stop_task, cluster=CLUSTER, task="0" * 32) == (
        "InvalidParameterException", "The referenced task was not found.")
    assert refused(ecs.update_service, cluster=CLUSTER, service="none")[0] == "ServiceNotFoundException"
    definition = roadstead.define("eleven", container(script="true"))
    assert refused(ecs.run_task, cluster=CLUSTER, taskDefinition=definition, count=11)[0] == "InvalidParameterException"
    assert refused(ecs.describe_tasks, cluster=CLUSTER, tasks=[]) == (
        "InvalidParameterException", "Tasks cannot be empty.")
    assert refused(ecs.register_task_definition, family="x", containerDefinitions=[{"name": "a", "image": "b"}])[0] == (
        "ClientException")
    assert refused(ecs.list_clusters, nextToken="garbage")[0] == "InvalidParameterException"
    assert refused(ecs.list_tasks, cluster=CLUSTER, startedBy="me", family="eleven") == (
        "InvalidParameterException", "cannot specify startedBy with other arguments")


def test_what_is_not_built_says_so(roadstead):
    ecs = roadstead.ecs
    code, message = refused(ecs.execute_command, cluster=CLUSTER, task="t", command="sh", interactive=True)
    assert code == "UnknownOperationException"
    assert "ExecuteCommand" in message and "docs/support.md" in message
    definition = roadstead.define("plain", container(script="true"))
    code, message = refused(ecs.run_task, cluster=CLUSTER, taskDefinition=definition, enableExecuteCommand=True)
    assert code == "UnsupportedFeatureException" and "enableExecuteCommand" in message
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    code, message = refused(
        ecs.register_task_definition, family="x", taskRoleArn=role, containerDefinitions=[container(script="true")])
    assert (code in ("UnsupportedFeatureException", "ClientException")) and "taskRoleArn" in message
    code, message = refused(
        ecs.register_task_definition, family="x",
        containerDefinitions=[container(script="true", secrets=[{"name": "a", "valueFrom": "b"}])])
    assert "secrets" in message
    code, message = refused(roadstead.logs.start_query, logGroupName="g", startTime=0, endTime=1, queryString="x")
    assert code == "UnknownOperationException" and "StartQuery" in message
    code, message = refused(roadstead.sts.assume_role, RoleArn=role, RoleSessionName="me")
    assert code == "InvalidAction" and "AssumeRole" in message


def test_nobody_gets_in(roadstead):
    wrong_key = roadstead.client("ecs", key="AKIAIOSFODNN7EXAMPLE")
    assert refused(wrong_key.list_clusters)[0] == "UnrecognizedClientException"
    code, message = refused(roadstead.client("ecs", secret="other").list_clusters)
    assert code == "InvalidSignatureException"
    assert message.startswith("The request signature we calculated does not match the signature you provided.")
    assert refused(roadstead.client("sts", key="AKIAIOSFODNN7EXAMPLE").get_caller_identity)[0] == "InvalidClientTokenId"
    assert refused(roadstead.client("sts", secret="other").get_caller_identity)[0] == "SignatureDoesNotMatch"
    assert post(roadstead, signed=False) == (400, "MissingAuthenticationTokenException")
    assert post(roadstead) == (200, None)
    assert post(roadstead, age=datetime.timedelta(minutes=6)) == (400, "InvalidSignatureException")
    assert post(roadstead, age=datetime.timedelta(minutes=-6)) == (400, "InvalidSignatureException")
    assert post(roadstead, body=b'{"nextToken":}') == (400, "SerializationException")


def post(roadstead, signed=True, age=datetime.timedelta(0), body=b"{}"):
    """ListClusters by hand: the HTTP status, and the error's code."""
    headers = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
               "Content-Type": "application/x-amz-json-1.1"}
    request = botocore.awsrequest.AWSRequest("POST", roadstead.endpoint + "/", headers=headers, data=body)
    if signed:
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecs", REGION)
        at = datetime.datetime.now(datetime.timezone.utc) - age
        original = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *_, **__: at.replace(tzinfo=None)
        try:
            signer.add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
    request = urllib.request.Request(roadstead.endpoint + "/", data=body, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["__type"].rpartition("#")[2]
