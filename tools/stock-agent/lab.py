"""What the trial of a stock agent is made of: a Docker engine, a control plane and the agent itself.

Runs in namespaces of its own (network, mounts, processes), so that all it makes goes away with them.
Must not know what is tried.
"""

import contextlib
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import boto3
import botocore.config

from registry import Registry

sys.path.append(str(pathlib.Path(__file__).parents[1] / "bench"))
from common import make_image  # noqa: E402

CLUSTER = "stock"
REGION = "us-east-1"
IMAGE = "trial/busybox:1"
ENDPOINT = "http://127.0.0.1:4566"
SECURE = "https://127.0.0.1"
APPLETS = ("sh httpd wget sleep echo cat true false test rm touch env nc hostname grep ls id".split())


def until(condition, what, seconds=60.0):
    """Waits until the condition holds; answers what it answered."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


def quiet(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
    return done.stdout


def groups(name):
    """The cgroups of that name, in whichever trees."""
    return glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")


class Skipped(Exception):
    """What a check needs is not here."""


class Process:
    """A process that can be ended and started again; its output is appended to one file."""

    def __init__(self, log, *command, env=None):
        self.log, self.command, self.env = log, command, env
        self.process = None

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env)

    def end(self, how=signal.SIGTERM, patience=30):
        if self.process is None:
            return None
        self.process.send_signal(how)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def wait(self, patience=60):
        return self.process.wait(patience)

    def alive(self):
        return self.process is not None and self.process.poll() is None


class Lab:
    """All of it, below one folder."""

    def __init__(self, top, roadstead, agent, docker_folder):
        self.top = pathlib.Path(top)
        # The engine's group, and the one in which the agent makes those of tasks with a size.
        self.groups = [self.top.name] + ["ecs"] * (not groups("ecs"))
        quiet("ip", "link", "set", "lo", "up")
        self.path = os.environ["PATH"]
        env = dict(os.environ)
        if docker_folder:
            debian = pathlib.Path(docker_folder)
            env["PATH"] = f"{debian}/usr/bin:{debian}/usr/sbin:{self.path}"
            env["LD_LIBRARY_PATH"] = f"{debian}/usr/lib/x86_64-linux-gnu:{debian}/lib/x86_64-linux-gnu"
        self.env = env
        self.socket = f"unix://{self.top}/docker.sock"
        # containerd's shims keep their sockets here whatever they are told.
        quiet("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.docker_daemon = Process(
            self.top / "dockerd.log", "dockerd", "--data-root", f"{top}/docker", "--exec-root", f"{top}/docker-exec",
            "-H", self.socket, "--pidfile", f"{top}/docker.pid", "--cgroup-parent", f"/{self.top.name}", env=env)
        self.server = Process(
            self.top / "server.log", roadstead, "server", "--data-dir", f"{top}/data", "--listen",
            ENDPOINT.removeprefix("http://"), "--cluster", CLUSTER, env={**os.environ, "RUST_LOG": "info,server=debug", "NO_COLOR": "1"})
        self.proxy = Process(self.top / "nginx.log", "nginx", "-c", f"{top}/nginx.conf", "-p", str(top))
        self.agent_binary = agent
        self.roadstead = roadstead
        self.first_keys = None
        self.agent_number = 0
        self.agent = None
        config = botocore.config.Config(retries={"max_attempts": 1}, read_timeout=30)
        self.ecs = boto3.client("ecs", endpoint_url=ENDPOINT, region_name=REGION, config=config,
                                aws_access_key_id="test", aws_secret_access_key="test")
        self.logs = boto3.client("logs", endpoint_url=ENDPOINT, region_name=REGION, config=config,
                                 aws_access_key_id="test", aws_secret_access_key="test")

    def docker(self, *words):
        return quiet("docker", "-H", self.socket, *words, env=self.env)

    def say(self, text):
        print(f"     {text}", flush=True)

    def start(self):
        self.start_server()
        make_image(self.top / "image.tar", APPLETS)
        self.registry = Registry((self.top / "image.tar").read_bytes(), "trial/pulled")
        self.start_docker()

    def start_docker(self):
        # Its log driver awslogs signs with these.
        self.docker_daemon.env.update(self.agent_keys())
        self.docker_daemon.start()
        answers = lambda: subprocess.run(
            ("docker", "-H", self.socket, "version"), capture_output=True, env=self.env).returncode == 0
        until(lambda: answers() or not self.docker_daemon.alive(), "the Docker engine answers")
        assert self.docker_daemon.alive(), "the Docker engine ended; see dockerd.log"
        self.docker("import", self.top / "image.tar", IMAGE)

    def start_server(self):
        self.server.start()

        def ready():
            assert self.server.alive(), "the control plane ended; see server.log"
            with contextlib.suppress(Exception):
                return self.ecs.list_clusters()

        until(ready, "the control plane answers")

    def backup(self):
        quiet(self.server.command[0], "backup", "--data-dir", self.top / "data", self.top / "backup.db")

    def restore(self):
        for suffix in ("-wal", "-shm"):
            (self.top / f"data/state.db{suffix}").unlink(missing_ok=True)
        shutil.copy(self.top / "backup.db", self.top / "data/state.db")

    def start_proxy(self):
        """nginx before the control plane, with TLS. Answers the file with the certificate to trust."""
        certificate, key = self.top / "tls.crt", self.top / "tls.key"
        quiet("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=trial",
              "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        temporary = "".join(f"{kind}_temp_path {self.top}/nginx-{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.top / "nginx.conf").write_text(f"""
            daemon off; pid {self.top}/nginx.pid; error_log stderr; events {{}}
            http {{
                access_log off; {temporary}
                map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
                server {{
                    listen 127.0.0.1:443 ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
                    location / {{
                        proxy_pass {ENDPOINT}; proxy_http_version 1.1; proxy_read_timeout 1h;
                        proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;
                        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
                    }}
                }}
            }}""")
        self.proxy.start()
        return certificate

    def agent_keys(self):
        """The key pair of the first agent, which the Docker engine has too."""
        self.first_keys = self.first_keys or self.new_keys()
        return self.first_keys

    def new_keys(self):
        """A key pair for an agent that has never run."""
        lines = quiet(self.roadstead, "agent-key", "--data-dir", f"{self.top}/data", "create").split()
        return dict(line.split("=", 1) for line in lines)

    def new_agent(self, **more):
        """An agent that has never run, in the place of the one before: nothing is in its folder."""
        if self.agent and self.agent.alive():
            self.agent.end()
        self.agent_number += 1
        folder = self.top / f"agent{self.agent_number}"
        (folder / "data").mkdir(parents=True)
        settings = {
            "ECS_EXTERNAL": "true",
            "ECS_CLUSTER": CLUSTER,
            "ECS_BACKEND_HOST": ENDPOINT,
            "AWS_DEFAULT_REGION": REGION,
            **(self.agent_keys() if self.agent_number == 1 else self.new_keys()),
            "DOCKER_HOST": self.socket,
            "ECS_DATADIR": f"{folder}/data",
            "ECS_LOGFILE": f"{folder}/agent.log",
            "ECS_LOGLEVEL": "debug",
            "ECS_LOG_ROLLOVER_TYPE": "size",
            "ECS_LOG_MAX_FILE_SIZE_MB": "1000",
            "ECS_AUDIT_LOGFILE": f"{folder}/audit.log",
            "ECS_AGENT_CONFIG_FILE_PATH": f"{folder}/config.json",
            "ECS_AVAILABLE_LOGGING_DRIVERS": '["json-file","awslogs","none"]',
            "ECS_ENABLE_TASK_IAM_ROLE": "false",
            "ECS_ENABLE_TASK_CPU_MEM_LIMIT": "false",
            "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
            "ECS_INSTANCE_ATTRIBUTES": '{"rack":"a1"}',
            "ECS_CONTAINER_INSTANCE_TAGS": '{"kind":"stock"}',
            "ECS_CONTAINER_STOP_TIMEOUT": "3s",
            "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "1m",
            "PATH": self.path,
            **more,
        }
        self.agent_folder = folder
        self.agent = Process(folder / "stdout.log", self.agent_binary, env=settings)
        return self.agent

    def agent_log(self):
        return "".join(p.read_text(errors="replace") for p in sorted(self.agent_folder.glob("agent.log*")))

    def instances(self, **more):
        arns = self.ecs.list_container_instances(cluster=CLUSTER, **more)["containerInstanceArns"]
        if not arns:
            return []
        return self.ecs.describe_container_instances(
            cluster=CLUSTER, containerInstances=arns, include=["TAGS"])["containerInstances"]

    def connected(self):
        """The one instance, once its agent is connected."""
        return until(lambda: [i for i in self.instances() if i["agentConnected"]], "the agent is connected")[0]

    def register(self, family, containers, **more):
        answer = self.ecs.register_task_definition(
            family=family, containerDefinitions=[
                {"image": IMAGE, "cpu": 10, "memory": 32, "essential": True, **c} for c in containers], **more)
        return answer["taskDefinition"]["taskDefinitionArn"]

    def run(self, definition, **more):
        answer = self.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, **more)
        assert not answer["failures"], answer["failures"]
        return answer["tasks"][0]["taskArn"]

    def task(self, arn):
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]

    def task_is(self, arn, status, seconds=60):
        until(lambda: self.task(arn)["lastStatus"] == status, f"{arn} is {status}", seconds)
        return self.task(arn)

    def version(self, instance):
        return tuple(int(part) for part in instance["versionInfo"]["agentVersion"].split(".")[:2])

    def service(self, name):
        return self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]

    def steady(self, name, count):
        def reached():
            seen = self.service(name)
            return (seen["runningCount"], seen["pendingCount"], len(seen["deployments"])) == (count, 0, 1)

        until(reached, f"service {name} runs {count} tasks", 120)

    def tasks_of(self, name):
        return sorted(self.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"])

    def state(self, runtime):
        return self.docker("inspect", "--format", "{{.State.Status}}", runtime).strip()

    def answers(self, url):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(url, timeout=5).status == 200

    def complaints(self):
        """What the agents say of us that they should have no reason to."""
        marks = ("nackrequest", "unrecognized", "unable to parse", "unknown message", "invalid message", "not acking",
                 "validation", "failed to decode", "no handler")
        for line in self.agent_log().splitlines():
            if any(mark in line.lower() for mark in marks):
                self.say(f"the agent's log: {line[:300]}")

    def end(self):
        if self.agent:
            self.agent.end()
        with contextlib.suppress(Exception):
            running = self.docker("ps", "-aq").split()
            if running:
                self.docker("rm", "-f", *running)
        self.docker_daemon.end()
        self.server.end()
        self.proxy.end()
        self.remove_groups()

    def remove_groups(self):
        for group in [group for name in self.groups for group in groups(name)]:
            for inner, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(inner)
