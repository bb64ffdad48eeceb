"""Several hosts: their zones, how they are emptied, and what becomes of services when the agent of one is gone."""

import botocore.exceptions
import pytest

from harness import ACCOUNT, CLUSTER, REGION, SLEEP, container, until

LOST_AFTER = 5


@pytest.fixture(scope="module")
def server(fresh):
    server = fresh(f"[server]\nagent_lost_after_seconds = {LOST_AFTER}\n", start=False)
    server.start("server")
    until(server.said_ready, what="ready")
    server.hosts = {}
    return server


@pytest.fixture(scope="module")
def hosts(server, fresh):
    """Has an agent run in a zone."""

    def host(zone):
        if zone not in server.hosts:
            server.hosts[zone] = fresh(f'[agent]\navailability_zone = "{zone}"\n', start=False)
        found = server.hosts[zone]
        if found.process is None or found.process.poll() is not None:
            found.flags = ["--endpoint", server.endpoint]
            found.env = found.environment()
            found.start("agent")
        until(lambda: instance(server, zone, connected=True), what=f"the agent in {zone} connects")
        return found

    return host


@pytest.fixture
def service(server):
    """Makes a service; it is deleted when the test is done."""
    made = []

    def make(name, desired=1, **members):
        made.append(name)
        if members.get("schedulingStrategy") != "DAEMON":
            members["desiredCount"] = desired
        definition = server.define(name, container(script=SLEEP))
        server.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=definition, **members)
        server.wait("services_stable", services=[name])
        return definition

    yield make
    server.delete_services(made)


def instances(server, **members):
    arns = server.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    if not arns:
        return []
    return server.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns, **members)["containerInstances"]


def instance(server, zone, connected=None):
    """The ARN of the container instance in a zone."""
    for one in instances(server):
        if {"name": "ecs.availability-zone", "value": zone} in one["attributes"] and connected in (None, one["agentConnected"]):
            return one["containerInstanceArn"]
    return None


def tasks_of(server, name):
    arns = server.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]
    return server.tasks(arns) if arns else []


def spread(server, name):
    """How many tasks run in each zone."""
    zones = [task["availabilityZone"] for task in tasks_of(server, name) if task["lastStatus"] == "RUNNING"]
    return {zone: zones.count(zone) for zone in zones}


def events(server, name):
    told = server.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
    return [event["message"] for event in told["events"]]


def set_state(server, zone, status):
    changed = server.ecs.update_container_instances_state(
        cluster=CLUSTER, containerInstances=[instance(server, zone)], status=status)
    assert not changed["failures"] and changed["containerInstances"][0]["status"] == status


def test_a_service_is_rebalanced_over_zones(server, hosts, service):
    hosts("one")
    service("spread", 4)
    assert spread(server, "spread") == {"one": 4}
    before = {task["taskArn"] for task in tasks_of(server, "spread")}
    hosts("two")
    until(lambda: spread(server, "spread") == {"one": 2, "two": 2}, what="two tasks in each zone")
    assert len({task["taskArn"] for task in tasks_of(server, "spread")} & before) == 2
    balanced = "(service spread) is AZ balanced with 2 tasks in one and 2 tasks in two."
    until(lambda: balanced in events(server, "spread"), what="it says so")
    said = "\n".join(events(server, "spread"))
    for words in ("(service spread) is not AZ balanced with 4 tasks in one and 0 tasks in two. AZ Rebalancing in progress.",
                  "(service spread) has started 2 tasks in two to AZ Rebalance: (task ",
                  "(service spread) has stopped 2 running tasks in one due to AZ rebalancing: (task "):
        assert words in said, said
    # Scale-in keeps the balance.
    server.ecs.update_service(cluster=CLUSTER, service="spread", desiredCount=2)
    until(lambda: spread(server, "spread") == {"one": 1, "two": 1}, what="one task in each zone")


def test_a_service_that_does_not_want_it_stays_where_it_is(server, hosts, service):
    hosts("one"), hosts("two")
    set_state(server, "two", "DRAINING")
    service("still", 2, availabilityZoneRebalancing="DISABLED")
    service("moves", 2)
    set_state(server, "two", "ACTIVE")
    until(lambda: spread(server, "moves") == {"one": 1, "two": 1}, what="the other one is rebalanced")
    assert spread(server, "still") == {"one": 2}


