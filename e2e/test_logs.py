"""What containers write: complete, in order, and readable with the stock tools."""

import contextlib
import datetime
import json
import re
import subprocess
import threading
import time

import pytest

from harness import AWS2, SLEEP, awslogs, container, exit_codes, task_id, until

COUNT = 10_000


def test_ten_thousand_lines_and_out_at_once(roadstead):
    script = f"i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); done"
    task = roadstead.finish(roadstead.define("chatty", container(script=script, logConfiguration=awslogs())))
    assert exit_codes(task) == {"main": 0}
    found = roadstead.output(task["taskArn"], lines=COUNT)
    assert found == [f"line {i}" for i in range(COUNT)]
    stream = roadstead.logs.describe_log_streams(
        logGroupName="/e2e", logStreamNamePrefix=f"t/main/{task_id(task['taskArn'])}")["logStreams"][0]
    assert stream["firstEventTimestamp"] <= stream["lastEventTimestamp"] <= time.time() * 1000


def test_both_outputs_the_last_word_and_long_lines(roadstead):
    script = "echo out; echo err >&2; dd if=/dev/zero bs=1000 count=20 2>/dev/null | tr '\\0' x; echo; printf 'no newline'"
    task = roadstead.finish(roadstead.define("words", container(script=script, logConfiguration=awslogs())))
    found = roadstead.output(task["taskArn"], lines=4)
    # Each output keeps its own order; the two are not ordered among each other.
    found.remove("err")
    assert found[0] == "out" and "".join(found[1:-1]) == "x" * 20_000 and found[-1] == "no newline"


def test_multiline_pattern_joins_lines(roadstead):
    script = "echo START one; echo more; echo START two; echo even more"
    task = roadstead.finish(roadstead.define("joined", container(
        script=script, logConfiguration=awslogs(awslogs_multiline_pattern="^START"))))
    found = roadstead.output(task["taskArn"], lines=2)
    assert [message.split() for message in found] == [["START", "one", "more"], ["START", "two", "even", "more"]]


@pytest.mark.parametrize("option, value, first, second", [
    ("awslogs_datetime_format", r"\[%Y-%m-%d %H:%M:%S\]", "[2026-11-28 19:30:01] one", "[2026-11-28 19:30:02] two"),
    ("awslogs_datetime_format", r"%Y/%m/%d\s+%H:%M", "2026/11/28    19:30 one", "2026/11/28 19:31 two"),
    ("awslogs_datetime_format", "^%Y-%m-%d", "2026-11-28 one", "2026-11-29 two"),
    ("awslogs_multiline_pattern", "^{", "{ one", "{ two"),
    ("awslogs_multiline_pattern", r"\QSTART.\E", "a START. one", "a START. two"),
])
def test_an_event_begins_where_docker_says_it_does(roadstead, option, value, first, second):
    """The formats and patterns as they stand in published definitions: regular expressions of Go."""
    script = f"echo '{first}'; echo '  STARTx 2026-11-28 more'; echo '{second}'; echo ' at some.Class'"
    task = roadstead.finish(roadstead.define("begun", container(
        script=script, logConfiguration=awslogs(awslogs_create_group="True", **{option: value}))))
    found = roadstead.output(task["taskArn"], lines=2)
    assert found == [f"{first}\n  STARTx 2026-11-28 more", f"{second}\n at some.Class"]


def test_tail_and_follow_with_the_stock_cli(roadstead):
    script = "n=0; while [ $n -lt 100 ]; do echo tick $n; n=$((n+1)); sleep 0.1; done"
    definition = roadstead.define("ticks", container(script=script, logConfiguration=awslogs("/ticks")))
    arn = roadstead.run(definition)[0]
    roadstead.output(arn, lines=1, group="/ticks")
    argv = [AWS2, "logs", "tail", "/ticks", "--since", "5m", "--format", "short", "--endpoint-url", roadstead.endpoint]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=roadstead.environment())
    assert told.returncode == 0 and "tick 0" in told.stdout, told
    follow = subprocess.Popen([*argv, "--follow"], stdout=subprocess.PIPE, text=True,
                              env=roadstead.environment(PYTHONUNBUFFERED="1"))
    lines = []
    threading.Thread(target=lambda: lines.extend(iter(follow.stdout.readline, "")), daemon=True).start()
    try:
        until(lambda: any("tick 99" in line for line in list(lines)), 40, "tick 99 by --follow")
    finally:
        follow.kill()
        follow.wait()
    roadstead.stopped(arn)


