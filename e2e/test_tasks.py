"""Tasks as ECS users know them: exit codes, overrides, dependencies, limits, networks, volumes, stops."""

import os
import socket
import time

from harness import SLEEP, WEB, awslogs, container, exit_codes, get, host_port, until

# A task that ends by itself but for its own fault says so in these words.
ENDED = "Essential container in task exited"


def say(roadstead, family, script, lines=1, **members):
    """What a container says: runs its script to the end, and returns the lines."""
    task_members = {key: members.pop(key) for key in ("volumes", "networkMode") if key in members}
    definition = roadstead.define(family, container(script=script, logConfiguration=awslogs(), **members), **task_members)
    task = roadstead.finish(definition)
    assert exit_codes(task) == {"main": 0}, task
    return roadstead.output(task["taskArn"], lines=lines)


def test_exit_codes_are_true(roadstead):
    for code in (0, 1, 42, 255):
        task = roadstead.finish(roadstead.define("ends", container(script=f"exit {code}")))
        assert exit_codes(task) == {"main": code}
        assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", ENDED)
        assert task["executionStoppedAt"] <= task["stoppedAt"]


def test_overrides_and_environment(roadstead):
    definition = roadstead.define("says", container(
        script="echo $A $B", environment=[{"name": "A", "value": "a"}, {"name": "B", "value": "b"}],
        logConfiguration=awslogs()))
    override = {"containerOverrides": [{
        "name": "main", "command": ["/bin/sh", "-c", "echo $A $B $C; exit 3"], "memory": 48,
        "environment": [{"name": "B", "value": "over"}, {"name": "C", "value": "new"}]}]}
    task = roadstead.finish(definition, overrides=override)
    assert exit_codes(task) == {"main": 3}
    assert task["overrides"]["containerOverrides"][0]["memory"] == 48
    assert roadstead.output(task["taskArn"]) == ["a over new"]


def test_user_working_directory_hostname_and_hosts(roadstead):
    said = say(roadstead, "who", "id -u; id -g; id -G; pwd; hostname; cat /etc/hosts", 6, user="worker",
               workingDirectory="/tmp", hostname="anchor", extraHosts=[{"hostname": "far", "ipAddress": "10.9.8.7"}])
    assert said[:2] == ["1234", "2345"] and set(said[2].split()) == {"2345", "3456"}
    assert said[3:5] == ["/tmp", "anchor"]
    assert any(line.split() == ["10.9.8.7", "far"] for line in said)


def test_limits_reach_the_control_group_and_the_process(roadstead):
    definition = roadstead.define("limits", container(
        script=f"ulimit -n; ulimit -Hn; {SLEEP}", memory=40, memoryReservation=20, cpu=256,
        ulimits=[{"name": "nofile", "softLimit": 333, "hardLimit": 444}], logConfiguration=awslogs()))
    arn = roadstead.run(definition)[0]
    roadstead.running(arn)
    assert roadstead.output(arn, lines=2) == ["333", "444"]
    limit = roadstead.cgroup_value(arn, "main", "memory.max", "memory.limit_in_bytes")
    assert int(limit) == 40 * 1024 * 1024
    shares = roadstead.cgroup_value(arn, "main", "cpu.weight", "cpu.shares")
    assert shares == "256" or 1 <= int(shares) < 100
    roadstead.stop(arn)
    roadstead.stopped(arn)


def test_read_only_root_tmpfs_and_shared_memory(roadstead):
    script = "touch /new 2>&1; touch /scratch/new && echo written; df -m /scratch | tail -n 1; df -m /dev/shm | tail -n 1"
    said = say(roadstead, "readonly", script, 4, readonlyRootFilesystem=True, linuxParameters={
        "tmpfs": [{"containerPath": "/scratch", "size": 5}], "sharedMemorySize": 7, "initProcessEnabled": True})
    assert "Read-only file system" in said[0] and said[1] == "written"
    assert said[2].split()[1] == "5" and said[3].split()[1] == "7"


