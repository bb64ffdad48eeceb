"""Tasks of mode awsvpc, as far as the control plane goes: what is refused, what a task and its interface show, and that nothing of
either is left."""

import botocore.exceptions
import pytest

from harness import CLUSTER, SLEEP, container, until


@pytest.fixture(scope="module")
def ec2(roadstead):
    return roadstead.client("ec2")


@pytest.fixture(scope="module")
def definition(roadstead):
    return roadstead.define("own", container(script=SLEEP), networkMode="awsvpc")


@pytest.fixture(scope="module")
def able(roadstead):
    """The host can give tasks interfaces, or it is said so of it: its agent then says why a task cannot start."""
    ecs, name = roadstead.ecs, "ecs.capability.task-eni"
    arn, = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    host, = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=[arn])["containerInstances"]
    if name not in {attribute["name"] for attribute in host["attributes"]}:
        ecs.put_attributes(cluster=CLUSTER, attributes=[{"name": name, "targetId": arn}])


def network(ec2, **more):
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    return {"awsvpcConfiguration": {"subnets": subnets, **more}}


def words(call, **members):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"
    return caught.value.response["Error"]["Message"]


def details(task):
    attachment, = task["attachments"]
    assert attachment["type"] == "ElasticNetworkInterface"
    return attachment["status"], {one["name"]: one["value"] for one in attachment["details"]}


def test_what_is_no_network_is_refused_in_the_words_of_ecs(roadstead, ec2, definition):
    ecs, run = roadstead.ecs, {"cluster": CLUSTER, "taskDefinition": definition}
    assert words(ecs.run_task, **run) == "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    nowhere = {"awsvpcConfiguration": {"subnets": ["subnet-00000000000000001"]}}
    assert words(ecs.run_task, networkConfiguration=nowhere, **run) == (
        "Error retrieving subnet information for [subnet-00000000000000001]: The subnet ID 'subnet-00000000000000001' does not "
        "exist (ErrorCode: InvalidSubnetID.NotFound)")
    public = network(ec2, assignPublicIp="ENABLED")
    assert words(ecs.run_task, networkConfiguration=public, **run) == "Assign public IP is not supported for this launch type."
    foreign = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(VpcId=foreign, GroupName="g", Description="d")["GroupId"]
    assert words(ecs.run_task, networkConfiguration=network(ec2, securityGroups=[group]), **run) == (
        f"Security group {group} does not appear to belong to the same VPC as the input subnets.")
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=foreign)


def test_a_task_has_an_interface_and_leaves_it(roadstead, ec2, definition, able):
    ecs = roadstead.ecs
    group = ec2.create_security_group(GroupName="own", Description="d")["GroupId"]
    own = network(ec2, securityGroups=[group])
    made, = ecs.run_task(cluster=CLUSTER, taskDefinition=definition, networkConfiguration=own)["tasks"]
    assert made["lastStatus"] == "PROVISIONING"
    status, shown = details(made)
    assert (status, set(shown)) == ("PRECREATED", {"subnetId"})
    arn = made["taskArn"]
    until(lambda: roadstead.task(arn)["lastStatus"] in ("RUNNING", "STOPPED"), what="it is there, or has said why not")
    status, shown = details(roadstead.task(arn))
    assert set(shown) == {"subnetId", "networkInterfaceId", "macAddress", "privateDnsName", "privateIPv4Address"}
    assert shown["privateIPv4Address"].startswith("172.31.")
    if roadstead.task(arn)["lastStatus"] == "RUNNING":
        assert status == "ATTACHED"
        interface, = ec2.describe_network_interfaces(NetworkInterfaceIds=[shown["networkInterfaceId"]])["NetworkInterfaces"]
        assert interface["PrivateIpAddress"] == shown["privateIPv4Address"]
        assert [one["GroupId"] for one in interface["Groups"]] == [group]
        assert interface["RequesterManaged"] and interface["Description"].endswith(":attachment/" + made["attachments"][0]["id"])
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            ec2.delete_security_group(GroupId=group)
        assert caught.value.response["Error"]["Code"] == "DependencyViolation"
        roadstead.kill()
        roadstead.up()
        ecs.stop_task(cluster=CLUSTER, task=arn)
        roadstead.stopped(arn)
    assert details(roadstead.task(arn))[0] == "DELETED"
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.delete_security_group(GroupId=group)


def test_a_service_shows_its_network(roadstead, ec2, definition):
    ecs, given = roadstead.ecs, network(ec2)
    service = ecs.create_service(
        cluster=CLUSTER, serviceName="own", taskDefinition=definition, desiredCount=0, networkConfiguration=given)["service"]
    shown = service["networkConfiguration"]["awsvpcConfiguration"]
    assert shown == {**given["awsvpcConfiguration"], "securityGroups": [], "assignPublicIp": "DISABLED"}
    assert service["placementConstraints"] == []
    subnet = given["awsvpcConfiguration"]["subnets"][:1]
    one = {"awsvpcConfiguration": {"subnets": subnet}}
    changed = ecs.update_service(cluster=CLUSTER, service="own", networkConfiguration=one)["service"]
    assert changed["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == subnet
    assert changed["deployments"][0]["networkConfiguration"] == changed["networkConfiguration"]
    ecs.delete_service(cluster=CLUSTER, service="own", force=True)