def test_filter_patterns(roadstead):
    logs = roadstead.logs
    logs.create_log_group(logGroupName="/filter", tags={"a": "b"})
    logs.create_log_stream(logGroupName="/filter", logStreamName="s")
    now = int(time.time() * 1000)
    messages = ["ERROR disk full", "WARN slow disk", json.dumps({"level": "error", "ms": 120, "user": {"name": "ann"}}),
                json.dumps({"level": "info", "ms": 20}), "127.0.0.1 - bob [today] GET 404 77"]
    logs.put_log_events(logGroupName="/filter", logStreamName="s", logEvents=[
        {"timestamp": now + i, "message": message} for i, message in enumerate(messages)])

    def matches(pattern):
        found = logs.get_paginator("filter_log_events").paginate(
            logGroupName="/filter", filterPattern=pattern, PaginationConfig={"PageSize": 1})
        return [messages.index(event["message"]) for page in found for event in page["events"]]

    assert matches("") == [0, 1, 2, 3, 4]
    assert matches("disk") == [0, 1]
    assert matches("disk -ERROR") == [1]
    assert matches("?ERROR ?WARN") == [0, 1]
    assert matches('"disk full"') == [0]
    assert matches("{ $.level = \"error\" && $.ms > 100 }") == [2]
    assert matches("{ $.user.name = \"a*\" }") == [2]
    assert matches("[ip, dash, user=bob, day, verb, status=4*, size>70]") == [4]


def test_groups_streams_and_their_life(roadstead):
    logs = roadstead.logs
    for name in ("/life/a", "/life/b", "/life/c"):
        logs.create_log_group(logGroupName=name)
    found = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/life", PaginationConfig={"PageSize": 1})
    groups = [group for page in found for group in page["logGroups"]]
    assert [group["logGroupName"] for group in groups] == ["/life/a", "/life/b", "/life/c"]
    assert [group["logGroupName"] for group in logs.list_log_groups(logGroupNamePattern="life")["logGroups"]] == [
        "/life/a", "/life/b", "/life/c"]
    logs.put_retention_policy(logGroupName="/life/a", retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix="/life/a")["logGroups"][0]["retentionInDays"] == 7
    logs.delete_retention_policy(logGroupName="/life/a")
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix="/life/a")["logGroups"][0]
    arn = groups[0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"one": "1", "two": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["one"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"two": "2"}
    logs.tag_log_group(logGroupName="/life/a", tags={"three": "3"})
    logs.untag_log_group(logGroupName="/life/a", tags=["two"])
    assert logs.list_tags_log_group(logGroupName="/life/a")["tags"] == {"three": "3"}
    for name in ("s1", "s2"):
        logs.create_log_stream(logGroupName="/life/a", logStreamName=name)
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName="/life/a", PaginationConfig={"PageSize": 1})
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == ["s1", "s2"]
    logs.delete_log_stream(logGroupName="/life/a", logStreamName="s1")
    for name in ("/life/a", "/life/b", "/life/c"):
        logs.delete_log_group(logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix="/life")["logGroups"] == []
    try:
        logs.get_log_events(logGroupName="/life/a", logStreamName="s1")
        raise AssertionError("a deleted group answers")
    except logs.exceptions.ResourceNotFoundException as error:
        assert error.response["Error"]["Message"] == "The specified log group does not exist."


def json_files(roadstead, arn, name="main"):
    """The files that the driver json-file wrote for a container, oldest first."""
    runtime = next(c["runtimeId"] for c in roadstead.task(arn)["containers"] if c["name"] == name)
    folder = roadstead.data / "engine/tasks" / task_id(arn) / name / "output"
    return sorted(folder.glob(f"{runtime}-json.log*"), key=lambda path: int(path.suffix[1:]) if path.suffix != ".log" else 0)[::-1]