def test_capabilities_and_privileges(roadstead):
    script = "grep CapEff /proc/self/status; grep Seccomp: /proc/self/status"
    plain = say(roadstead, "caps", script, 2)
    assert plain[0].split()[1] == "00000000a80425fb" and plain[1].split()[1] == "2"
    dropped = say(roadstead, "caps", script, 2, linuxParameters={"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}})
    assert dropped[0].split()[1] == "0000000000000001"
    everything = say(roadstead, "caps", script, 2, privileged=True)
    assert int(everything[0].split()[1], 16) > 0xA80425FB and everything[1].split()[1] == "0"


def test_volumes_are_shared_and_bind_mounts_reach_the_host(roadstead, tmp_path):
    (tmp_path / "in").write_text("from the host\n")
    writer = container("writer", "echo shared > /v/file; cat /host/in > /host/out; touch /ro/x || echo refused > /host/ro",
                       essential=False, mountPoints=[
                           {"sourceVolume": "empty", "containerPath": "/v"},
                           {"sourceVolume": "host", "containerPath": "/host"},
                           {"sourceVolume": "host", "containerPath": "/ro", "readOnly": True}])
    reader = container("main", "cat /v/file /host/out", volumesFrom=[{"sourceContainer": "writer"}],
                       dependsOn=[{"containerName": "writer", "condition": "SUCCESS"}], logConfiguration=awslogs())
    definition = roadstead.define("volumes", writer, reader, volumes=[
        {"name": "empty"}, {"name": "host", "host": {"sourcePath": str(tmp_path)}}])
    task = roadstead.finish(definition)
    assert exit_codes(task) == {"writer": 0, "main": 0}
    assert roadstead.output(task["taskArn"], lines=2) == ["shared", "from the host"]
    assert (tmp_path / "ro").read_text() == "refused\n" and not (tmp_path / "x").exists()


def test_depends_on_order_links_and_health(roadstead):
    """A web server is HEALTHY before its client starts, which finds it by its link's name."""
    web = container("web", "mkdir -p /tmp/w; sleep 1; echo hello > /tmp/w/index.html; httpd -f -p 80 -h /tmp/w & trap 'exit 0' TERM; wait",
                    healthCheck={"command": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/"],
                                 "interval": 5, "timeout": 2, "retries": 3, "startPeriod": 10})
    client = container("main", "wget -q -O - http://backend/ && trap 'exit 0' TERM; sleep 1000 & wait", links=["web:backend"],
                       dependsOn=[{"containerName": "web", "condition": "HEALTHY"}], logConfiguration=awslogs())
    definition = roadstead.define("linked", web, client)
    arn = roadstead.run(definition)[0]
    assert roadstead.output(arn) == ["hello"]


    def health():
        return {c["name"]: c.get("healthStatus") for c in roadstead.task(arn)["containers"]}

    until(lambda: health() == {"web": "HEALTHY", "main": "UNKNOWN"}, what="HEALTHY is seen by clients")
    assert roadstead.task(arn)["healthStatus"] == "HEALTHY"
    roadstead.stop(arn)
    roadstead.stopped(arn)


def test_a_container_that_fails_its_health_check_is_unhealthy(roadstead):
    definition = roadstead.define("sick", container(
        script=SLEEP, healthCheck={"command": ["CMD", "false"], "interval": 5, "timeout": 2, "retries": 1}))
    arn = roadstead.run(definition)[0]
    until(lambda: roadstead.task(arn)["healthStatus"] == "UNHEALTHY", what="UNHEALTHY")
    assert roadstead.task(arn)["lastStatus"] == "RUNNING"
    roadstead.stop(arn)
    roadstead.stopped(arn)


def test_what_docker_would_not_run_is_no_health_check(roadstead):
    """As ECS has it: registered and given back as it is, and the container's health stays UNKNOWN."""
    def check(*command):
        return {"command": list(command), "interval": 5, "timeout": 2, "retries": 1}

    checked = {"checked": ("CMD-SHELL", "test $0 = 7", "7"), "none": ("NONE",), "path": ("/healthcheck",), "shell": ("wget http://localhost/",)}
    containers = [container(name, SLEEP, healthCheck=check(*command)) for name, command in checked.items()]
    definition = roadstead.define("unchecked", *containers)
    told = roadstead.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]["containerDefinitions"]
    assert {c["name"]: tuple(c["healthCheck"]["command"]) for c in told} == checked
    arn = roadstead.run(definition)[0]
    until(lambda: roadstead.task(arn)["healthStatus"] == "HEALTHY", what="HEALTHY by the one that is checked")
    assert {c["name"]: c["healthStatus"] for c in roadstead.task(arn)["containers"]} == {
        "checked": "HEALTHY", "none": "UNKNOWN", "path": "UNKNOWN", "shell": "UNKNOWN"}
    roadstead.stop(arn)
    roadstead.stopped(arn)


def test_a_dependency_that_fails_stops_the_task(roadstead):
    first = container("first", "exit 9", essential=False)
    second = container("main", "true", dependsOn=[{"containerName": "first", "condition": "SUCCESS"}])
    task = roadstead.finish(roadstead.define("depends", first, second))
    assert exit_codes(task)["first"] == 9 and exit_codes(task)["main"] != 0
    assert task["stopCode"] in ("TaskFailedToStart", "EssentialContainerExited")
    assert task["stoppedReason"]


def test_an_essential_container_takes_the_others_along(roadstead):
    main = container("main", "sleep 1; exit 5")
    other = container("other", "trap 'exit 6' TERM; while :; do sleep 0.1; done")
    bystander = container("bystander", "exit 1", essential=False)
    task = roadstead.finish(roadstead.define("essential", main, other, bystander))
    assert exit_codes(task) == {"main": 5, "other": 6, "bystander": 1}
    assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", ENDED)


def test_stop_sends_sigterm_then_sigkill(roadstead):
    polite = roadstead.define("polite", container(script="trap 'exit 33' TERM; while :; do sleep 0.1; done"))
    stubborn = roadstead.define("stubborn", container(script="trap '' TERM; while :; do sleep 0.1; done", stopTimeout=2))
    arns = [roadstead.run(polite)[0], roadstead.run(stubborn)[0]]
    for arn in arns:
        roadstead.running(arn)
    began = time.monotonic()
    for arn in arns:
        roadstead.stop(arn, reason="time to go")
    ended = [roadstead.stopped(arn) for arn in arns]
    assert [exit_codes(task) for task in ended] == [{"main": 33}, {"main": 137}]
    # Without a time-out of its own, it would be 30 s.
    assert 2.0 <= time.monotonic() - began < 25
    assert [task["stoppedReason"] for task in ended] == ["time to go"] * 2


def test_out_of_memory_is_said(roadstead):
    task = roadstead.finish(roadstead.define("hungry", container(
        script="exec dd if=/dev/zero of=/dev/null bs=200M count=1", memory=16)))
    assert exit_codes(task) == {"main": 137}
    assert task["containers"][0]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_what_cannot_be_pulled_or_started(roadstead):
    task = roadstead.finish(roadstead.define("imageless", container(image="127.0.0.1:9/no/such:1", script="true")))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")
    assert task["containers"][0]["reason"].startswith("CannotPullContainerError: ")
    task = roadstead.finish(roadstead.define("programless", container(command=["/no/such/program"])))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(("CannotStartContainerError: ", "CannotCreateContainerError: "))
    assert "/no/such/program" in task["stoppedReason"]


def test_static_ports_conflict_and_come_free(roadstead):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    definition = roadstead.define("static", container(
        script=WEB, portMappings=[{"containerPort": 80, "hostPort": port}]))
    arn = roadstead.run(definition)[0]
    assert host_port(roadstead.running(arn)) == port
    assert until(lambda: get(port)) == "here\n"
    refused = roadstead.ecs.run_task(cluster=roadstead.cluster, taskDefinition=definition)
    assert refused["tasks"] == [] and refused["failures"][0]["reason"] == "RESOURCE:PORTS"
    roadstead.stop(arn)
    roadstead.stopped(arn)
    assert get(port) is None
    again = roadstead.run(definition)[0]
    roadstead.running(again)
    assert until(lambda: get(port)) == "here\n"
    roadstead.stop(again)
    roadstead.stopped(again)


def test_dynamic_ports_tcp_and_udp(roadstead):
    definition = roadstead.define("dynamic", container(
        script=f"udp_echo 53 & {WEB}",
        portMappings=[{"containerPort": 80}, {"containerPort": 53, "hostPort": 0, "protocol": "udp"}]))
    arns = roadstead.run(definition, 2)
    tasks = [roadstead.running(arn) for arn in arns]
    tcp = [host_port(task, port=80) for task in tasks]
    assert len(set(tcp)) == 2
    for port in tcp:
        assert until(lambda: get(port)) == "here\n"
    for task in tasks:
        udp = host_port(task, port=53)
        assert until(lambda: echoed(udp))
    for arn in arns:
        roadstead.stop(arn)
    roadstead.wait("tasks_stopped", tasks=arns)


def echoed(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.3)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(b"ping")
            return sock.recv(100) == b"ping"
        except OSError:
            return False


def test_ports_are_reachable_at_the_hosts_own_address(roadstead):
    address = outward_address()
    definition = roadstead.define("outward", container(script=WEB, portMappings=[{"containerPort": 80}]))
    arn = roadstead.run(definition)[0]
    port = host_port(roadstead.running(arn))

    def answered():
        try:
            with socket.create_connection((address, port), 1) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"here" in sock.recv(4096, socket.MSG_WAITALL)
        except OSError:
            return False

    assert until(answered)
    roadstead.stop(arn)
    roadstead.stopped(arn)


def outward_address():
    """An address of this host that is not loopback; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
            return sock.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def test_network_modes_host_and_none(roadstead):
    script = "for link in /sys/class/net/*; do echo -n ${link##*/}' '; done; echo"

    def links(mode):
        return set(say(roadstead, f"net-{mode}", script, networkMode=mode)[0].split())

    assert links("none") == {"lo"}
    assert links("bridge") == {"lo", "eth0"}
    bridge = f"rs{roadstead.id8()}"
    assert bridge in os.listdir("/sys/class/net") and bridge in links("host")


def test_what_ends_too_soon_is_not_started_again(roadstead):
    early = roadstead.finish(roadstead.define("loops", container(
        script="exit 1", restartPolicy={"enabled": True, "restartAttemptPeriod": 60})))
    assert exit_codes(early) == {"main": 1}


def test_task_level_limits_and_full_host(roadstead):
    instance = roadstead.ecs.list_container_instances(cluster=roadstead.cluster)["containerInstanceArns"][0]
    told = roadstead.ecs.describe_container_instances(cluster=roadstead.cluster, containerInstances=[instance])
    left = {r["name"]: r.get("integerValue") for r in told["containerInstances"][0]["remainingResources"]}
    definition = roadstead.define("large", container(script="true", memory=16), memory=str(left["MEMORY"] + 1))
    answer = roadstead.ecs.run_task(cluster=roadstead.cluster, taskDefinition=definition)
    assert answer["tasks"] == []
    assert answer["failures"] == [{"arn": instance, "reason": "RESOURCE:MEMORY"}]
    definition = roadstead.define("wide", container(script="true", cpu=left["CPU"] + 1))
    assert roadstead.ecs.run_task(cluster=roadstead.cluster, taskDefinition=definition)["failures"][0]["reason"] == "RESOURCE:CPU"
