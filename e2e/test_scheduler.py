"""EventBridge Scheduler by the stock clients: schedules that run real tasks, over restarts too."""

import datetime
import json

import pytest

from harness import ACCOUNT, REGION, SLEEP, awslogs, container, exit_codes, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/runs"
OFF = {"Mode": "OFF"}


def arn(service, resource):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


@pytest.fixture(scope="module")
def roadstead(fresh, clock):
    made = fresh(start=False)
    made.env = clock.env
    return made.up()


@pytest.fixture(scope="module")
def scheduler(roadstead):
    return roadstead.client("scheduler")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def at(seconds):
    """An expression for a moment from now, and the moment."""
    moment = (now() + datetime.timedelta(seconds=seconds)).replace(microsecond=0)
    return f"at({moment:%Y-%m-%dT%H:%M:%S})", moment


def target(roadstead, definition, **members):
    parameters = {"TaskDefinitionArn": definition, **members.pop("EcsParameters", {})}
    return {"Arn": arn("ecs", f"cluster/{roadstead.cluster}"), "RoleArn": ROLE, "EcsParameters": parameters, **members}


def create(scheduler, name, expression, target, **members):
    return scheduler.create_schedule(
        Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target, **members)["ScheduleArn"]


def started_by(roadstead, name, *statuses):
    """The tasks that a schedule started."""
    found = []
    for status in statuses or ("RUNNING", "STOPPED"):
        found += roadstead.ecs.list_tasks(
            cluster=roadstead.cluster, startedBy=f"chronos-schedule/{name}"[:36], desiredStatus=status)["taskArns"]
    return sorted(set(found))


def is_gone(scheduler, name):
    try:
        scheduler.get_schedule(Name=name)
    except scheduler.exceptions.ResourceNotFoundException:
        return True


def test_schedules_and_groups_as_stock_clients_see_them(roadstead, scheduler):
    definition = roadstead.define("listed", container(script="exit 0"))
    group = scheduler.create_schedule_group(Name="nightly", Tags=[{"Key": "team", "Value": "shop"}])
    assert group["ScheduleGroupArn"] == arn("scheduler", "schedule-group/nightly")
    for number in range(7):
        create(scheduler, f"s{number}", "cron(0 3 * * ? *)", target(roadstead, definition), GroupName="nightly",
               ScheduleExpressionTimezone="Europe/Berlin", Description="at night")
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName="nightly", PaginationConfig={"PageSize": 3})
    assert [one["Name"] for page in pages for one in page["Schedules"]] == [f"s{number}" for number in range(7)]
    shown = roadstead.aws("scheduler", "get-schedule", "--group-name", "nightly", "--name", "s3")
    assert shown["Arn"] == arn("scheduler", "schedule/nightly/s3")
    assert (shown["ScheduleExpressionTimezone"], shown["State"]) == ("Europe/Berlin", "ENABLED")
    assert shown["Target"]["EcsParameters"]["TaskDefinitionArn"] == definition
    assert shown["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    scheduler.update_schedule(Name="s3", GroupName="nightly", ScheduleExpression="rate(7 days)", FlexibleTimeWindow={
        "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, Target=target(roadstead, definition), State="DISABLED")
    shown = scheduler.get_schedule(Name="s3", GroupName="nightly")
    assert (shown["State"], shown["ScheduleExpression"], shown["ScheduleExpressionTimezone"]) == ("DISABLED", "rate(7 days)", "UTC")
    tags = roadstead.aws("scheduler", "list-tags-for-resource", "--resource-arn", group["ScheduleGroupArn"])
    assert tags == {"Tags": [{"Key": "team", "Value": "shop"}]}
    scheduler.tag_resource(ResourceArn=group["ScheduleGroupArn"], Tags=[{"Key": "cost", "Value": "7"}])
    scheduler.untag_resource(ResourceArn=group["ScheduleGroupArn"], TagKeys=["team"])
    assert scheduler.list_tags_for_resource(ResourceArn=group["ScheduleGroupArn"])["Tags"] == [{"Key": "cost", "Value": "7"}]
    with pytest.raises(scheduler.exceptions.ConflictException):
        create(scheduler, "s1", "rate(1 day)", target(roadstead, definition), GroupName="nightly")
    for expression, aim, told in [
        ("rate(0 minutes)", target(roadstead, definition), "Invalid"),
        ("rate(1 day)", {"Arn": arn("sqs", "q"), "RoleArn": ROLE}, "SQS"),
        ("rate(1 day)", target(roadstead, definition, RoleArn="arn:aws:iam::111111111111:role/runs"), "role"),
    ]:
        with pytest.raises(scheduler.exceptions.ValidationException) as refused:
            create(scheduler, "bad", expression, aim)
        assert told in str(refused.value)
    scheduler.delete_schedule_group(Name="nightly")
    until(lambda: "nightly" not in [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]])
    assert scheduler.list_schedules(NamePrefix="s3")["Schedules"] == []


