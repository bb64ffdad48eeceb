"""EventBridge: buses, rules and targets by the stock clients, and events that reach real tasks, log groups and buses."""

import datetime
import json

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, awslogs, container, exit_codes, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/events"


def arn(service, resource):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


@pytest.fixture(scope="module")
def roadstead(fresh, clock):
    made = fresh(start=False)
    made.env = clock.env
    return made.up()


@pytest.fixture(scope="module")
def events(roadstead):
    return roadstead.client("events")


def rule(events, name, pattern, *targets, **members):
    """A rule with its targets; its ARN."""
    put = events.put_rule(Name=name, EventPattern=json.dumps(pattern), **members)
    bus = {"EventBusName": members["EventBusName"]} if "EventBusName" in members else {}
    answer = events.put_targets(Rule=name, Targets=list(targets), **bus)
    assert answer["FailedEntryCount"] == 0, answer
    return put["RuleArn"]


def task_target(roadstead, definition, identifier="task", **members):
    return {"Id": identifier, "Arn": arn("ecs", f"cluster/{roadstead.cluster}"), "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": definition, "TaskCount": 1}, **members}


def send(events, source, detail=None, kind="Order", **members):
    entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail or {}), **members}
    answer = events.put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer
    return answer["Entries"][0]["EventId"]


def started_by(roadstead, rule_name, status="STOPPED"):
    """The tasks that a rule started, of one desired status."""
    found = roadstead.ecs.list_tasks(
        cluster=roadstead.cluster, startedBy=f"events-rule/{rule_name}"[:36], desiredStatus=status)
    return found["taskArns"]


def logged(roadstead, group):
    """Every message in a group, read as JSON."""
    streams = roadstead.logs.describe_log_streams(logGroupName=group)["logStreams"]
    return [json.loads(line) for stream in streams for line in roadstead.messages(group, stream["logStreamName"])]


def test_buses_rules_and_targets_as_stock_clients_see_them(roadstead, events):
    made = events.create_event_bus(Name="orders", Description="what is ordered", Tags=[{"Key": "team", "Value": "shop"}])
    assert made["EventBusArn"] == arn("events", "event-bus/orders")
    for number in range(12):
        rule(events, f"r{number:02}", {"source": ["shop"]}, {"Id": "log", "Arn": arn("logs", "log-group:/aws/events/x")},
             EventBusName="orders")
    listed = roadstead.aws("events", "list-rules", "--event-bus-name", "orders", "--name-prefix", "r", "--limit", "5")
    assert [one["Name"] for one in listed["Rules"]] == [f"r0{number}" for number in range(5)] and listed["NextToken"]
    pages = events.get_paginator("list_rules").paginate(EventBusName="orders", PaginationConfig={"PageSize": 5})
    assert [one["Name"] for page in pages for one in page["Rules"]] == [f"r{number:02}" for number in range(12)]
    by_target = events.list_rule_names_by_target(TargetArn=arn("logs", "log-group:/aws/events/x"), EventBusName="orders")
    assert len(by_target["RuleNames"]) == 12
    tags = roadstead.aws("events", "list-tags-for-resource", "--resource-arn", made["EventBusArn"])
    assert tags == {"Tags": [{"Key": "team", "Value": "shop"}]}
    described = roadstead.aws("events", "describe-rule", "--event-bus-name", "orders", "--name", "r03")
    assert described["Arn"] == arn("events", "rule/orders/r03") and described["State"] == "ENABLED"
    with pytest.raises(ClientError) as refused:
        events.delete_event_bus(Name="orders")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="none")
    with pytest.raises(ClientError) as refused:
        events.put_targets(Rule="r00", EventBusName="orders", Targets=[{"Id": "q", "Arn": arn("sqs", "q")}])
    assert "sqs" in refused.value.response["Error"]["Message"]
    with pytest.raises(ClientError) as refused:
        events.list_archives()
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    for number in range(12):
        events.remove_targets(Rule=f"r{number:02}", EventBusName="orders", Ids=["log"])
        events.delete_rule(Name=f"r{number:02}", EventBusName="orders")
    events.delete_event_bus(Name="orders")


def test_patterns_are_tried_out(roadstead):
    event = {"id": "1", "detail-type": "Order", "source": "shop", "account": ACCOUNT, "time": "2026-11-28T00:00:00Z",
             "region": REGION, "resources": [], "detail": {"total": 12, "state": "paid"}}
    for pattern, matches in [
        ({"source": [{"prefix": "sh"}], "detail": {"total": [{"numeric": [">", 10]}]}}, True),
        ({"detail": {"state": [{"anything-but": ["paid"]}]}}, False),
        ({"$or": [{"source": ["x"]}, {"detail": {"state": [{"wildcard": "p*d"}]}}]}, True),
    ]:
        told = roadstead.aws("events", "test-event-pattern", "--event-pattern", json.dumps(pattern), "--event", json.dumps(event))
        assert told == {"Result": matches}, pattern
    refused = roadstead.aws("events", "test-event-pattern", "--event-pattern", "{\"source\": \"shop\"}", "--event", json.dumps(event), check=False)
    assert refused.returncode and "InvalidEventPatternException" in refused.stderr


