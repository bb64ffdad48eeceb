"""What a stock agent must do with Roadstead, in the order in which it is tried. The first check brings the
agent up; the others find what those before them left."""

import json
import shutil
import signal
import time
import urllib.request

from lab import CLUSTER, IMAGE, REGION, SECURE, Skipped, until

CHECKS = []
# Until it is asked to stop. A first process takes only the signals that it handles.
STAYS = "trap 'exit 0' TERM; while true; do sleep 0.2; done"
# Until it is told to end by itself.
WAITS = "trap 'exit 9' USR1; while true; do sleep 0.1; done"

# The first agents with the external mode; and those that certainly tell an image's digest and stop what a
# manifest leaves out, neither of which 1.48 does.
EXTERNAL = (1, 52)
GROWN = (1, 100)


def check(function):
    CHECKS.append(function)
    return function


def same(seen, expected):
    assert seen == expected, f"{seen!r} is not {expected!r}"


def sh(text, **more):
    return {"name": "main", "command": ["/bin/sh", "-c", text], **more}


def container(task, name="main"):
    return next(c for c in task["containers"] if c["name"] == name)


def fetched(url):
    return urllib.request.urlopen(url, timeout=5).read().decode()


@check
def it_registers(lab):
    lab.new_agent().start()
    instance = lab.connected()
    same(instance["status"], "ACTIVE")
    attributes = {a["name"]: a.get("value") for a in instance["attributes"]}
    same(attributes["rack"], "a1")
    if lab.version(instance) >= EXTERNAL:
        assert "ecs.capability.external" in attributes, attributes
    same(instance["tags"], [{"key": "kind", "value": "stock"}])
    lab.say("agent %(agentVersion)s, %(dockerVersion)s" % instance["versionInfo"])
    resources = {r["name"]: r for r in instance["registeredResources"]}
    assert resources["CPU"]["integerValue"] >= 1024 and resources["MEMORY"]["integerValue"] > 100
    assert "51678" in resources["PORTS"]["stringSetValue"], resources
    # What several of the checks run.
    lab.register("ends", [sh("echo one; echo two >&2; sleep 2; exit 7", image=lab.registry.image)])
    lab.register("later", [sh(WAITS)])
    lab.register("stays", [sh(STAYS)])