def entries(path):
    """The lines that are whole: it may be written just now."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def test_json_file_is_docker_s(roadstead):
    """One object a line, long lines in parts, turned over by size; gone with the task."""
    script = f"echo out; echo err >&2; dd if=/dev/zero bs=20000 count=1 2>/dev/null | tr '\\0' x; echo; {SLEEP}"
    turning = f"i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; {SLEEP}"
    definition = roadstead.define(
        "filed", container(script=script),
        container("turned", turning, logConfiguration={"logDriver": "json-file", "options": {
            "max-size": "2k", "max-file": "3", "mode": "non-blocking"}}))
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    files = until(lambda: json_files(roadstead, arn))
    found = until(lambda: len(entries(files[0])) == 4 and entries(files[0]), what="all lines on disk")
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o640
    assert sorted((e["stream"], e["log"][:5]) for e in found) == [
        ("stderr", "err\n"), ("stdout", "out\n"), ("stdout", "xxxxx"), ("stdout", "xxxxx")]
    assert [e["log"] for e in found if "xx" in e["log"]] == ["x" * 16384, "x" * 3616 + "\n"]
    for entry in found:
        assert list(entry) == ["log", "stream", "time"]
        assert abs(datetime.datetime.fromisoformat(entry["time"][:19] + "+00:00").timestamp() - time.time()) < 60
    turned = until(lambda: "line 99" in "".join(p.read_text() for p in json_files(roadstead, arn, "turned"))
                   and json_files(roadstead, arn, "turned"))
    assert [path.name[64:] for path in turned] == ["-json.log.2", "-json.log.1", "-json.log"]
    kept = [entry["log"] for path in turned for entry in entries(path)]
    assert kept == [f"line {i}\n" for i in range(100)][-len(kept):] and 40 < len(kept) < 100
    roadstead.stop(arn)
    roadstead.stopped(arn)
    until(lambda: not files[0].exists(), what="the files to go with the task")
    for option, value in (("compress", "true"), ("labels", "a"), ("tag", "x")):
        with pytest.raises(roadstead.ecs.exceptions.UnsupportedFeatureException, match=f"options {option} is not supported"):
            roadstead.define("refused", container(script="true", logConfiguration={"logDriver": "json-file", "options": {option: value}}))


def test_an_absent_reader_holds_nobody_up(roadstead):
    """While the agent is dead, a json-file is complete, and what a non-blocking container writes too much is counted."""
    count, shared = 8000, roadstead.top / "shared"
    script = (f"trap 'exit 0' TERM; echo begun; while [ ! -e /w/go ]; do sleep 0.02; done; i=0; "
              f"while [ $i -lt {count} ]; do echo $i {'x' * 400}; i=$((i+1)); done; echo > /w/$NAME; sleep 1000 & wait")
    members = {"mountPoints": [{"sourceVolume": "w", "containerPath": "/w"}]}
    definition = roadstead.define(
        "torrent",
        container("main", script, logConfiguration=awslogs(mode="non-blocking", max_buffer_size="1m"),
                  environment=[{"name": "NAME", "value": "main"}], **members),
        container("filed", script, environment=[{"name": "NAME", "value": "filed"}], **members),
        volumes=[{"name": "w", "host": {"sourcePath": str(shared)}}])
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    roadstead.output(arn)
    file = until(lambda: json_files(roadstead, arn, "filed"))[0]
    roadstead.kill()
    (shared / "go").touch()
    # Nobody reads, and both come to their ends all the same.
    until(lambda: {path.name for path in shared.iterdir()} == {"go", "main", "filed"}, what="both ends")
    roadstead.up()
    whole = [f"{i} " for i in range(count)]
    until(lambda: len(entries(file)) > count, what="the whole file")
    assert [entry["log"].split("x")[0] for entry in entries(file)] == ["begun\n", *whole]
    roadstead.stop(arn)
    roadstead.stopped(arn)
    said = until(lambda: (lines := roadstead.output(arn))[-1].startswith(whole[-1]) and lines, what="the last line")
    # What was shipped but not yet noted as such when the agent died is shipped once more.
    shipped = list(dict.fromkeys(line.split("x")[0] for line in said))
    assert shipped[0] == "begun" and shipped[1:] == whole[-len(shipped) + 1:]
    told = re.findall(rf"output was dropped.*{task_id(arn)}/main lines=(\d+) bytes=(\d+)", roadstead.log.read_text())
    assert len(shipped) + int(told[-1][0]) == count + 1, told
    assert 400 * int(told[-1][0]) < int(told[-1][1]) < 500 * int(told[-1][0])


def test_more_streams_than_there_may_be_start_all_tasks_and_the_oldest_goes(fresh):
    """CloudWatch Logs knows no limit of streams, so none is refused: each task has its own, and the oldest give way."""
    most = 12
    roadstead = fresh(f"[logs]\nmax_streams = {most}\n")
    quiet = roadstead.finish(roadstead.define("quiet", container(script="echo kept", logConfiguration=awslogs("/quiet"))))
    short = roadstead.define("short", container(script="echo here", logConfiguration=awslogs("/short")))
    arns = []
    for _ in range(3):
        batch = roadstead.run(short, count=6)
        assert all(exit_codes(roadstead.stopped(arn)) == {"main": 0} for arn in batch)
        for arn in batch:
            assert roadstead.output(arn, group="/short") == ["here"]
        arns += batch

    def streams(group):
        return {stream["logStreamName"] for stream in roadstead.logs.describe_log_streams(logGroupName=group)["logStreams"]}

    def as_told():
        checks = json.loads(roadstead.cli("doctor", "--json", check=False).stdout)["checks"]
        return next(check for check in checks if check["name"] == "log-streams")

    def check():
        kept = streams("/short")
        assert len(kept) == most - 1 and {f"t/main/{task_id(arn)}" for arn in arns[-6:]} <= kept
        assert f"t/main/{task_id(quiet['taskArn'])}" in streams("/quiet")
        assert not kept & {f"t/main/{task_id(arn)}" for arn in arns[:6]}
        for arn in arns[-6:]:
            assert roadstead.messages("/short", f"t/main/{task_id(arn)}") == ["here"]
        assert roadstead.messages("/quiet", f"t/main/{task_id(quiet['taskArn'])}") == ["kept"]
        told = as_told()
        assert told["status"] == "warn" and told["detail"] == f"{most} of {most}; 7 of the oldest gave way to new ones so far"

    check()
    assert "there are as many log streams as there may be" in roadstead.log_tail()
    roadstead.kill()
    roadstead.up()
    check()
    arn = roadstead.finish(short)["taskArn"]
    assert roadstead.output(arn, group="/short") == ["here"]
    assert as_told()["detail"].endswith("; 8 of the oldest gave way to new ones so far")


def test_a_flood_keeps_to_its_limit_and_pushes_out_its_own_past_alone(fresh):
    """All logs together have a limit; the group of somebody who writes little keeps all that it has."""
    limit_mib = 16
    roadstead = fresh(f"[logs]\nmax_size_mib = {limit_mib}\n")
    quiet = roadstead.finish(roadstead.define("quiet", container(script="echo kept", logConfiguration=awslogs("/quiet"))))
    flood = "yes 0123456789012345678901234567890123456789012345678901234567890123 | head -n 400000; echo the end"
    arn = roadstead.run(roadstead.define("flood", container(
        script=flood, logConfiguration=awslogs("/flood", mode="blocking"))))[0]

    def stored():
        total = 0
        for path in (roadstead.data / "logs").rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # It goes while it is looked at.
                total += path.stat().st_blocks * 512
        return total

    while roadstead.task(arn)["lastStatus"] != "STOPPED":
        assert stored() <= (limit_mib + 2) << 20  # With what is being written.
    assert exit_codes(roadstead.task(arn)) == {"main": 0}
    # What is left is shipped after the end is told.
    until(lambda: [event["message"] for event in roadstead.logs.get_log_events(
        logGroupName="/flood", logStreamName=f"t/main/{task_id(arn)}", limit=1)["events"]] == ["the end"], what="the last line")
    assert "the logs take all they may" in roadstead.log_tail()
    assert stored() <= (limit_mib + 2) << 20  # With what is being written.
    assert roadstead.messages("/quiet", f"t/main/{task_id(quiet['taskArn'])}") == ["kept"]