def test_an_event_runs_a_task_that_is_told_of_it(roadstead, events):
    definition = roadstead.define("ordered", container(script="echo nothing", logConfiguration=awslogs()))
    template = ('{"containerOverrides": [{"name": "main", "command": ["/bin/sh", "-c", "echo $ORDER of $RULE; exit 5"],'
                ' "environment": [{"name": "ORDER", "value": "<order>"}, {"name": "RULE", "value": "<aws.events.rule-name>"}]}]}')
    rule(events, "ordered", {"source": ["shop"], "detail": {"state": ["paid"]}}, task_target(
        roadstead, definition, InputTransformer={"InputPathsMap": {"order": "$.detail.order"}, "InputTemplate": template}))
    send(events, "shop", {"state": "open", "order": "no"})
    send(events, "shop", {"state": "paid", "order": "a7"})
    [task] = until(lambda: started_by(roadstead, "ordered"), what="a task of the rule")
    task = roadstead.stopped(task)
    assert exit_codes(task) == {"main": 5} and task["startedBy"] == "events-rule/ordered"
    assert roadstead.output(task["taskArn"]) == ["a7 of ordered"]


def test_an_event_reaches_a_log_group_by_way_of_another_bus(roadstead, events):
    roadstead.logs.create_log_group(logGroupName="/aws/events/shop")
    events.create_event_bus(Name="inbox")
    rule(events, "forwards", {"source": ["inbox"]}, {"Id": "main", "Arn": arn("events", "event-bus/default")}, EventBusName="inbox")
    rule(events, "logs", {"source": ["inbox"]}, {"Id": "log", "Arn": arn("logs", "log-group:/aws/events/shop")})
    id = send(events, "inbox", {"n": 1}, EventBusName="inbox", Resources=["arn:aws:s3:::a"])
    send(events, "other", {"n": 2}, EventBusName="inbox")
    [event] = until(lambda: logged(roadstead, "/aws/events/shop"), what="an event in the log group")
    assert (event["id"], event["source"], event["detail-type"]) == (id, "inbox", "Order")
    assert (event["detail"], event["resources"]) == ({"n": 1}, ["arn:aws:s3:::a"])
    assert (event["account"], event["region"]) == (ACCOUNT, REGION)


def test_what_no_target_takes_is_shown(roadstead, events):
    rule(events, "broken", {"source": ["broken"]}, task_target(roadstead, "no-such-family"),
         {"Id": "log", "Arn": arn("logs", "log-group:/aws/events/missing")})
    send(events, "broken")

    def failures():
        lines = roadstead.cli("failures", "--json").stdout.splitlines()
        found = [json.loads(line) for line in lines]
        return {one["what"]: one for one in found if "rule broken " in one["for"]}

    found = until(lambda: len(failures()) == 2 and failures(), what="two failures")
    assert found["ecs:RunTask"]["code"] == "ClientException"
    assert "TaskDefinition not found" in found["ecs:RunTask"]["message"]
    assert found["logs:PutLogEvents"]["code"] == "ResourceNotFoundException"
    assert "target task of rule broken on event bus default" in roadstead.cli("failures").stdout
    assert "a call was given up" in roadstead.log_tail(5000)


def test_no_event_is_lost_and_none_runs_twice_over_kill_9(roadstead, events):
    definition = roadstead.define("counted", container(script="exit 0"))
    rule(events, "counted", {"source": ["counted"]}, task_target(roadstead, definition))
    for number in range(10):
        send(events, "counted", {"n": number})
        if number % 4 == 1:
            roadstead.kill()
            roadstead.up()
    tasks = lambda: started_by(roadstead, "counted") + started_by(roadstead, "counted", "RUNNING")
    until(lambda: len(started_by(roadstead, "counted")) >= 10, what="ten tasks")
    assert len(set(tasks())) == 10
    assert events.describe_rule(Name="counted")["State"] == "ENABLED"


def test_a_rule_runs_a_task_each_minute(roadstead, events, clock):
    definition = roadstead.define("minutely", container(script="echo tick", logConfiguration=awslogs()))
    events.put_rule(Name="minutely", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="minutely", Targets=[task_target(roadstead, definition)])
    due = clock.now()
    for runs in (1, 2):
        due += datetime.timedelta(minutes=1)
        assert len(started_by(roadstead, "minutely")) == runs - 1
        roadstead.kill()
        clock.shortly_before(due)
        roadstead.up()
        found = until(lambda: len(started_by(roadstead, "minutely")) == runs and started_by(roadstead, "minutely"),
                      what="a task of the rule with a rate")
    made = sorted(roadstead.task(task)["createdAt"] for task in found)
    assert 50 < (made[1] - made[0]).total_seconds() < 70, made
    assert {tuple(roadstead.output(task)) for task in found} == {("tick",)}
    events.disable_rule(Name="minutely")
    assert roadstead.aws("events", "list-rules", "--name-prefix", "minutely")["Rules"][0]["State"] == "DISABLED"
