"""`roadstead up --engine docker`: tasks by a Docker daemon of this host, with its own root and socket."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

import harness
from harness import awslogs, container, exit_codes, until

UNPACKED = pathlib.Path(os.environ.get("ROADSTEAD_BENCH_DIR") or pathlib.Path.home() / ".cache/roadstead/bench") / "debian"


def environment():
    """Where dockerd is, and the docker of the same version; none where there is none."""
    if shutil.which("dockerd"):
        return dict(os.environ)
    if not (UNPACKED / "usr/sbin/dockerd").exists():
        return None
    return {**os.environ, "PATH": f"{UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": f"{UNPACKED}/usr/lib/x86_64-linux-gnu:{UNPACKED}/lib/x86_64-linux-gnu"}


class Docker:
    """A daemon without a network of its own."""

    def __init__(self, env):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="roadstead-docker-"))
        self.socket = self.top / "docker.sock"
        self.env = {**env, "DOCKER_HOST": f"unix://{self.socket}"}
        self.made_run = not os.path.exists("/run/docker")
        (self.top / "daemon.json").write_text("{}")
        self.start()

    def start(self):
        top, log = self.top, open(self.top / "dockerd.log", "ab")
        self.process = subprocess.Popen(
            ["dockerd", "--data-root", top / "root", "--exec-root", top / "exec", "--pidfile", top / "pid", "--host", f"unix://{self.socket}",
             "--config-file", top / "daemon.json", "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"],
            env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: self("version", check=False).returncode == 0, what="the Docker daemon's answer")

    def __call__(self, *words, check=True):
        return subprocess.run(["docker", *map(str, words)], env=self.env, capture_output=True, text=True, check=check)

    def ours(self):
        """Containers, volumes and images with our label."""
        mark = ("--filter", "label=roadstead.instance")
        listed = [self("ps", "-aq", *mark), self("volume", "ls", "-q", *mark), self("images", "-q", *mark)]
        return [line for one in listed for line in one.stdout.split()]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        if self.made_run:
            for folder in ("/run/docker/plugins", "/run/docker"):
                if os.path.isdir(folder):
                    os.rmdir(folder)
        shutil.rmtree(self.top, ignore_errors=True)


@pytest.fixture(scope="module")
def docker():
    env = environment()
    if env is None:
        assert not os.environ.get("CI"), "CI has Docker: tools/setup.sh VENV test"
        pytest.skip("there is no dockerd here: the engine docker is not tested")
    daemon = Docker(env)
    yield daemon
    left = daemon.ours()
    daemon.end()
    assert not left, left


@pytest.fixture(scope="module")
def roadstead(docker, fresh):
    config = f'[agent]\nengine = "docker"\ndocker_socket = "{docker.socket}"\n'
    return fresh(config)


def test_a_task_runs_to_its_end(docker, roadstead):
    """Its exit code and its log; its image is the daemon's."""
    said = roadstead.cli("image", "list").stdout
    assert harness.IMAGE in said and harness.IMAGE in docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    definition = roadstead.define(
        "ends", container("c", "echo hello; echo error >&2; exit 3", logConfiguration=awslogs(), memory=32))
    task = roadstead.finish(definition)
    assert exit_codes(task) == {"c": 3}
    assert task["containers"][0]["runtimeId"] and len(task["containers"][0]["runtimeId"]) == 64
    assert sorted(roadstead.output(task["taskArn"], "c", lines=2)) == ["error", "hello"]