def test_draining_replaces_service_tasks_and_ends_daemons_last(server, hosts, service):
    hosts("one"), hosts("two")
    definition = service("drained", 4, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 150})
    service("everywhere", schedulingStrategy="DAEMON")
    alone = server.ecs.start_task(cluster=CLUSTER, taskDefinition=definition, containerInstances=[instance(server, "two")])
    alone = alone["tasks"][0]["taskArn"]
    server.reach(alone, "RUNNING")
    assert spread(server, "drained") == {"one": 2, "two": 2} and spread(server, "everywhere") == {"one": 1, "two": 1}
    set_state(server, "two", "DRAINING")
    fewest = []

    def moved():
        zones = spread(server, "drained")
        fewest.append(sum(zones.values()))
        return zones == {"one": 4}

    until(moved, what="all tasks in the other zone")
    assert min(fewest) >= 4, fewest
    # What nobody has to replace goes on, and with it the daemon.
    assert server.task(alone)["lastStatus"] == "RUNNING"
    assert spread(server, "everywhere") == {"one": 1, "two": 1}
    server.stop(alone)
    server.stopped(alone)
    until(lambda: spread(server, "everywhere") == {"one": 1}, what="the daemon is the last to go")
    left = lambda: sum(one["runningTasksCount"] for one in instances(server) if one["status"] == "DRAINING")
    until(lambda: left() == 0, what="the host is empty")
    set_state(server, "two", "ACTIVE")
    until(lambda: spread(server, "everywhere") == {"one": 1, "two": 1}, what="the daemon is back")


def test_what_is_known_of_hosts_and_asked_of_agents(server, hosts):
    hosts("one"), hosts("two")

    def health():
        return {(one["healthStatus"]["overallStatus"], *(check["type"] for check in one["healthStatus"]["details"]))
                for one in instances(server, include=["CONTAINER_INSTANCE_HEALTH"])}

    until(lambda: health() == {("OK", "CONTAINER_RUNTIME")}, what="both say that they are well")
    assert all("healthStatus" not in one and "agentUpdateStatus" not in one for one in instances(server))
    for named, code in ((instance(server, "one"), "NoUpdateAvailableException"), ("0" * 32, "InvalidParameterException")):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            server.ecs.update_container_agent(cluster=CLUSTER, containerInstance=named)
        assert caught.value.response["Error"]["Code"] == code
    attachment = f"arn:aws:ecs:{REGION}:{ACCOUNT}:attachment/{CLUSTER}/0123"
    heard = server.ecs.submit_attachment_state_changes(
        cluster=CLUSTER, attachments=[{"attachmentArn": attachment, "status": "ATTACHED"}])
    assert heard["acknowledgment"] == "ACK"


def test_services_do_without_a_host_whose_agent_is_gone(server, hosts, service):
    """Its containers run on, unseen; once it is back, what was replaced is ended there."""
    hosts("one")
    host = hosts("two")
    definition = service("needed", 2)
    alone = server.ecs.start_task(cluster=CLUSTER, taskDefinition=definition, containerInstances=[instance(server, "two")])
    alone = alone["tasks"][0]["taskArn"]
    server.reach(alone, "RUNNING")
    lost = next(task["taskArn"] for task in tasks_of(server, "needed") if task["availabilityZone"] == "two")
    pid = until(lambda: host.first(lost, "main"), what="its process")
    host.kill()
    until(lambda: spread(server, "needed") == {"one": 2}, what="it is replaced")
    gone = server.task(lost)
    assert (gone["desiredStatus"], gone["lastStatus"], gone["connectivity"]) == ("STOPPED", "STOPPING", "DISCONNECTED")
    assert gone["stoppedReason"] == "The agent of the container instance was not connected for too long"
    assert server.task(alone)["desiredStatus"] == "RUNNING", "what is nobody's to replace stays"
    assert host.first(lost, "main") == pid
    hosts("two")
    server.stopped(lost)
    until(lambda: not host.pids(lost, "main"), what="its process ends")
    assert host.first(alone, "main")
    until(lambda: spread(server, "needed") == {"one": 1, "two": 1}, what="it is rebalanced")
    server.stop(alone)
    server.stopped(alone)