def test_a_schedule_runs_once_and_deletes_itself(roadstead, scheduler):
    definition = roadstead.define("once", container(script="echo nothing", logConfiguration=awslogs()))
    override = {"containerOverrides": [{"name": "main", "command": [
        "/bin/sh", "-c", "echo <aws.scheduler.scheduled-time>; exit 3"]}]}
    expression, moment = at(2)
    create(scheduler, "once", expression, target(roadstead, definition, Input=json.dumps(override)),
           ActionAfterCompletion="DELETE")
    [task] = until(lambda: started_by(roadstead, "once", "STOPPED"), what="a task of the schedule")
    task = roadstead.stopped(task)
    assert exit_codes(task) == {"main": 3} and task["startedBy"] == "chronos-schedule/once"
    assert roadstead.output(task["taskArn"]) == [f"{moment:%Y-%m-%dT%H:%M:%SZ}"]
    until(lambda: is_gone(scheduler, "once"), what="a schedule that deletes itself")


def test_a_universal_target_calls_any_operation(roadstead, scheduler):
    definition = roadstead.define("served", container(script=SLEEP))
    roadstead.ecs.create_service(cluster=roadstead.cluster, serviceName="served", taskDefinition=definition, desiredCount=0)
    expression, _ = at(1)
    universal = lambda name, request: {"Arn": f"arn:aws:scheduler:::aws-sdk:{name}", "RoleArn": ROLE, "Input": json.dumps(request)}
    create(scheduler, "scales", expression, universal("ecs:updateService", {
        "Cluster": roadstead.cluster, "Service": "served", "DesiredCount": 1}), ActionAfterCompletion="DELETE")
    create(scheduler, "makes", expression, universal("cloudwatchlogs:createLogGroup", {"LogGroupName": "/made"}))
    wanted = lambda: roadstead.ecs.describe_services(cluster=roadstead.cluster, services=["served"])["services"][0]
    until(lambda: wanted()["runningCount"] == 1, what="a service that was scaled")
    until(lambda: roadstead.logs.describe_log_groups(logGroupNamePrefix="/made")["logGroups"], what="a log group")
    assert scheduler.get_schedule(Name="makes")["State"] == "ENABLED", "it stays, and never runs again"
    roadstead.ecs.delete_service(cluster=roadstead.cluster, service="served", force=True)


def test_a_run_that_was_missed_runs_late(roadstead, scheduler):
    definition = roadstead.define("late", container(script="echo late", logConfiguration=awslogs()))
    expression, moment = at(4)
    create(scheduler, "late", expression, target(roadstead, definition))
    old, tooold = {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}, "tooold"
    create(scheduler, tooold, expression, target(roadstead, "no-such-family", RetryPolicy=old))
    roadstead.kill()
    until(lambda: now() > moment, what="the time of the run")
    roadstead.up()
    [task] = until(lambda: started_by(roadstead, "late", "STOPPED"), what="a task that was missed")
    assert roadstead.task(task)["createdAt"] > moment
    assert roadstead.output(task) == ["late"]

    def failed():
        lines = roadstead.cli("failures", "--json").stdout.splitlines()
        return [one for one in map(json.loads, lines) if one["for"].endswith(f"/{tooold}")]

    [failure] = until(failed, what="a failure")
    assert (failure["service"], failure["code"]) == ("scheduler", "ClientException")
    assert "TaskDefinition not found" in failure["message"]


def test_schedules_run_each_minute_over_kill_9(roadstead, scheduler, clock):
    """Of the second one run goes on at a time, and the next waits for its end."""
    quick = roadstead.define("minutely", container(script="echo tick", logConfiguration=awslogs()))
    create(scheduler, "minutely", "rate(1 minute)", target(roadstead, quick))
    slow = roadstead.define("single", container(script=SLEEP))
    one = {"EcsParameters": {"Tags": [{"key": "roadstead:concurrency", "value": "1"}]}}
    create(scheduler, "single", "rate(1 minute)", target(roadstead, slow, **one))
    due = clock.now()
    for runs in (1, 2):
        found = until(lambda: len(started_by(roadstead, "minutely", "STOPPED")) == runs and started_by(roadstead, "minutely"),
                      what="the first run, which is at once, and the next")
        [task] = until(lambda: started_by(roadstead, "single"), what="a run of which one goes on at a time")
        roadstead.running(task)
        if runs == 1:
            due += datetime.timedelta(minutes=1)
            roadstead.kill()
            clock.shortly_before(due)
            roadstead.up()
    made = sorted(roadstead.task(run)["createdAt"] for run in found)
    assert len(made) == 2 and 50 < (made[1] - made[0]).total_seconds() < 70, f"none ran twice: {made}"
    assert {tuple(roadstead.output(run)) for run in found} == {("tick",)}
    scheduler.delete_schedule(Name="minutely")
    until(lambda: clock.now() > due + datetime.timedelta(seconds=5), what="the time of the second run")
    assert started_by(roadstead, "single") == [task], "the second waits"
    roadstead.stop(task)
    found = until(lambda: len(started_by(roadstead, "single")) == 2 and started_by(roadstead, "single"), what="the second")
    scheduler.delete_schedule(Name="single")
    for task in found:
        roadstead.stop(task)
