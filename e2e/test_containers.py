"""What a container finds of each setting of its definition; one task for many settings, to be quick."""

import os
import stat

import botocore.exceptions
import pytest

from harness import awslogs, container, exit_codes

# Whether a device may be opened for reading and for writing. What has no driver is past the control group's gate.
TRIES = """
gate() { grep -q 'not permitted' /tmp/error && echo no || echo yes; }
tries() { (eval "exec 3<$1") 2>/tmp/error; read=$(gate); (eval "exec 3>$1") 2>/tmp/error; echo $read $(gate); }
"""


# Of v1 memory, memory and swap, swappiness; of v2 memory, swap.
SWAP = """
cd /sys/fs/cgroup
echo $(cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.swappiness memory.max memory.swap.max 2>/dev/null)
"""


def run_all(roadstead, family, *containers, **members):
    """Runs containers to their ends, one task for all; what each said, by name."""
    last = container("last", "true", dependsOn=[{"containerName": c["name"], "condition": "COMPLETE"} for c in containers])
    quiet = {"essential": False, "logConfiguration": awslogs(), "memory": 16}
    definition = roadstead.define(family, *[{**quiet, **c, "essential": False} for c in containers], last, **members)
    task = roadstead.finish(definition)
    failed = [(c["name"], c.get("exitCode"), c.get("reason")) for c in task["containers"] if c.get("exitCode") != 0]
    assert not failed, (task["stoppedReason"], *failed)
    return {c["name"]: roadstead.output(task["taskArn"], c["name"]) for c in containers}


def test_process_settings(roadstead):
    """Who runs, where, in front of which terminal, with which limits and rights."""
    limits = {"nofile": (333, 444), "nproc": (55, 66), "core": (0, 1024), "stack": (4194304, 8388608), "memlock": (65536, 65536)}
    said = run_all(
        roadstead, "process",
        container("plain", "test -t 0 && echo in; test -t 1 && echo out; cat; id -u; id -g; pwd; cat /proc/1/comm; true"),
        container("terminal", "test -t 0 && test -t 1 && test -t 2 && echo tty; echo $TERM", pseudoTerminal=True),
        container("interactive", "read -t 1 line; echo $?", interactive=True),
        container("user", "id -u; id -g; id -G; echo $HOME; pwd", user="worker", workingDirectory="/made/for/it"),
        container("group", "id -u; id -g; id -G", user="worker:extra"),
        container("numbers", "id -u; id -g; echo $FROM", user="77:88", entryPoint=["/bin/env", "FROM=entry"]),
        container("limits", "cat /proc/self/limits", ulimits=[
            {"name": name, "softLimit": soft, "hardLimit": hard} for name, (soft, hard) in limits.items()]),
        container("init", "echo $$; cat /proc/1/comm", linuxParameters={"initProcessEnabled": True}),
        container("rights", "grep -E 'CapEff|NoNewPrivs' /proc/self/status", dockerSecurityOptions=["no-new-privileges"],
                  linuxParameters={"capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD"]}},
                  dockerLabels={"com.example.team": "a b"}))
    assert said["plain"] == ["0", "0", "/", "sh"]
    assert [line.strip() for line in said["terminal"]] == ["tty", "xterm"]
    # Open, though nobody writes: the read waits until its time is over.
    assert said["interactive"] == ["1"]
    assert said["user"] == ["1234", "2345", "2345 3456", "/tmp", "/made/for/it"]
    assert said["group"] == ["1234", "3456", "3456"]
    assert said["numbers"] == ["77", "88", "entry"]
    found = {line[:26].strip(): line[26:].split()[:2] for line in said["limits"][1:]}
    assert (found["Max open files"], found["Max processes"]) == (["333", "444"], ["55", "66"])
    assert (found["Max core file size"], found["Max stack size"]) == (["0", "1024"], ["4194304", "8388608"])
    assert found["Max locked memory"] == ["65536", "65536"]
    assert said["init"] == ["2", "docker-init"]
    effective, no_new = (line.split()[1] for line in said["rights"])
    assert int(effective, 16) == (0xA80425FB | 1 << 12) & ~(1 << 27) and no_new == "1"


