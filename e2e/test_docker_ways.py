"""What images of others have, and what programs in them expect of Docker."""

import io
import tarfile

import pytest

from harness import SLEEP, awslogs, busybox_tar, container

IMAGE = "e2e/odd:1"
# In an image: name, what it links to.
LINKS = {
    "etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf",
    "etc/hosts": "/proc/mounts",
    "etc/hostname": "/nowhere/deep/name",
    "app.log": "/dev/stdout",
    "err.log": "/proc/self/fd/2",
    "dangling": "gone/one/two",
    "first": "second",
    "second": "/third/place",
    "circle": "round",
    "round": "circle",
    "to-proc": "/proc/sys",
}
FILES = {"bin/plain": b"echo never\n", "bin/empty": b"", "bin/lost": b"#!/no/such/shell\n", "a-file": b"x"}


@pytest.fixture
def odd(roadstead, tmp_path):
    """The test image, with links and programs of every broken kind."""
    path = busybox_tar(tmp_path / "odd.tar")
    with tarfile.open(path, "a") as tar:
        for name, target in LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    roadstead.load_image(path, IMAGE)
    return roadstead


def run(roadstead, family, *containers, **members):
    containers = [{"logConfiguration": awslogs(), **c, "image": IMAGE} for c in containers]
    return roadstead.finish(roadstead.define(family, *containers, **members))


def reason(task):
    return task["containers"][0].get("reason", "")


@pytest.mark.parametrize("terminal", [False, True])
def test_an_image_that_logs_through_links(odd, terminal):
    """As the official nginx does, by a user that is not root."""
    script = "echo to-log > /app.log && echo to-error > /err.log && echo again >> /proc/self/fd/1"
    task = run(odd, "links-log", container(script=script, user="1234", pseudoTerminal=terminal))
    assert task["containers"][0].get("exitCode") == 0, task["containers"]
    assert sorted(line.strip() for line in odd.output(task["taskArn"], lines=3)) == ["again", "to-error", "to-log"]


def test_mounts_behind_links_of_the_image(odd):
    """What is missing is made, within the container; the three files in /etc are files."""
    script = ("test ! -L /etc/hosts && test ! -L /etc/hostname && grep -q nameserver /etc/resolv.conf && "
              "grep -q localhost /etc/hosts && test \"$(cat /etc/hostname)\" = \"$HOSTNAME\" && "
              "touch /dangling/in && test -e /gone/one/two/in && touch /third/place/x && test -e /first/x && "
              "grep -q ' /third/place ' /proc/mounts && test -e /.dockerenv && grep -q ' / ' /etc/mtab && echo all")
    mounts = [{"sourceVolume": "v", "containerPath": path} for path in ("/dangling",)]
    task = run(odd, "links-mounts", container(
        script=script, mountPoints=mounts,
        linuxParameters={"tmpfs": [{"containerPath": "/first", "size": 1, "mountOptions": ["noatime"]}]}), volumes=[{"name": "v"}])
    assert task["containers"][0].get("exitCode") == 0, task["containers"]
    assert odd.output(task["taskArn"]) == ["all"]


@pytest.mark.parametrize("path, words", [
    ("/circle", ["links in a circle"]),
    ("/to-proc/x", ["/proc/sys/x"]),
    ("/a-file", ["is a folder", "a file there"]),
    ("/a-file/x", ["/a-file is a file of the image"]),
    ("/proc/x", ["inside /proc"]),
])
def test_a_mount_that_cannot_be_is_told_in_the_user_s_words(odd, path, words):
    mounts = [{"sourceVolume": "mine", "containerPath": path}]
    task = run(odd, "refused", container(script="true", mountPoints=mounts), volumes=[{"name": "mine"}])
    said = reason(task)
    for word in [path, *words]:
        assert word in said, said
    assert path == "/proc/x" or '"mine"' in said
    assert "os error" not in said and "{" not in said, said


@pytest.mark.parametrize("command, words", [
    ("/bin/plain", "exec format error"),
    ("plain", "exec format error"),
    ("/bin/empty", "exec format error"),
    ("/bin/lost", "/no/such/shell"),
    ("/bin", "is a directory"),
    ("nothing", "executable file not found in $PATH"),
])
def test_a_command_that_cannot_be_executed_never_starts(odd, command, words):
    task = run(odd, "broken", container(command=[command]))
    assert reason(task).startswith("CannotStartContainerError") and words in reason(task), task["containers"]
    assert "exitCode" not in task["containers"][0] and task["stopCode"] == "TaskFailedToStart"


def test_links_set_docker_s_variables(odd):
    """Ports and environment of the other container; what is its own goes before."""
    db = container("my-db", SLEEP, essential=False, stopTimeout=2, portMappings=[{"containerPort": 3306}],
                   environment=[{"name": "SECRET", "value": "a=b"}])
    app = container("app", "env", links=["my-db:db"], environment=[{"name": "DB_PORT", "value": "mine"}])
    task = run(odd, "linked", app, db)
    said = dict(line.split("=", 1) for line in odd.output(task["taskArn"], "app", lines=8))
    address = said["DB_PORT_3306_TCP_ADDR"]
    assert address.count(".") == 3
    assert {name: said[name] for name in said if name.startswith("DB_")} == {**{
        "DB_NAME": "/app/db", "DB_PORT": "mine", "DB_PORT_3306_TCP": f"tcp://{address}:3306",
        "DB_PORT_3306_TCP_ADDR": address, "DB_PORT_3306_TCP_PORT": "3306", "DB_PORT_3306_TCP_PROTO": "tcp",
        "DB_ENV_SECRET": "a=b"}, **{name: said[name] for name in said if name.startswith("DB_ENV_AWS_")}}


def test_a_container_instance_has_an_ec2_instance_id(odd):
    """By it, tools know the machine; it is found by it, and stays."""
    def shown():
        arns = odd.ecs.list_container_instances(cluster=odd.cluster)["containerInstanceArns"]
        return odd.ecs.describe_container_instances(cluster=odd.cluster, containerInstances=arns)["containerInstances"][0]

    before = shown()
    name = before["ec2InstanceId"]
    assert len(name) == 19 and name.startswith("i-")
    found = odd.ecs.list_container_instances(cluster=odd.cluster, filter=f"ec2InstanceId == {name}")
    assert found["containerInstanceArns"] == [before["containerInstanceArn"]]
    odd.kill()
    odd.up()
    assert shown()["ec2InstanceId"] == name


def test_security_options_are_applied_or_refused(odd):
    """Where there is no AppArmor and no SELinux, nobody runs who asked for them."""
    for option, attribute in (("apparmor:web", "apparmor"), ("label:type:x", "selinux")):
        definition = odd.define("secured", {**container(script="true", dockerSecurityOptions=[option]), "image": IMAGE})
        answer = odd.ecs.run_task(cluster=odd.cluster, taskDefinition=definition)
        if answer["tasks"]:
            assert "not loaded" in reason(odd.stopped(answer["tasks"][0]["taskArn"]))
        else:
            assert answer["failures"][0]["reason"] == "ATTRIBUTE", answer["failures"]