@check
def a_task_is_pulled_runs_and_ends(lab):
    arn = lab.run("ends")
    seen = []

    def stopped():
        status = lab.task(arn)["lastStatus"]
        if status not in seen:
            seen.append(status)
        return status == "STOPPED"

    until(stopped, "the task is STOPPED")
    same(seen, ["PENDING", "RUNNING", "STOPPED"])
    task = lab.task(arn)
    main = container(task)
    same(main["exitCode"], 7)
    if lab.version(lab.connected()) >= GROWN:
        same(main["imageDigest"], lab.registry.digest)
    same((task["stopCode"], task["stoppedReason"]), ("EssentialContainerExited", "Essential container in task exited"))
    times = ["createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "executionStoppedAt", "stoppedAt"]
    # Old agents tell whole seconds.
    times = [task[name].replace(microsecond=0) for name in times]
    assert times == sorted(times), times
    same(lab.docker("logs", main["runtimeId"]), "one\n")


@check
def containers_are_made_as_defined(lab):
    lab.ecs.register_task_definition(family="order", volumes=[{"name": "shared"}], containerDefinitions=[
        {"name": "first", "image": IMAGE, "memory": 32, "essential": False,
         "entryPoint": ["/bin/sh", "-c"], "command": ["echo $WHO > /shared/who"],
         "environment": [{"name": "WHO", "value": "nobody"}],
         "mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}]},
        {"name": "main", "image": IMAGE, "cpu": 10, "memory": 32, "memoryReservation": 16,
         "command": ["/bin/sh", "-c", "cat /shared/who; id -u; hostname"],
         "user": "12:34", "hostname": "stocky", "workingDirectory": "/tmp", "readonlyRootFilesystem": True,
         "mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared", "readOnly": True}],
         "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}],
         "ulimits": [{"name": "nofile", "softLimit": 100, "hardLimit": 200}],
         "dockerLabels": {"colour": "blue"}, "extraHosts": [{"hostname": "elsewhere", "ipAddress": "10.1.2.3"}],
         "linuxParameters": {
             "initProcessEnabled": True, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
             "devices": [{"hostPath": "/dev/zero", "containerPath": "/dev/nil", "permissions": ["read"]}],
             "tmpfs": [{"containerPath": "/scratch", "size": 8}], "sharedMemorySize": 16},
         "systemControls": [{"namespace": "net.core.somaxconn", "value": "77"}],
         "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}}}])
    arn = lab.run("order", overrides={"containerOverrides": [
        {"name": "first", "environment": [{"name": "WHO", "value": "somebody"}]}]})
    main = container(lab.task_is(arn, "STOPPED"))
    same(lab.docker("logs", main["runtimeId"]).split(), ["somebody", "12", "stocky"])
    seen = json.loads(lab.docker("inspect", main["runtimeId"]))[0]
    same(seen["Config"]["Labels"]["colour"], "blue")
    same(seen["Config"]["WorkingDir"], "/tmp")
    host = seen["HostConfig"]
    for name, expected in {
        "ReadonlyRootfs": True, "Init": True, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "CpuShares": 10,
        "Memory": 32 << 20, "MemoryReservation": 16 << 20, "ShmSize": 16 << 20, "Tmpfs": {"/scratch": "size=8m"},
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}], "Sysctls": {"net.core.somaxconn": "77"},
        "Devices": [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nil", "CgroupPermissions": "r"}],
        "ExtraHosts": ["elsewhere:10.1.2.3"], "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }.items():
        assert host[name] == expected, f"{name}: {host[name]!r} is not {expected!r}"


@check
def networks_and_links(lab):
    web = "echo hello > /tmp/index.html; exec httpd -f -p %d -h /tmp"
    arn = lab.run(lab.register("web", [
        sh(web % 80, portMappings=[{"containerPort": 80}], stopTimeout=2),
        {"name": "peer", "links": ["main:behind"], "essential": False,
         "command": ["/bin/sh", "-c", "sleep 0.5; wget -qO- http://behind/"]}]))
    task = lab.task_is(arn, "RUNNING")
    port = container(task)["networkBindings"][0]["hostPort"]
    same(fetched(f"http://127.0.0.1:{port}/"), "hello\n")
    until(lambda: container(lab.task(arn), "peer").get("exitCode") == 0, "the linked container has ended well")
    same(lab.docker("logs", container(lab.task(arn), "peer")["runtimeId"]), "hello\n")
    lab.ecs.stop_task(cluster=CLUSTER, task=arn, reason="seen enough")
    task = lab.task_is(arn, "STOPPED")
    same((task["stopCode"], task["stoppedReason"]), ("UserInitiated", "seen enough"))
    same(container(task)["exitCode"], 137)
    arn = lab.run(lab.register("on-host", [sh(web % 8099, portMappings=[{"containerPort": 8099}])], networkMode="host"))
    lab.task_is(arn, "RUNNING")
    until(lambda: lab.answers("http://127.0.0.1:8099/"), "the server on the host's network answers")
    lab.ecs.stop_task(cluster=CLUSTER, task=arn)
    arn = lab.run(lab.register("alone", [sh("ls /sys/class/net")], networkMode="none"))
    same(lab.docker("logs", container(lab.task_is(arn, "STOPPED"))["runtimeId"]), "lo\n")


@check
def what_cannot_start_says_why(lab):
    for family, definition, reasons in (
        ("no-image", sh("true", image="127.0.0.1:9/none:1"), ("CannotPullImageManifestError", "CannotPullContainerError")),
        ("no-command", {"name": "main", "command": ["/bin/nothing"]}, ("CannotStartContainerError",)),
    ):
        task = lab.task_is(lab.run(lab.register(family, [definition])), "STOPPED", 180)
        same(task["stopCode"], "TaskFailedToStart")
        assert task["stoppedReason"].startswith(reasons), task["stoppedReason"]


@check
def health_is_told(lab):
    probe = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "retries": 2, "timeout": 3}
    arn = lab.run(lab.register("health", [sh("touch /tmp/well; " + STAYS, healthCheck=probe)]))
    runtime = container(lab.task_is(arn, "RUNNING"))["runtimeId"]
    until(lambda: lab.task(arn)["healthStatus"] == "HEALTHY", "the task is HEALTHY", 90)
    lab.docker("exec", runtime, "rm", "/tmp/well")
    until(lambda: lab.task(arn)["healthStatus"] == "UNHEALTHY", "the task is UNHEALTHY", 90)
    lab.ecs.stop_task(cluster=CLUSTER, task=arn)
    lab.task_is(arn, "STOPPED")


@check
def a_container_is_restarted_by_policy(lab):
    if "ecs.capability.container-restart-policy" not in {a["name"] for a in lab.connected()["attributes"]}:
        raise Skipped("this agent has no restart policies")
    policy = {"enabled": True, "ignoredExitCodes": [9], "restartAttemptPeriod": 60}
    arn = lab.run(lab.register("again", [sh(
        "echo run; test -e /data/once && exit 9; touch /data/once; sleep 61; exit 1", restartPolicy=policy)]))
    main = container(lab.task_is(arn, "STOPPED", 120))
    same(main["exitCode"], 9)
    same(lab.docker("logs", main["runtimeId"]), "run\nrun\n")


@check
def output_reaches_cloudwatch_logs(lab):
    arn = lab.run(lab.register("logged", [sh("echo first; echo second", logConfiguration={
        "logDriver": "awslogs", "options": {
            "awslogs-group": "/stock", "awslogs-region": REGION, "awslogs-stream-prefix": "trial",
            "awslogs-create-group": "true"}})]))
    same(container(lab.task_is(arn, "STOPPED"))["exitCode"], 0)
    stream = f"trial/main/{arn.rsplit('/')[-1]}"

    def lines():
        events = lab.logs.get_log_events(logGroupName="/stock", logStreamName=stream, startFromHead=True)["events"]
        return [event["message"] for event in events]

    until(lambda: lines() == ["first", "second"], "both lines are in CloudWatch Logs")


@check
def the_metadata_endpoint_answers(lab):
    arn = lab.run(lab.register("meta", [sh(STAYS)]), tags=[{"key": "colour", "value": "blue"}])
    runtime = container(lab.task_is(arn, "RUNNING"))["runtimeId"]
    environment = json.loads(lab.docker("inspect", runtime))[0]["Config"]["Env"]
    uri = dict(pair.split("=", 1) for pair in environment)["ECS_CONTAINER_METADATA_URI_V4"]
    # Where ecs-init has the host send 169.254.170.2.
    told = json.loads(fetched(uri.replace("169.254.170.2", "127.0.0.1:51679") + "/taskWithTags"))
    same((told["TaskARN"], told["Family"]), (arn, "meta"))
    same(told["TaskTags"], {"colour": "blue"})
    lab.ecs.stop_task(cluster=CLUSTER, task=arn)
    same(container(lab.task_is(arn, "STOPPED"))["exitCode"], 0)


@check
def many_tasks_at_once(lab):
    definition = lab.register("many", [sh(STAYS, memory=8, cpu=1)])
    tasks = []
    for _ in range(3):
        tasks += lab.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, count=10)["tasks"]
    arns = [task["taskArn"] for task in tasks]
    same(len(arns), 30)
    all_are = lambda status: all(
        task["lastStatus"] == status for task in lab.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"])
    until(lambda: all_are("RUNNING"), "thirty tasks run", 180)
    for arn in arns:
        lab.ecs.stop_task(cluster=CLUSTER, task=arn)
    until(lambda: all_are("STOPPED"), "thirty tasks are stopped", 180)
    for task in lab.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]:
        same(container(task)["exitCode"], 0)


@check
def a_service_keeps_two_tasks(lab):
    definition = lab.register("pair", [sh(STAYS, portMappings=[{"containerPort": 80}])])
    lab.ecs.create_service(cluster=CLUSTER, serviceName="pair", taskDefinition=definition, desiredCount=2)
    lab.steady("pair", 2)
    tasks = lab.tasks_of("pair")
    lab.docker("kill", container(lab.task(tasks[0]))["runtimeId"])
    same(container(lab.task_is(tasks[0], "STOPPED"))["exitCode"], 137)
    lab.steady("pair", 2)
    lab.ecs.update_service(cluster=CLUSTER, service="pair", forceNewDeployment=True)
    until(lambda: not set(lab.tasks_of("pair")) & set(tasks), "both tasks are replaced", 120)
    lab.steady("pair", 2)


@check
def an_agent_killed_comes_back(lab):
    before, kept = lab.instances()[0], lab.tasks_of("pair")
    ends, stopped = lab.run("later"), lab.run("stays")
    runtime = container(lab.task_is(ends, "RUNNING"))["runtimeId"]
    lab.task_is(stopped, "RUNNING")
    lab.agent.end(signal.SIGKILL)
    until(lambda: not lab.instances()[0]["agentConnected"], "the agent is seen to be gone")
    lab.docker("kill", "--signal", "USR1", runtime)
    lab.docker("wait", runtime)
    lab.ecs.stop_task(cluster=CLUSTER, task=stopped)
    lab.agent.start()
    after = lab.connected()
    same(after["containerInstanceArn"], before["containerInstanceArn"])
    assert {"name": "rack", "value": "a1"} in after["attributes"], after["attributes"]
    same(container(lab.task_is(ends, "STOPPED"))["exitCode"], 9)
    same(container(lab.task_is(stopped, "STOPPED"))["exitCode"], 0)
    lab.steady("pair", 2)
    same(lab.tasks_of("pair"), kept)


@check
def a_control_plane_killed_comes_back(lab):
    kept = lab.tasks_of("pair")
    ends = lab.run("later")
    runtime = container(lab.task_is(ends, "RUNNING"))["runtimeId"]
    lab.server.end(signal.SIGKILL)
    lab.docker("kill", "--signal", "USR1", runtime)
    lab.docker("wait", runtime)
    lab.start_server()
    begin = time.monotonic()
    lab.connected()
    lab.say(f"connected again {time.monotonic() - begin:.1f} s after the control plane answered")
    same(container(lab.task_is(ends, "STOPPED"))["exitCode"], 9)
    lab.steady("pair", 2)
    same(lab.tasks_of("pair"), kept)


@check
def a_control_plane_stopped_comes_back(lab):
    kept = lab.tasks_of("pair")
    same(lab.server.end(), 0)
    lab.start_server()
    lab.connected()
    lab.steady("pair", 2)
    same(lab.tasks_of("pair"), kept)


@check
def a_control_plane_restored_from_a_backup_stops_what_it_does_not_know(lab):
    if lab.version(lab.connected()) < GROWN:
        raise Skipped("this agent may give such tasks up instead of stopping them")
    kept = lab.run("stays")
    lab.task_is(kept, "RUNNING")
    lab.backup()
    arns = [lab.run("stays") for _ in range(5)]
    runtimes = [container(lab.task_is(arn, "RUNNING"))["runtimeId"] for arn in arns]
    same(lab.server.end(), 0)
    lab.restore()
    lab.start_server()
    lab.connected()
    until(lambda: {lab.state(runtime) for runtime in runtimes} == {"exited"}, "the later tasks are stopped", 30)
    same(lab.task(kept)["lastStatus"], "RUNNING")
    lab.ecs.stop_task(cluster=CLUSTER, task=kept)
    same(container(lab.task_is(kept, "STOPPED"))["exitCode"], 0)


@check
def draining_moves_nothing_in_and_all_out(lab):
    arn = lab.instances()[0]["containerInstanceArn"]
    set_to = lambda status: lab.ecs.update_container_instances_state(
        cluster=CLUSTER, containerInstances=[arn], status=status)
    lab.ecs.update_service(cluster=CLUSTER, service="pair", deploymentConfiguration={
        "minimumHealthyPercent": 0, "maximumPercent": 200})
    same(set_to("DRAINING")["failures"], [])
    until(lambda: lab.service("pair")["runningCount"] == 0, "the service's tasks are gone")
    try:
        same(lab.ecs.run_task(cluster=CLUSTER, taskDefinition="stays")["tasks"], [])
    except lab.ecs.exceptions.InvalidParameterException as error:
        assert "No Container Instances" in str(error), error
    same(set_to("ACTIVE")["failures"], [])
    lab.steady("pair", 2)


@check
def deregistered_it_stays_away(lab):
    arn = lab.instances()[0]["containerInstanceArn"]
    deregister = lambda **more: lab.ecs.deregister_container_instance(
        cluster=CLUSTER, containerInstance=arn, **more)["containerInstance"]
    try:
        deregister()
        raise AssertionError("an instance with tasks was deregistered without force")
    except lab.ecs.exceptions.InvalidParameterException:
        pass
    lab.ecs.update_service(cluster=CLUSTER, service="pair", desiredCount=0)
    until(lambda: lab.service("pair")["runningCount"] == 0, "the service's tasks are gone")
    same(deregister()["status"], "INACTIVE")
    until(lambda: "InactiveInstanceException" in lab.agent_log(), "the agent hears that it is deregistered")
    same(lab.instances(), [])
    lab.agent.end()
    # With what it remembers it is refused. 5 is for good; agents of long ago say 1.
    lab.agent.start()
    assert lab.agent.wait() in (1, 5)


@check
def a_fresh_agent_is_a_new_instance(lab):
    lab.new_agent(ECS_ENABLE_TASK_CPU_MEM_LIMIT="true").start()
    lab.connected()
    arn = lab.run("ends")
    same(container(lab.task_is(arn, "STOPPED"))["exitCode"], 7)
    arn = lab.run(lab.register("sized", [sh(STAYS)], cpu="128", memory="64"))
    runtime = container(lab.task_is(arn, "RUNNING"))["runtimeId"]
    parent = lab.docker("inspect", "--format", "{{.HostConfig.CgroupParent}}", runtime).strip()
    same(parent, f"/ecs/{arn.rsplit('/')[-1]}")
    lab.ecs.stop_task(cluster=CLUSTER, task=arn)
    lab.task_is(arn, "STOPPED")
    arn = lab.run("stays")
    runtime = container(lab.task_is(arn, "RUNNING"))["runtimeId"]
    gone = lab.connected()["containerInstanceArn"]
    lab.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=gone, force=True)
    task = lab.task_is(arn, "STOPPED")
    same(task["stopCode"], "TerminationNotice")
    lab.say(f"after a forced deregistration its container is {lab.state(runtime)}, as on AWS")
    lab.docker("kill", runtime)


@check
def behind_a_proxy_all_is_encrypted(lab):
    if not shutil.which("nginx"):
        raise Skipped("nginx is not installed")
    certificate = lab.start_proxy()
    lab.new_agent(ECS_BACKEND_HOST=SECURE, SSL_CERT_FILE=str(certificate)).start()
    lab.connected()
    arn = lab.run("ends")
    same(container(lab.task_is(arn, "STOPPED"))["exitCode"], 7)
    urls = [line for line in lab.agent_log().splitlines() if "/acs/ws" in line or "/tcs/ws" in line]
    assert urls and all(SECURE in line for line in urls), urls[:2]