def test_network_settings(roadstead):
    """Names, servers and system controls, in a network of the container's own."""
    show = "cat /etc/resolv.conf; echo --; cat /etc/hosts"
    said = run_all(
        roadstead, "network",
        container("names", show, dnsServers=["10.1.2.3", "fd00::1"], dnsSearchDomains=["a.example", "b.example"],
                  extraHosts=[{"hostname": "far", "ipAddress": "10.9.8.7"}, {"hostname": "six", "ipAddress": "fd00::2"}]),
        container("controls", "cd /proc/sys; cat net/core/somaxconn net/ipv4/tcp_keepalive_time kernel/msgmax fs/mqueue/msg_max",
                  systemControls=[{"namespace": "net.core.somaxconn", "value": "777"},
                                  {"namespace": "net.ipv4.tcp_keepalive_time", "value": "66"},
                                  {"namespace": "kernel.msgmax", "value": "5555"},
                                  {"namespace": "fs.mqueue.msg_max", "value": "44"}]),
        container("others", "cat /proc/sys/net/core/somaxconn"),
        container("target", "hostname", hostname="anchor"),
        container("linked", "cat /etc/hosts", links=["target:alias"]))
    names = [line.split() for line in said["names"]]
    assert ["nameserver", "10.1.2.3"] in names and ["nameserver", "fd00::1"] in names
    assert [line for line in names if line[:1] == ["search"]] == [["search", "a.example", "b.example"]]
    assert ["10.9.8.7", "far"] in names and ["fd00::2", "six"] in names
    assert said["controls"] == ["777", "66", "5555", "44"]
    assert said["others"] != ["777"]
    assert [line.split()[1:] for line in said["linked"] if "alias" in line] == [["alias", "anchor", "target"]]


def test_files_and_memory(roadstead):
    """File systems, volumes of other containers, shared memory, swap."""
    said = run_all(
        roadstead, "files",
        container("readonly", "touch /new 2>/dev/null || echo refused; touch /tmp/x 2>/dev/null || echo refused; "
                  "touch /scratch/x && echo written; grep -E ' /scratch | /locked | /dev/shm ' /proc/mounts",
                  readonlyRootFilesystem=True, linuxParameters={"sharedMemorySize": 7, "tmpfs": [
                      {"containerPath": "/scratch", "size": 5, "mountOptions": ["defaults", "exec", "uid=9", "mode=1750"]},
                      {"containerPath": "/locked", "size": 3, "mountOptions": ["ro", "noatime", "nr_inodes=64"]}]}),
        container("writer", "echo shared > /v/file; echo host > /w/file; echo done", mountPoints=[
            {"sourceVolume": "v", "containerPath": "/v"}, {"sourceVolume": "w", "containerPath": "/w", "readOnly": False}]),
        container("reader", "cat /v/file /w/file; (echo x > /v/file) 2>/dev/null || echo refused", volumesFrom=[
            {"sourceContainer": "writer", "readOnly": True}], dependsOn=[{"containerName": "writer", "condition": "SUCCESS"}]),
        container("small", SWAP, memory=4, linuxParameters={"maxSwap": 0, "swappiness": 10}),
        container("swap", SWAP, memory=16, linuxParameters={"maxSwap": 8, "swappiness": 10}),
        volumes=[{"name": "v"}, {"name": "w", "host": {"sourcePath": str(roadstead.top / "w")}}])
    assert said["readonly"][:3] == ["refused", "refused", "written"]
    mounts = {line.split()[1]: line.split()[3].split(",") for line in said["readonly"][3:]}
    assert {"size=5120k", "uid=9", "mode=1750", "nosuid", "nodev"} <= set(mounts["/scratch"]) and "noexec" not in mounts["/scratch"]
    assert {"ro", "noatime", "size=3072k", "nr_inodes=64"} <= set(mounts["/locked"])
    assert "size=7168k" in mounts["/dev/shm"]
    assert said["reader"] == ["shared", "host", "refused"]
    # Docker gives no container less than 6 MiB. Not every kernel counts swap.
    mib = 1 << 20
    assert [line.split() for line in said["small"]] in (
        [["6291456", "6291456", "10"]], [["6291456", "10"]], [["6291456", "0"]]), said["small"]
    assert [line.split() for line in said["swap"]] in (
        [[str(16 * mib), str(24 * mib), "10"]], [[str(16 * mib), "10"]], [[str(16 * mib), str(8 * mib)]]), said["swap"]