def test_a_service_on_the_bridge(docker, roadstead):
    """Over `kill -9` of the agent and the control plane its tasks go on, and what they wrote meanwhile is not lost."""
    script = "n=0; trap 'exit 0' TERM; (while :; do echo served | nc -l -p 80; done) & while :; do n=$((n+1)); echo tick $n; sleep 0.2; done"
    definition = roadstead.define(
        "web", container("web", script, logConfiguration=awslogs(), memory=64, portMappings=[{"containerPort": 80}]))
    roadstead.ecs.create_service(cluster=harness.CLUSTER, serviceName="web", taskDefinition=definition, desiredCount=1)
    arn = until(lambda: roadstead.ecs.list_tasks(cluster=harness.CLUSTER, serviceName="web")["taskArns"])[0]
    task = roadstead.running(arn)
    port = task["containers"][0]["networkBindings"][0]["hostPort"]
    runtime = task["containers"][0]["runtimeId"]

    def ticks():
        return [int(line.split()[1]) for line in roadstead.output(arn, "web") if line.startswith("tick")]

    until(lambda: len(ticks()) > 2, what="what it writes")
    roadstead.kill()
    begun = docker("inspect", "--format", "{{.State.StartedAt}}", runtime).stdout
    roadstead.up()
    before = len(ticks())
    until(lambda: len(ticks()) > before + 2, what="what it writes after the restart")
    told = ticks()
    assert told == list(range(1, len(told) + 1)), "nothing is lost, and nothing comes twice"
    assert docker("inspect", "--format", "{{.State.StartedAt}}", runtime).stdout == begun
    assert roadstead.task(arn)["lastStatus"] == "RUNNING"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        assert connection.recv(100).strip() == b"served"
    # Who is killed by hand is replaced.
    docker("kill", runtime)
    second = until(lambda: [a for a in roadstead.ecs.list_tasks(cluster=harness.CLUSTER, serviceName="web")["taskArns"] if a != arn])[0]
    roadstead.running(second)
    assert exit_codes(roadstead.stopped(arn)) == {"web": 137}
    roadstead.delete_services(["web"])


def test_a_stop_and_its_time(roadstead):
    """SIGTERM is heard, and who does not hear is killed."""
    definition = roadstead.define(
        "stops", container("hears", "trap 'exit 5' TERM; while :; do sleep 0.1; done", memory=16),
        container("deaf", "trap '' TERM; while :; do sleep 0.1; done", memory=16, stopTimeout=2))
    arn, = roadstead.run(definition)
    roadstead.running(arn)
    roadstead.ecs.stop_task(cluster=harness.CLUSTER, task=arn)
    assert exit_codes(roadstead.stopped(arn)) == {"hears": 5, "deaf": 137}


def test_health_and_what_a_host_says(docker, roadstead):
    check = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "timeout": 2, "retries": 1}
    definition = roadstead.define("well", container("c", "touch /tmp/well; sleep 1000", memory=16, healthCheck=check))
    arn, = roadstead.run(definition)
    until(lambda: roadstead.task(arn)["healthStatus"] == "HEALTHY", what="its health")
    instance, = roadstead.ecs.list_container_instances(cluster=harness.CLUSTER)["containerInstanceArns"]
    told = roadstead.ecs.describe_container_instances(cluster=harness.CLUSTER, containerInstances=[instance])
    assert told["containerInstances"][0]["versionInfo"]["dockerVersion"].startswith("DockerVersion: docker ")
    checks = json.loads(roadstead.cli("doctor", "--json", check=False).stdout.splitlines()[-1])["checks"]
    daemons = [one for one in checks if one["name"] == "docker"]
    assert daemons and daemons[0]["status"] == "ok" and daemons[0]["detail"].startswith("Docker ")
    roadstead.ecs.stop_task(cluster=harness.CLUSTER, task=arn)
    roadstead.stopped(arn)


def test_another_engine_is_refused(docker, roadstead):
    """Tasks of one engine are not another's; and `down` leaves nothing of ours, and all that is the user's."""
    docker("run", "-d", "--name", "mine", "--network", "none", harness.IMAGE, "sleep", "1000")
    arn, = roadstead.run(roadstead.define("stays", container("c", "sleep 1000", memory=16)))
    roadstead.reach(arn, "RUNNING")
    roadstead.terminate()
    refused = subprocess.run([harness.BIN, "up", "--data-dir", roadstead.data, "--engine", "native"], capture_output=True, text=True)
    assert refused.returncode and "has tasks of the engine docker" in refused.stderr, refused.stderr
    roadstead.destroy()
    assert docker.ours() == []
    assert docker("inspect", "--format", "{{.State.Running}}", "mine").stdout.strip() == "true"
    docker("rm", "-f", "mine")


def test_without_a_daemon_it_says_so(tmp_path):
    done = subprocess.run(
        [harness.BIN, "doctor", "--engine", "docker", "--data-dir", tmp_path / "d", "--json"], capture_output=True, text=True,
        env={**os.environ, "ROADSTEAD_AGENT_DOCKER_SOCKET": "/nonexistent/docker.sock"})
    checks = json.loads(done.stdout.splitlines()[0])["checks"]
    assert [one["status"] for one in checks if one["name"] == "docker"] == ["fail"], checks
