"""Accounts and regions: who is whose administrator, and that nothing of one is ever seen from another."""

import json
import pathlib
import re
import socket
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from harness import CLUSTER, PATIENCE, REGION, SLEEP, awslogs, container, task_id, until
from test_security import NOBODY, as_user, send, signed

OTHER, THIRD = "111111111111", "222222222222"
ELSEWHERE = "eu-west-1"
KEY = ("KEYOFTHETHIRD0000001", "a secret of its own, and long")
CONFIG = f"""
[server]
regions = ["{ELSEWHERE}"]
[[accounts]]
id = "{THIRD}"
access_key = "{KEY[0]}"
secret = "{KEY[1]}"
"""
SUPPORT = pathlib.Path(__file__).parent.parent / "docs" / "support.md"
# Of everything there is one of this name in each place.
SAME = "same"
NUMBERS = [{"name": name, "type": "INTEGER", "integerValue": 2000} for name in ("CPU", "MEMORY")]


class Place:
    """One account in one region, with things in it that bear its mark."""

    def __init__(self, roadstead, mark, key, account, region, insights):
        self.mark, self.key, self.account, self.region, self.insights = mark, key, account, region, insights
        self.roadstead = roadstead
        self.ecs, self.logs, self.sts, self.events, self.scheduler, self.ec2 = (
            roadstead.client(service, *key, region=region) for service in ("ecs", "logs", "sts", "events", "scheduler", "ec2"))
        self.tags = [{"key": "place", "value": mark}]

    def own(self):
        """How the ARNs of this place begin, behind the service's name."""
        return f":{self.region}:{self.account}:"

    def fill(self):
        tags = self.tags
        self.ecs.put_account_setting_default(name="containerInsights", value=self.insights)
        group = {"autoScalingGroupArn": self.mark}
        self.provider = self.ecs.create_capacity_provider(
            name=SAME, autoScalingGroupProvider=group, tags=tags)["capacityProvider"]["capacityProviderArn"]
        self.cluster = self.ecs.create_cluster(clusterName=SAME, capacityProviders=[SAME], tags=tags)["cluster"]["clusterArn"]
        define = {"containerDefinitions": [container(script="true")], "tags": tags}
        self.definition = self.ecs.register_task_definition(family=SAME, **define)["taskDefinition"]["taskDefinitionArn"]
        self.ecs.register_task_definition(family=f"of-{self.mark}", **define)
        self.daemon_definition = self.ecs.register_daemon_task_definition(family=SAME, **define)["daemonTaskDefinitionArn"]
        self.ecs.register_daemon_task_definition(family=f"of-{self.mark}", **define)
        self.instance = self.ecs.register_container_instance(cluster=SAME, totalResources=NUMBERS, tags=tags)[
            "containerInstance"]["containerInstanceArn"]
        self.ecs.put_attributes(cluster=SAME, attributes=[
            {"name": "place", "value": self.mark, "targetType": "container-instance", "targetId": self.instance}])
        with self.connected():
            started = self.ecs.start_task(cluster=SAME, taskDefinition=SAME, containerInstances=[self.instance], tags=tags)
        assert not started["failures"], started
        self.task = started["tasks"][0]["taskArn"]
        self.service = self.ecs.create_service(
            cluster=SAME, serviceName=SAME, taskDefinition=SAME, desiredCount=0, tags=tags)["service"]["serviceArn"]
        external = f"{SAME}-sets"
        self.ecs.create_service(cluster=SAME, serviceName=external, deploymentController={"type": "EXTERNAL"}, tags=tags)
        self.set = self.ecs.create_task_set(
            cluster=SAME, service=external, taskDefinition=SAME, externalId=self.mark, tags=tags)["taskSet"]["taskSetArn"]
        deployment = self.ecs.list_service_deployments(cluster=SAME, service=SAME)["serviceDeployments"][0]
        self.deployment, self.revision = deployment["serviceDeploymentArn"], deployment["targetServiceRevisionArn"]
        made = self.ecs.create_daemon(
            daemonName=SAME, clusterArn=SAME, daemonTaskDefinitionArn=SAME, capacityProviderArns=[SAME], tags=tags)
        self.daemon, self.daemon_deployment = made["daemonArn"], made["deploymentArn"]
        self.daemon_revision = self.ecs.list_daemon_deployments(daemonArn=self.daemon)["daemonDeployments"][0]["targetDaemonRevisionArn"]
        where = {"logGroupName": SAME, "logStreamName": SAME}
        self.logs.create_log_group(logGroupName=SAME, tags={"place": self.mark})
        self.logs.create_log_stream(**where)
        self.logs.put_log_events(**where, logEvents=[{"timestamp": int(time.time() * 1000), "message": self.mark}])
        self.group = f"arn:aws:logs{self.own()}log-group:{SAME}"
        self.fill_events()
        self.fill_networks()

    def fill_networks(self):
        """A VPC with one of everything. What has no tags or ARNs in an answer is told apart by the mark in it."""
        tags = [{"Key": "place", "Value": self.mark}]
        tagged = lambda kind: [{"ResourceType": kind, "Tags": tags}]
        make = self.ec2
        self.vpc = make.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
        subnet = make.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24", TagSpecifications=tagged("subnet"))["Subnet"]["SubnetId"]
        group = make.create_security_group(VpcId=self.vpc, GroupName=SAME, Description=self.mark)["GroupId"]
        rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "Description": self.mark}]}
        make.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        gateway = make.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]["InternetGatewayId"]
        make.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        make.create_route_table(VpcId=self.vpc, TagSpecifications=tagged("route-table"))
        address = make.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))["AllocationId"]
        make.create_nat_gateway(SubnetId=subnet, AllocationId=address, TagSpecifications=tagged("natgateway"))
        make.create_network_acl(VpcId=self.vpc, TagSpecifications=tagged("network-acl"))
        dhcp = make.describe_dhcp_options()["DhcpOptions"][0]["DhcpOptionsId"]
        make.create_tags(Resources=[dhcp], Tags=tags)

    def fill_events(self):
        tags = [{"Key": "place", "Value": self.mark}]
        target = {"Arn": self.cluster, "RoleArn": f"arn:aws:iam::{self.account}:role/{SAME}",
                  "EcsParameters": {"TaskDefinitionArn": self.definition}}
        self.bus = self.events.create_event_bus(Name=SAME, Description=self.mark, Tags=tags)["EventBusArn"]
        pattern = json.dumps({"source": [self.mark]})
        # The one has a name that tells them apart: some answers are names alone.
        for rule in (SAME, f"of-{self.mark}"):
            self.rule = self.events.put_rule(Name=rule, EventPattern=pattern, Tags=tags)["RuleArn"]
            self.events.put_targets(Rule=rule, Targets=[{"Id": "1", **target}])
        self.schedules = self.scheduler.create_schedule_group(Name=SAME, Tags=tags)["ScheduleGroupArn"]
        self.scheduler.create_schedule(Name=SAME, GroupName=SAME, ScheduleExpression="at(2100-01-01T00:00:00)", Description=self.mark,
                                       FlexibleTimeWindow={"Mode": "OFF"}, Target=target)

    def connected(self):
        """The container instance as connected, for as long as this is open."""
        query = {"agentHash": "0", "agentVersion": "1.0.0", "dockerVersion": "1", "protocolVersion": "2", "seqNum": "1",
                 "sendCredentials": "false", "clusterArn": SAME, "containerInstanceArn": self.instance}
        url = f"{self.roadstead.endpoint}/acs/ws?{urllib.parse.urlencode(sorted(query.items()))}"
        request = botocore.awsrequest.AWSRequest("GET", url)
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(*self.key), "ecs", self.region).add_auth(request)
        at = urllib.parse.urlsplit(request.url)
        headers = {**dict(request.headers), "Host": at.netloc, "Connection": "Upgrade", "Upgrade": "websocket",
                   "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        lines = [f"GET {at.path}?{at.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        sock = socket.create_connection((at.hostname, at.port))
        sock.sendall("\r\n".join(lines).encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        return sock


@pytest.fixture(scope="module")
def two(fresh):
    """One with several places, which all hold the same."""
    roadstead = fresh(CONFIG)
    places = [
        Place(roadstead, "mark-a", ("test", "test"), "000000000000", REGION, "enabled"),
        Place(roadstead, "mark-b", (OTHER, "test"), OTHER, REGION, "disabled"),
        Place(roadstead, "mark-c", ("000000000000", "test"), "000000000000", ELSEWHERE, "enhanced"),
    ]
    for place in places:
        place.fill()
    roadstead.places = places
    return roadstead


def settings(place):
    """The value of the one setting that is not alike stands for the mark."""
    found = place.ecs.list_account_settings(name="containerInsights", effectiveSettings=False)["settings"]
    marks = {other.insights: other.mark for other in place.roadstead.places}
    return [marks[one["value"]] for one in found], found


CASES = {
    "DescribeCapacityProviders": lambda p: p.ecs.describe_capacity_providers(include=["TAGS"]),
    "DescribeClusters": lambda p: p.ecs.describe_clusters(clusters=[SAME], include=["TAGS"]),
    "DescribeContainerInstances": lambda p: p.ecs.describe_container_instances(
        cluster=SAME, containerInstances=[p.instance], include=["TAGS"]),
    "DescribeDaemon": lambda p: p.ecs.describe_daemon(daemonArn=p.daemon),
    "DescribeDaemonDeployments": lambda p: p.ecs.describe_daemon_deployments(daemonDeploymentArns=[p.daemon_deployment]),
    "DescribeDaemonRevisions": lambda p: p.ecs.describe_daemon_revisions(daemonRevisionArns=[p.daemon_revision]),
    "DescribeDaemonTaskDefinition": lambda p: p.ecs.describe_daemon_task_definition(daemonTaskDefinition=SAME),
    "DescribeServiceDeployments": lambda p: p.ecs.describe_service_deployments(serviceDeploymentArns=[p.deployment]),
    "DescribeServiceRevisions": lambda p: p.ecs.describe_service_revisions(serviceRevisionArns=[p.revision]),
    "DescribeServices": lambda p: p.ecs.describe_services(cluster=SAME, services=[SAME], include=["TAGS"]),
    "DescribeTaskSets": lambda p: p.ecs.describe_task_sets(cluster=SAME, service=f"{SAME}-sets", include=["TAGS"]),
    "DescribeTaskDefinition": lambda p: p.ecs.describe_task_definition(taskDefinition=SAME, include=["TAGS"]),
    "DescribeTasks": lambda p: p.ecs.describe_tasks(cluster=SAME, tasks=[p.task], include=["TAGS"]),
    "GetTaskProtection": lambda p: p.ecs.get_task_protection(cluster=SAME, tasks=[p.task]),
    "ListAccountSettings": settings,
    "ListAttributes": lambda p: p.ecs.list_attributes(cluster=SAME, targetType="container-instance", attributeName="place"),
    "ListClusters": lambda p: p.ecs.list_clusters(),
    "ListContainerInstances": lambda p: p.ecs.list_container_instances(cluster=SAME),
    "ListDaemonDeployments": lambda p: p.ecs.list_daemon_deployments(daemonArn=p.daemon),
    "ListDaemons": lambda p: p.ecs.list_daemons(clusterArn=SAME),
    "ListDaemonTaskDefinitions": lambda p: p.ecs.list_daemon_task_definitions(),
    "ListServiceDeployments": lambda p: p.ecs.list_service_deployments(cluster=SAME, service=SAME),
    "ListServices": lambda p: p.ecs.list_services(cluster=SAME),
    # There are no namespaces, here as anywhere.
    "ListServicesByNamespace": lambda p: [p.mark, refused(lambda: p.ecs.list_services_by_namespace(namespace=SAME))],
    "ListTagsForResource": lambda p: [
        *[p.ecs.list_tags_for_resource(resourceArn=arn) for arn in (
            p.cluster, p.definition, p.daemon_definition, p.instance, p.task, p.service, p.daemon, p.provider)],
        p.logs.list_tags_for_resource(resourceArn=p.group),
        *[p.events.list_tags_for_resource(ResourceARN=arn) for arn in (p.bus, p.rule)],
        p.scheduler.list_tags_for_resource(ResourceArn=p.schedules)],
    "ListTaskDefinitionFamilies": lambda p: p.ecs.list_task_definition_families(status="ALL"),
    "ListTaskDefinitions": lambda p: p.ecs.list_task_definitions(),
    "ListTasks": lambda p: p.ecs.list_tasks(cluster=SAME),
    "DescribeLogGroups": lambda p: p.logs.describe_log_groups(),
    "DescribeLogStreams": lambda p: p.logs.describe_log_streams(logGroupName=SAME),
    "FilterLogEvents": lambda p: p.logs.filter_log_events(logGroupName=SAME),
    "GetLogEvents": lambda p: p.logs.get_log_events(logGroupName=SAME, logStreamName=SAME, startFromHead=True),
    "ListLogGroups": lambda p: p.logs.list_log_groups(),
    "ListTagsLogGroup": lambda p: p.logs.list_tags_log_group(logGroupName=SAME),
    "DescribeEventBus": lambda p: p.events.describe_event_bus(Name=SAME),
    "DescribeRule": lambda p: p.events.describe_rule(Name=SAME),
    "ListEventBuses": lambda p: p.events.list_event_buses(),
    "ListRuleNamesByTarget": lambda p: p.events.list_rule_names_by_target(TargetArn=p.cluster),
    "ListRules": lambda p: p.events.list_rules(),
    "ListTargetsByRule": lambda p: p.events.list_targets_by_rule(Rule=SAME),
    "GetSchedule": lambda p: p.scheduler.get_schedule(Name=SAME, GroupName=SAME),
    "GetScheduleGroup": lambda p: p.scheduler.get_schedule_group(Name=SAME),
    "ListScheduleGroups": lambda p: p.scheduler.list_schedule_groups(),
    "ListSchedules": lambda p: p.scheduler.list_schedules(),
    "DescribeAccountAttributes": lambda p: [p.mark, p.ec2.describe_account_attributes()],
    "DescribeAddresses": lambda p: p.ec2.describe_addresses(),
    "DescribeAddressesAttribute": lambda p: [p.mark, p.ec2.describe_addresses_attribute(Attribute="domain-name")],
    "DescribeAvailabilityZones": lambda p: [p.mark, p.ec2.describe_availability_zones()],
    "DescribeDhcpOptions": lambda p: p.ec2.describe_dhcp_options(),
    "DescribeInternetGateways": lambda p: p.ec2.describe_internet_gateways(),
    "DescribeNatGateways": lambda p: p.ec2.describe_nat_gateways(),
    "DescribeNetworkAcls": lambda p: p.ec2.describe_network_acls(),
    "DescribeNetworkInterfaces": lambda p: [p.mark, p.ec2.describe_network_interfaces()],
    "DescribeRegions": lambda p: [p.mark, p.ec2.describe_regions()],
    "DescribeRouteTables": lambda p: p.ec2.describe_route_tables(),
    "DescribeSecurityGroupRules": lambda p: p.ec2.describe_security_group_rules(),
    "DescribeSecurityGroups": lambda p: p.ec2.describe_security_groups(),
    "DescribeSubnets": lambda p: p.ec2.describe_subnets(),
    "DescribeTags": lambda p: p.ec2.describe_tags(),
    "DescribeVpcAttribute": lambda p: [p.mark, p.ec2.describe_vpc_attribute(VpcId=p.vpc, Attribute="enableDnsSupport")],
    "DescribeVpcs": lambda p: p.ec2.describe_vpcs(),
    "GetCallerIdentity": lambda p: f":{p.region}:{p.sts.get_caller_identity()['Account']}:",
}
# How many of each there are in every place.
COUNTS = {
    "DescribeClusters": 1, "DescribeContainerInstances": 1, "DescribeServices": 1, "DescribeTasks": 1, "ListAttributes": 1,
    "ListContainerInstances": 1, "ListServices": 2, "DescribeTaskSets": 1, "ListTasks": 1, "DescribeLogStreams": 1, "FilterLogEvents": 1,
    "GetLogEvents": 1, "ListTaskDefinitionFamilies": 2, "ListTaskDefinitions": 2, "ListDaemonTaskDefinitions": 2,
    "ListDaemonDeployments": 1, "ListDaemons": 1,
    "ListEventBuses": 2, "ListRuleNamesByTarget": 2, "ListRules": 2, "ListTargetsByRule": 1, "ListScheduleGroups": 2,
    "ListSchedules": 1,
    "DescribeAddresses": 1, "DescribeDhcpOptions": 1, "DescribeInternetGateways": 2, "DescribeNatGateways": 1, "DescribeNetworkAcls": 3,
    "DescribeRouteTables": 3, "DescribeSecurityGroupRules": 6, "DescribeSecurityGroups": 3, "DescribeSubnets": 4, "DescribeTags": 8,
    "DescribeVpcs": 2,
}


def built():
    """The operations that only look, of all services."""
    return set(re.findall(r"^\| ((?:List|Describe|Get|Filter|BatchGet|Search|Scan|Query|Head)[A-Z]\w*) \|", SUPPORT.read_text(), re.MULTILINE))


def test_every_operation_that_looks_has_a_case():
    assert built() == set(CASES), "a new operation shows nothing of another account or region either: add a case"


def apart(roadstead):
    """What each place is shown is its own, whatever it asks."""
    for operation, case in CASES.items():
        for place in roadstead.places:
            answer = case(place)
            text = json.dumps(answer, default=str)
            assert place.mark in text or place.own() in text, (operation, place.mark, text)
            for other in roadstead.places:
                if other is not place:
                    assert other.mark not in text and other.own() not in text, (operation, place.mark, other.mark, text)
            if operation in COUNTS:
                lists = [value for name, value in answer.items() if isinstance(value, list) and name not in ("failures", "searchedLogStreams")]
                assert [len(found) for found in lists] == [COUNTS[operation]], (operation, place.mark, answer)


def test_nothing_of_one_place_is_seen_from_another(two):
    apart(two)


def test_it_stays_so_across_deaths(two):
    for end in (two.kill, two.terminate, two.kill):
        end()
        two.up()
        apart(two)


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


BY_ARN = {
    "cluster": [
        lambda p, arn: p.ecs.describe_clusters(clusters=[arn]), lambda p, arn: p.ecs.list_tasks(cluster=arn),
        lambda p, arn: p.ecs.list_services(cluster=arn), lambda p, arn: p.ecs.list_container_instances(cluster=arn),
        lambda p, arn: p.ecs.delete_cluster(cluster=arn), lambda p, arn: p.ecs.run_task(cluster=arn, taskDefinition=SAME),
        lambda p, arn: p.ecs.update_cluster_settings(cluster=arn, settings=[{"name": "containerInsights", "value": "enabled"}]),
        lambda p, arn: p.ecs.list_attributes(cluster=arn, targetType="container-instance"),
    ],
    "service": [
        lambda p, arn: p.ecs.describe_services(cluster=SAME, services=[arn]),
        lambda p, arn: p.ecs.update_service(cluster=SAME, service=arn, desiredCount=0),
        lambda p, arn: p.ecs.delete_service(cluster=SAME, service=arn, force=True),
    ],
    "set": [
        lambda p, arn: p.ecs.describe_task_sets(cluster=SAME, service=f"{SAME}-sets", taskSets=[arn]),
        lambda p, arn: p.ecs.delete_task_set(cluster=SAME, service=f"{SAME}-sets", taskSet=arn, force=True),
        lambda p, arn: p.ecs.update_service_primary_task_set(cluster=SAME, service=f"{SAME}-sets", primaryTaskSet=arn),
    ],
    "task": [
        lambda p, arn: p.ecs.describe_tasks(cluster=SAME, tasks=[arn]), lambda p, arn: p.ecs.stop_task(cluster=SAME, task=arn),
    ],
    "instance": [
        lambda p, arn: p.ecs.describe_container_instances(cluster=SAME, containerInstances=[arn]),
        lambda p, arn: p.ecs.list_tasks(cluster=SAME, containerInstance=arn),
        lambda p, arn: p.ecs.deregister_container_instance(cluster=SAME, containerInstance=arn, force=True),
        lambda p, arn: p.ecs.update_container_instances_state(cluster=SAME, containerInstances=[arn], status="DRAINING"),
        lambda p, arn: p.ecs.start_task(cluster=SAME, taskDefinition=SAME, containerInstances=[arn]),
    ],
    "daemon": [
        lambda p, arn: p.ecs.describe_daemon(daemonArn=arn), lambda p, arn: p.ecs.list_daemon_deployments(daemonArn=arn),
        lambda p, arn: p.ecs.delete_daemon(daemonArn=arn),
        lambda p, arn: p.ecs.update_daemon(daemonArn=arn, daemonTaskDefinitionArn=SAME, capacityProviderArns=[SAME]),
    ],
    "daemon_deployment": [lambda p, arn: p.ecs.describe_daemon_deployments(daemonDeploymentArns=[arn])],
    "daemon_revision": [lambda p, arn: p.ecs.describe_daemon_revisions(daemonRevisionArns=[arn])],
    "daemon_definition": [
        lambda p, arn: p.ecs.describe_daemon_task_definition(daemonTaskDefinition=arn),
        lambda p, arn: p.ecs.delete_daemon_task_definition(daemonTaskDefinition=arn),
    ],
    "definition": [
        lambda p, arn: p.ecs.describe_task_definition(taskDefinition=arn),
        lambda p, arn: p.ecs.deregister_task_definition(taskDefinition=arn),
        lambda p, arn: p.ecs.run_task(cluster=SAME, taskDefinition=arn),
        lambda p, arn: p.ecs.create_service(cluster=SAME, serviceName="x", taskDefinition=arn, desiredCount=0),
        lambda p, arn: p.ecs.update_service(cluster=SAME, service=SAME, taskDefinition=arn),
    ],
}


def test_arns_of_other_places_are_refused_as_ecs_words_it(two):
    for place in two.places:
        for other in two.places:
            if place is other:
                continue
            of, own = (other.account, f"accountId is {place.account}") if place.account != other.account \
                else (other.region, f"region is {place.region}")
            expected = ("InvalidParameterException", f"Identifier is for {of}. Your {own}")
            for kind, calls in BY_ARN.items():
                for number, call in enumerate(calls):
                    answer = refused(lambda: call(place, getattr(other, kind)))
                    assert answer == expected, (kind, number, answer)
            for kind in BY_ARN:
                arn = getattr(other, kind)
                for call in (lambda: place.ecs.list_tags_for_resource(resourceArn=arn),
                             lambda: place.ecs.tag_resource(resourceArn=arn, tags=[{"key": "place", "value": "moved"}]),
                             lambda: place.ecs.untag_resource(resourceArn=arn, tagKeys=["place"])):
                    assert refused(call)[0] in ("InvalidParameterException", "ResourceNotFoundException"), kind
            missing = ("ResourceNotFoundException", "The specified log group does not exist.")
            for call in (lambda: place.logs.list_tags_for_resource(resourceArn=other.group),
                         lambda: place.logs.tag_resource(resourceArn=other.group, tags={"place": "moved"}),
                         lambda: place.logs.untag_resource(resourceArn=other.group, tagKeys=["place"]),
                         lambda: place.logs.get_log_events(logGroupIdentifier=other.group, logStreamName=SAME),
                         lambda: place.logs.filter_log_events(logGroupIdentifier=other.group),
                         lambda: place.logs.describe_log_streams(logGroupIdentifier=other.group)):
                assert refused(call) == missing
            # By identifiers alone there is nothing.
            found = place.ecs.describe_tasks(cluster=SAME, tasks=[other.task.rsplit("/", 1)[-1]])
            assert not found["tasks"] and found["failures"][0]["reason"] == "MISSING", found
            found = place.ecs.describe_container_instances(cluster=SAME, containerInstances=[other.instance.rsplit("/", 1)[-1]])
            assert not found["containerInstances"] and found["failures"][0]["reason"] == "MISSING", found
            found = place.ecs.delete_task_definitions(taskDefinitions=[other.definition])
            assert not found["taskDefinitions"] and [failed["arn"] for failed in found["failures"]] == [other.definition], found
            found = place.ecs.describe_capacity_providers(capacityProviders=[other.provider])
            assert not found["capacityProviders"] and found["failures"][0]["reason"] == "MISSING", found
            for call in (lambda: place.ecs.delete_capacity_provider(capacityProvider=other.provider),
                         lambda: place.ecs.tag_resource(resourceArn=other.provider, tags=[{"key": "place", "value": "moved"}]),
                         lambda: place.ecs.list_service_deployments(cluster=SAME, service=other.service),
                         lambda: place.ecs.describe_service_deployments(serviceDeploymentArns=[other.deployment]),
                         lambda: place.ecs.describe_service_revisions(serviceRevisionArns=[other.revision]),
                         lambda: place.ecs.continue_service_deployment(serviceDeploymentArn=other.deployment, hookId="h"),
                         lambda: place.ecs.stop_service_deployment(serviceDeploymentArn=other.deployment)):
                assert refused(call)
    apart(two)


def test_what_ends_in_one_place_stays_in_the_others(fresh):
    roadstead = fresh(CONFIG, cluster=SAME)
    places = [Place(roadstead, f"mark-{name}", key, account, region, "enabled") for name, key, account, region in (
        ("a", ("test", "test"), "000000000000", REGION), ("b", (OTHER, "test"), OTHER, REGION),
        ("c", ("test", "test"), "000000000000", ELSEWHERE))]
    for place in places[1:]:
        place.fill()
    # The host's agent serves its own place: the same names elsewhere place nothing on it.
    gone, stays = places[1:]
    for place in places[1:]:
        answer = place.ecs.run_task(cluster=SAME, taskDefinition=SAME)
        assert not answer["tasks"] and answer["failures"], answer
    for service in (SAME, f"{SAME}-sets"):
        gone.ecs.delete_service(cluster=SAME, service=service, force=True)
    gone.ecs.stop_task(cluster=SAME, task=gone.task)
    gone.ecs.deregister_container_instance(cluster=SAME, containerInstance=gone.instance, force=True)
    gone.ecs.deregister_task_definition(taskDefinition=gone.definition)
    gone.logs.delete_log_group(logGroupName=SAME)
    gone.ecs.delete_daemon(daemonArn=gone.daemon)
    until(lambda: not gone.ecs.list_daemons(clusterArn=SAME)["daemonSummariesList"], what="its daemon is gone")
    gone.ecs.delete_cluster(cluster=SAME)
    for end in (lambda: None, lambda: (roadstead.kill(), roadstead.up())):
        end()
        assert not gone.ecs.list_clusters()["clusterArns"] and not gone.logs.describe_log_groups()["logGroups"]
        assert stays.ecs.describe_tasks(cluster=SAME, tasks=[stays.task])["tasks"][0]["desiredStatus"] == "RUNNING"
        assert stays.ecs.describe_services(cluster=SAME, services=[SAME])["services"][0]["status"] == "ACTIVE"
        assert stays.ecs.describe_task_definition(taskDefinition=SAME)["taskDefinition"]["status"] == "ACTIVE"
        assert stays.logs.get_log_events(logGroupName=SAME, logStreamName=SAME)["events"]
        assert places[0].ecs.list_clusters()["clusterArns"] == [f"arn:aws:ecs:{REGION}:000000000000:cluster/{SAME}"]
        assert not places[0].ecs.list_task_definitions()["taskDefinitionArns"]
    roadstead.destroy()


def test_twelve_digits_are_the_administrator_of_that_account(two):
    for account in (OTHER, "000000000000", "999999999999"):
        for region in (REGION, ELSEWHERE):
            told = two.client("sts", account, "test", region=region).get_caller_identity()
            assert (told["Account"], told["Arn"], told["UserId"]) == (account, f"arn:aws:iam::{account}:root", account)
        told = two.aws("sts", "get-caller-identity", AWS_ACCESS_KEY_ID=account)
        assert (told["Account"], told["Arn"]) == (account, f"arn:aws:iam::{account}:root")
    assert two.aws("ecs", "list-clusters", AWS_ACCESS_KEY_ID=OTHER)["clusterArns"] == [f"arn:aws:ecs:{REGION}:{OTHER}:cluster/{SAME}"]
    assert two.aws("ecs", "list-clusters", "--region", ELSEWHERE)["clusterArns"] == [
        f"arn:aws:ecs:{ELSEWHERE}:000000000000:cluster/{SAME}"]
    assert not two.aws("ecs", "list-clusters", AWS_ACCESS_KEY_ID="999999999999")["clusterArns"]


def test_and_only_where_the_known_pair_serves(two):
    good = signed(two, key=(OTHER, "test"))
    assert send(two, good)[0] == 200
    for uid in (NOBODY, 1):
        status, said = as_user(uid, lambda: send(two, good))
        assert status == 400 and "UnrecognizedClientException" in said and f"'{OTHER}' is a key that everybody knows" in said, said
    for key in ((OTHER, "Test"), (OTHER, OTHER), (OTHER, "anything")):
        status, said = send(two, signed(two, key=key))
        assert status == 400 and "InvalidSignatureException" in said, (key, said)
    for key in ("11111111111", "1111111111111", "11111111111x", "x" * 12, "१" * 12, "test2", ""):
        with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.NoCredentialsError, UnicodeError, ValueError)):
            two.client("ecs", key, "test").list_clusters()
    pair = signed(two, key=KEY)
    assert send(two, pair)[0] == 200 and as_user(NOBODY, lambda: send(two, pair))[0] == 200
    assert "InvalidSignatureException" in send(two, signed(two, key=(KEY[0], "test")))[1]


def test_regions_that_are_not_listed_are_refused(two, fresh):
    for region in ("eu-west-2", "eu-west-11", "", "EU-WEST-1"):
        if region:
            for service, call in (("ecs", "list_clusters"), ("logs", "describe_log_groups")):
                code, text = refused(getattr(two.client(service, region=region), call))
                assert code == "InvalidSignatureException" and "Credential should be scoped to a valid region" in text
    anywhere = fresh('[server]\nregions = "any"')
    for region in ("ap-south-2", "moon-1", ELSEWHERE, REGION):
        ecs = anywhere.client("ecs", region=region)
        made = ecs.create_cluster(clusterName="here")["cluster"]["clusterArn"]
        assert made == f"arn:aws:ecs:{region}:000000000000:cluster/here"
        assert made in ecs.list_clusters()["clusterArns"] and len(ecs.list_clusters()["clusterArns"]) <= 2
    told = refused(anywhere.client("ecs", region="x" * 33).list_clusters)
    assert told[0] == "InvalidSignatureException", told
    anywhere.destroy()


def test_accounts_have_their_keys_where_the_listener_is_not_on_loopback(fresh):
    roadstead = fresh(CONFIG, start=False)
    roadstead.settings = lambda: ["--data-dir", str(roadstead.data), "--listen", f"0.0.0.0:{roadstead.port}",
                                  "--config", str(roadstead.config)]
    roadstead.up()
    third = roadstead.client("sts", *KEY).get_caller_identity()
    assert (third["Account"], third["Arn"]) == (THIRD, f"arn:aws:iam::{THIRD}:root")
    made = roadstead.client("ecs", *KEY, region=ELSEWHERE).create_cluster(clusterName=SAME)["cluster"]["clusterArn"]
    assert made == f"arn:aws:ecs:{ELSEWHERE}:{THIRD}:cluster/{SAME}"
    assert not roadstead.client("ecs", *KEY).list_clusters()["clusterArns"]
    for key in ((OTHER, "test"), (THIRD, "test"), ("test", "test")):
        assert refused(roadstead.client("ecs", *key).list_clusters)[0] == "UnrecognizedClientException", key
    roadstead.destroy()


def test_a_host_of_another_account(fresh):
    """By a key that the operator makes for that account: its tasks and its logs are there and nowhere else."""
    server = fresh(CONFIG)
    theirs = Place(server, "mark-b", (OTHER, "test"), OTHER, REGION, "enabled")
    theirs.ecs.create_cluster(clusterName=CLUSTER)
    host = fresh(start=False)
    made = dict(line.split("=", 1) for line in server.cli("agent-key", "--account", OTHER, "create").stdout.split())
    host.flags = ["--endpoint", server.endpoint]
    host.env = host.environment(**made)
    host.start("agent")
    where = {"cluster": CLUSTER}
    found = until(lambda: theirs.ecs.list_container_instances(**where)["containerInstanceArns"], what="the agent registers")
    assert found[0].startswith(f"arn:aws:ecs:{REGION}:{OTHER}:container-instance/"), found
    theirs.ecs.register_task_definition(family="app", containerDefinitions=[
        container(script=f"echo theirs; {SLEEP}", logConfiguration=awslogs())])
    run = lambda: theirs.ecs.run_task(**where, taskDefinition="app")["tasks"]
    task = until(run, what="it is connected")[0]["taskArn"]
    status = lambda: theirs.ecs.describe_tasks(**where, tasks=[task])["tasks"][0]["lastStatus"]
    until(lambda: status() == "RUNNING", what="it runs")
    stream = {"logGroupName": "/e2e", "logStreamName": f"t/main/{task_id(task)}"}
    until(lambda: logged(theirs.logs, stream) == ["theirs"], what="its output")
    assert not server.logs.describe_log_groups()["logGroups"]
    assert len(server.ecs.list_container_instances(**where)["containerInstanceArns"]) == 1
    assert not server.ecs.list_tasks(**where)["taskArns"]
    # Its key is good in its own region only, and nobody takes it by bringing it along elsewhere.
    key = made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"]
    server.client("ecs", *key).discover_poll_endpoint(**where)
    for service, call in (("ecs", lambda c: c.discover_poll_endpoint(**where)),
                          ("ecs", lambda c: c.register_container_instance(**where, totalResources=NUMBERS)),
                          ("logs", lambda c: c.create_log_group(logGroupName="/e2e"))):
        code, text = refused(lambda: call(server.client(service, *key, region=ELSEWHERE)))
        assert code == "InvalidSignatureException" and f"this key is in {REGION}" in text, text
    server.kill()
    server.up()
    assert status() == "RUNNING" and logged(theirs.logs, stream) == ["theirs"]
    theirs.ecs.stop_task(**where, task=task)
    until(lambda: status() == "STOPPED", what="it stops")
    host.terminate()
    host.destroy()
    server.destroy()


def logged(logs, stream):
    try:
        return [event["message"] for event in logs.get_log_events(**stream, startFromHead=True)["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return None


def test_env_gives_keys_of_the_account_that_is_asked_for(two, fresh):
    def told(roadstead, *argv):
        lines = roadstead.cli("env", *argv).stdout.split("\n")
        return dict(line.removeprefix("export ").split("=", 1) for line in lines if line)

    for account, pair in (("000000000000", ("test", "test")), (OTHER, (OTHER, "test")), (THIRD, KEY)):
        env = told(two, "--account", account, "--region", ELSEWHERE)
        assert (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]) == pair
        assert (env["AWS_ACCOUNT_ID"], env["AWS_REGION"]) == (account, ELSEWHERE)
        assert two.client("sts", *pair).get_caller_identity()["Account"] == account
    assert told(two)["AWS_ACCESS_KEY_ID"] == "test"
    outside = fresh(CONFIG, start=False)
    settings = ["--data-dir", str(outside.data), "--listen", f"0.0.0.0:{outside.port}", "--config", str(outside.config)]
    outside.settings = lambda: settings
    outside.up()
    assert told(outside, "--account", THIRD)["AWS_ACCESS_KEY_ID"] == KEY[0]
    root = told(outside)
    assert root["AWS_ACCESS_KEY_ID"].startswith("AKIA")
    done = outside.cli("env", "--account", OTHER, check=False)
    assert done.returncode == 1 and not done.stdout and "[[accounts]]" in done.stderr, done
    outside.destroy()


def test_a_host_stays_in_its_account_and_region(fresh):
    """Started as another's it is refused, and nothing of it ends; its logs stay whose they are."""
    roadstead = fresh()
    arn = roadstead.run(roadstead.define("stays", container(script=f"echo mine; {SLEEP}", logConfiguration=awslogs())))[0]
    roadstead.running(arn)
    roadstead.output(arn)
    first = roadstead.first(arn, "main")
    roadstead.kill()
    for flags in (["--account", OTHER], ["--region", ELSEWHERE]):
        roadstead.flags = flags
        assert roadstead.start().process.wait(PATIENCE) == 1
        said = roadstead.log_tail(3)
        assert "--account 000000000000 --region us-east-1" in said and "--data-dir" in said, said
        assert roadstead.first(arn, "main") == first
    roadstead.flags = []
    roadstead.up()
    assert roadstead.task(arn)["lastStatus"] == "RUNNING" and roadstead.output(arn) == ["mine"]
    roadstead.kill()
    # A control plane alone, in the place of one that was there: all is under the account's own key.
    for path in (roadstead.data / "agent").glob("ledger.db*"):
        path.rename(path.with_name(f"kept-{path.name}"))
    roadstead.flags = ["--account", OTHER]
    roadstead.start("server")
    until(roadstead.said_ready, what="ready")
    assert not roadstead.logs.describe_log_groups()["logGroups"]
    before = roadstead.client("logs", "000000000000", "test")
    assert logged(before, {"logGroupName": "/e2e", "logStreamName": f"t/main/{task_id(arn)}"}) == ["mine"]
    assert not roadstead.ecs.list_task_definitions()["taskDefinitionArns"]
    assert roadstead.client("ecs", "000000000000", "test").list_task_definitions()["taskDefinitionArns"]
    roadstead.destroy()