@pytest.fixture
def device(roadstead):
    """A character device of the host that no container may use by itself: a tun by a name of its own."""
    path = roadstead.top / "device"
    os.mknod(path, stat.S_IFCHR | 0o640, os.makedev(10, 200))
    os.chown(path, 1234, 2345)
    yield str(path)
    os.unlink(path)


def test_devices(roadstead, device):
    """A device that is listed is there, with the rights that were given; any other is refused by the control group."""
    look = TRIES + "tries /dev/given; ls -ln /dev/given"
    make = TRIES + "/bin/busybox mknod /dev/own c 10 200; tries /dev/own"

    def given(*permissions):
        listed = {"hostPath": device, "containerPath": "/dev/given"}
        return {"linuxParameters": {"devices": [{**listed, "permissions": list(permissions)} if permissions else listed]}}

    said = run_all(
        roadstead, "devices",
        container("all", look, **given()),
        container("read", look, **given("read")),
        container("write", look, **given("write", "mknod")),
        container("none", make),
        container("privileged", TRIES + "tries /dev/given; ls /dev/full; test -w /proc/sys/kernel/hostname && echo writable",
                  privileged=True, **given("read")))
    assert said["all"][0] == "yes yes" and said["read"][0] == "yes no" and said["write"][0] == "no yes"
    assert said["all"][1].split()[:6] == ["crw-r-----", "1", "1234", "2345", "10,", "200"]
    assert said["none"] == ["no no"]
    assert said["privileged"] == ["yes yes", "/dev/full", "writable"]


def test_what_the_kernel_or_the_image_refuses_says_so(roadstead):
    """Refused at registration where ECS can know, and by the task's reason where only the host does."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        roadstead.define("panics", container(systemControls=[{"namespace": "kernel.panic", "value": "1"}]))
    assert error.value.response["Error"]["Code"] == "ClientException" and "kernel.panic" in str(error.value)
    reasons = {}
    for name, members in {
        "control": {"systemControls": [{"namespace": "net.core.somaxconn", "value": "many"}]},
        "other": {"systemControls": [{"namespace": "kernel.msgmax", "value": "many"}]},
        "user": {"user": "ghost"},
        "device": {"linuxParameters": {"devices": [{"hostPath": "/no/such/device", "containerPath": "/dev/x"}]}},
    }.items():
        task = roadstead.finish(roadstead.define(f"refused-{name}", container(script="true", **members)))
        assert task["stopCode"] == "TaskFailedToStart"
        assert task["stoppedReason"].startswith(("CannotStartContainerError: ", "CannotCreateContainerError: ")), task["stoppedReason"]
        reasons[name] = task["stoppedReason"]
    assert "somaxconn" in reasons["control"] and "msgmax" in reasons["other"] and "ghost" in reasons["user"] and "/no/such/device" in reasons["device"]


def test_start_timeout(roadstead):
    """A dependent waits so long for a container, and no longer."""
    slow = container("slow", "trap 'exit 3' TERM; sleep 60 & wait", startTimeout=2, essential=False)
    main = container("main", "true", dependsOn=[{"containerName": "slow", "condition": "COMPLETE"}])
    task = roadstead.finish(roadstead.define("impatient", slow, main))
    # 143 is what the ECS agent says of a container that it never started for this.
    assert exit_codes(task) == {"slow": 3, "main": 143}
    assert "[slow: COMPLETE] for target [main] has timed out" in task["containers"][1]["reason"]
