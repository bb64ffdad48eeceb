"""Runs the real program in a directory of its own and talks to it with the stock AWS clients.

Must not know what is tested. Waits on conditions, never for a length of time.
"""

import concurrent.futures
import contextlib
import datetime
import glob
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import tempfile
import time

import boto3
import botocore.config

BIN = os.environ.get("ROADSTEAD_BIN") or os.path.expanduser("~/.cache/roadstead/target/debug/roadstead")
VENV = os.environ.get("ROADSTEAD_VENV") or os.path.dirname(os.path.dirname(os.sys.executable))
# Debian's AWS CLI v2, for `logs tail`, which v1 has not.
AWS2 = "/usr/bin/aws"
REGION = "us-east-1"
ACCOUNT = "000000000000"
IMAGE = "e2e/busybox:1"
CLUSTER = "e2e"
APPLETS = (
    "sh httpd wget sleep echo cat date hostname mkdir id touch ls grep seq nc kill head dd true false "
    "test rm env ps stat mount df yes tail ip ping od wc printf tr nslookup"
).split()

# Until it is asked to stop. A first process takes only the signals that it handles.
SLEEP = "trap 'exit 0' TERM; sleep 1000 & wait"
# The same, with a web server.
WEB = "mkdir -p /tmp/w; echo here > /tmp/w/index.html; trap 'exit 0' TERM; httpd -f -p 80 -h /tmp/w & wait"

# What a failure is to be understood by.
LOG = "info,agent=debug,engine=debug"
# Not among the ports that the kernel gives to whoever asks for any, nor among a host's own dynamic ports: while a
# program is down, nobody else must come by its port.
PORTS = range(20_000, 30_000)
# Long enough for a machine that is many times slower than any should be: only a failure waits this long.
PATIENCE = 60.0

ALIVE = []


def until(predicate, timeout=PATIENCE, what=None):
    """The first truthy value of `predicate()`; fails when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or predicate}; last: {value!r}")
        time.sleep(0.02)


def held_port():
    """A socket on a port of loopback that is ours for as long as it is open; a server may listen there all the same."""
    for port in random.sample(PORTS, len(PORTS)):
        sock = socket.socket()
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sock.close()
            continue
        # Only now: who binds such a port shares it with others that say so too, such as our server.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sock
    raise AssertionError("no port is free")


def busybox_tar(path):
    """A root filesystem of busybox, and a UDP server."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="roadstead-e2e-root-"))
    try:
        for folder in ("bin", "etc", "tmp", "data", "proc", "dev", "sys"):
            (root / folder).mkdir()
        shutil.copy("/bin/busybox", root / "bin/busybox")
        source = pathlib.Path(__file__).with_name("udp_echo.c")
        subprocess.run(["cc", "-O1", "-static", "-o", root / "bin/udp_echo", source], check=True)
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nworker:x:1234:2345:w:/tmp:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nworkers:x:2345:\nextra:x:3456:worker\n")
        (root / "tmp").chmod(0o1777)
        root.chmod(0o755)
        with tarfile.open(path, "w") as tar:
            tar.add(root, arcname=".", filter=owned_by_root)
    finally:
        shutil.rmtree(root)
    return path


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    return entry


def leaks_program():
    """The leak checker, built beside the program."""
    near = os.path.join(os.path.dirname(BIN), "leaks")
    return near if os.path.exists(near) else os.path.join(os.path.dirname(os.path.dirname(BIN)), "debug", "leaks")


def host_objects(*marks):
    """What there is on this host that bears one of the marks (or all), as a set of lines."""
    done = subprocess.run([leaks_program(), *marks], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


class Clock:
    """How many seconds a program's wall clock is off: a preloaded library has it so."""

    def __init__(self, folder):
        library, self.file = folder / "clock.so", folder / "off"
        source = pathlib.Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        self.file.write_bytes(bytes(8))
        self.off = 0
        with open(self.file, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 8)
        self.env = {**os.environ, "LD_PRELOAD": str(library), "ROADSTEAD_E2E_CLOCK": str(self.file)}

    def set(self, seconds):
        self.off = seconds
        self.shared[:] = struct.pack("q", seconds)

    def now(self):
        """The time as the program has it."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.off)

    def shortly_before(self, moment):
        """Sets it to some seconds before a time, unless it is later than that. Programs that run notice it late: start them then."""
        left = (moment - self.now()).total_seconds() - 3
        self.set(self.off + max(0, int(left)))


class Roadstead:
    """One instance: a data directory, a port, and the process that serves them."""

    # Task definition to its containers that set traps. Of all instances: a name too many does no harm.
    heeding = {}

    def __init__(self, config=None, cluster=CLUSTER, *flags):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="roadstead-e2e-"))
        self.data = self.top / "data"
        self.held = held_port()
        self.port = self.held.getsockname()[1]
        self.cluster = cluster
        self.flags = list(flags)
        self.env = None
        self.marks = []
        self.log = self.top / "roadstead.log"
        self.ready_line = None
        self.process = None
        self.config = None
        if config:
            self.config = self.top / "roadstead.toml"
            self.config.write_text(config)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")
        self.sts = self.client("sts")
        ALIVE.append(self)

    # The program

    def settings(self):
        flags = ["--data-dir", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        return flags + (["--config", str(self.config)] if self.config else [])

    def start(self, command="up"):
        """Starts the process, without waiting for it."""
        out = open(self.top / "stdout", "wb")
        err = open(self.log, "ab")
        argv = [BIN, command, *self.settings(), *self.flags]
        if self.cluster:
            argv += ["--cluster", self.cluster]
        self.process = subprocess.Popen(argv, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                        start_new_session=True, env={"RUST_LOG": LOG, **(self.env or os.environ), "NO_COLOR": "1"})
        out.close()
        err.close()
        return self

    def up(self, timeout=PATIENCE):
        """Starts the process and waits for its `ready` line."""
        self.start()
        self.ready_line = until(self.said_ready, timeout, "a ready line")
        return self

    def said_ready(self):
        lines = (self.top / "stdout").read_text().splitlines()
        ready = [line for line in lines if line.startswith("ready ")]
        assert ready or self.process.poll() is None, f"exit {self.process.poll()}:\n{self.log_tail()}"
        return ready and ready[0]

    def kill(self):
        """kill -9, of this process alone."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self, timeout=PATIENCE):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def log_tail(self, lines=300):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def cli(self, *argv, check=True, **kwargs):
        """One command of the program; the settings stand behind its first word."""
        argv = [BIN, argv[0], *self.settings(), *argv[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=2 * PATIENCE, **kwargs)
        assert not check or done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def load_image(self, tar, name=IMAGE, cmd="/bin/sh"):
        return self.cli("image", "load", str(tar), "--name", name, "--cmd", cmd)

    def id8(self):
        path = self.data / "id"
        return path.read_text().strip() if path.exists() else None

    def left(self):
        """What on the host bears one of the marks."""
        return host_objects(*self.marks) if self.marks else set()

    def destroy(self):
        """Ends it, removes everything, and fails if anything stays."""
        if self not in ALIVE:
            return
        ALIVE.remove(self)
        id8 = self.id8()
        self.marks = [str(self.top)] + ([id8] if id8 else [])
        try:
            done = self.cli("down", "--purge", check=False)
            if self.process and self.process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(PATIENCE)
            problem = f"down --purge: exit {done.returncode}\n{done.stdout}{done.stderr}" if done.returncode else None
            assert problem is None, problem
            assert not self.data.exists(), "down --purge leaves the data directory"
            until(lambda: not self.left(), PATIENCE, NothingLeft(self))
        finally:
            if self.process and self.process.poll() is None:
                self.kill()
            self.held.close()
            shutil.rmtree(self.top, ignore_errors=True)

    # Clients

    def client(self, service, key="test", secret="test", region=REGION, **config):
        config = {"retries": {"max_attempts": 0}, "connect_timeout": 5, "read_timeout": 30,
                  "max_pool_connections": 32, **config}
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=key,
            aws_secret_access_key=secret, config=botocore.config.Config(**config))

    def environment(self, **more):
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**keep, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "",
                "AWS_EC2_METADATA_DISABLED": "true", **more}

    def aws(self, *argv, check=True, **env):
        """The AWS CLI v1; what it printed, read as JSON when it is some."""
        argv = [os.path.join(VENV, "bin/aws"), *argv]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=self.environment(**env))
        if not check:
            return done
        assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout[:1] in ("{", "[", '"') else done.stdout

    # Tasks

    def define(self, family, *containers, **members):
        """Registers a task definition; its ARN."""
        answer = self.ecs.register_task_definition(family=family, containerDefinitions=list(containers), **members)
        arn = answer["taskDefinition"]["taskDefinitionArn"]
        self.heeding[arn] = [one["name"] for one in containers if "trap" in " ".join(one.get("command", ()))]
        return arn

    def run(self, definition, count=1, **members):
        """RunTask; the ARNs of its tasks."""
        answer = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, count=count, **members)
        assert not answer["failures"], answer["failures"]
        return [task["taskArn"] for task in answer["tasks"]]

    def tasks(self, arns):
        """DescribeTasks, in the order asked."""
        found = {}
        for at in range(0, len(arns), 100):
            answer = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns[at:at + 100])
            found.update((task["taskArn"], task) for task in answer["tasks"])
        return [found[arn] for arn in arns if arn in found]

    def task(self, arn):
        return self.tasks([arn])[0]

    def reach(self, arn, status, timeout=PATIENCE):
        """The task, once it has this status or a later one."""
        order = ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"]

        def reached():
            task = self.task(arn)
            return order.index(task["lastStatus"]) >= order.index(status) and task

        try:
            task = until(reached, timeout, f"{arn} {status}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.task(arn), default=str, indent=1)}") from None
        assert task["lastStatus"] == status, (task["lastStatus"], task.get("stoppedReason"), task["containers"])
        return task

    def stopped(self, arn, timeout=PATIENCE):
        return self.reach(arn, "STOPPED", timeout)

    def running(self, arn, timeout=PATIENCE):
        """The task, once it is RUNNING, and SIGTERM has the effect that its scripts mean it to have."""
        task = self.reach(arn, "RUNNING", timeout)
        for name in self.heeding.get(task["taskDefinitionArn"], ()):
            until(lambda name=name: self.heeds(arn, name), timeout, f"a trap of {name} in {arn}")
        return task

    def heeds(self, arn, name):
        """Whether a container's first process has said what to do at SIGTERM, or is gone."""
        first = self.first(arn, name) if hasattr(self, "data") else None  # On another machine it is not to be seen.
        try:
            status = pathlib.Path(f"/proc/{first}/status").read_text()
        except OSError:
            return True
        masks = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigBlk:", "SigCgt:", "SigIgn:")))
        return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)

    def finish(self, definition, timeout=PATIENCE, **members):
        """Runs one task to its end."""
        return self.stopped(self.run(definition, **members)[0], timeout)

    def stop(self, arn, **members):
        return self.ecs.stop_task(cluster=self.cluster, task=arn, **members)["task"]

    def wait(self, waiter, **members):
        """One of the stock waiters, looking five times a second."""
        self.ecs.get_waiter(waiter).wait(
            cluster=self.cluster, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600}, **members)

    def delete_services(self, services):
        """By force; they are gone when this returns."""
        for name in services:
            self.ecs.delete_service(cluster=self.cluster, service=name, force=True)
        self.inactive(services)

    def inactive(self, services):
        """Waits until all of these are INACTIVE, and their tasks, which are STOPPING then, have stopped. The stock waiter is
        content with any one of those that it is given."""
        for name in services:
            self.wait("services_inactive", services=[name])
            until(lambda name=name: not self.stopping(name), what=f"the end of all tasks of {name}")

    def stopping(self, service):
        """The tasks of a service that shall be STOPPED, and are not yet."""
        pages = self.ecs.get_paginator("list_tasks").paginate(
            cluster=self.cluster, serviceName=service, desiredStatus="STOPPED")
        arns = [page["taskArns"] for page in pages]
        tasks = [task for some in arns if some
                 for task in self.ecs.describe_tasks(cluster=self.cluster, tasks=some)["tasks"]]
        return [task["taskArn"] for task in tasks if task["lastStatus"] != "STOPPED"]

    def pids(self, arn, name):
        """The processes of a container, as its control group lists them."""
        found = set()
        for path in self.group_files(arn, name, "cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in pathlib.Path(path).read_text().split())
        return sorted(found)

    def first(self, arn, name):
        """The pid of a container's first process; None when there is none. Pids wrap, so it need not be the lowest."""
        for pid in self.pids(arn, name):
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
                    return pid
        return None

    def group_files(self, arn, name, file):
        """A file of a container's control group, in every hierarchy of a v1, hybrid or v2 host."""
        inside = f"roadstead-{self.id8()}/{task_id(arn)}/{name}/{file}"
        return glob.glob(f"/sys/fs/cgroup/{inside}") + glob.glob(f"/sys/fs/cgroup/*/{inside}")

    def cgroup_value(self, arn, name, *files):
        """The first of these files in the container's control group, in any hierarchy."""
        for file in files:
            for path in self.group_files(arn, name, file):
                return pathlib.Path(path).read_text().strip()
        raise AssertionError(f"no {files} of {name}")

    def processes(self, word):
        """Pids of the processes of this instance whose command line has a word in it."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                pid = int(path.split("/")[2])
                line = pathlib.Path(path).read_bytes().replace(b"\0", b" ").decode(errors="replace")
                group = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
                if word in line and (str(self.top) in line or f"roadstead-{self.id8()}" in group):
                    found.append(pid)
        return sorted(found)

    # Output

    def messages(self, group, stream):
        """Every message of a log stream, first to last, by GetLogEvents."""
        found, token = [], None
        while True:
            more = {"nextToken": token} if token else {}
            answer = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, limit=10000, **more)
            found += [event["message"] for event in answer["events"]]
            if answer["nextForwardToken"] == token:
                return found
            token = answer["nextForwardToken"]

    def output(self, arn, name="main", lines=1, group="/e2e"):
        """The messages of a container that logs by `awslogs()`, once there are so many."""
        stream = f"t/{name}/{task_id(arn)}"

        def read():
            try:
                found = self.messages(group, stream)
            except self.logs.exceptions.ResourceNotFoundException:
                return None
            return len(found) >= lines and found

        return until(read, PATIENCE, f"{lines} lines in {stream}")


class NothingLeft:
    """Says what is left, should it come to that."""

    def __init__(self, instance):
        self.instance = instance

    def __str__(self):
        return "nothing left on the host, but there is:\n" + "\n".join(sorted(self.instance.left()))


def task_id(arn):
    return arn.rsplit("/", 1)[-1]


def container(name="main", script=None, **members):
    """A container definition of the test image: a shell script."""
    definition = {"name": name, "image": IMAGE, "memory": 32, "essential": True}
    if script is not None:
        definition["command"] = ["/bin/sh", "-c", script]
    return {**definition, **members}


def awslogs(group="/e2e", prefix="t", **options):
    """A log configuration whose group is made on the way."""
    options = {name.replace("_", "-"): value for name, value in options.items()}
    return {"logDriver": "awslogs", "options": {
        "awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": prefix,
        "awslogs-create-group": "true", **options}}


def exit_codes(task):
    return {c["name"]: c.get("exitCode") for c in task["containers"]}


def host_port(task, name="main", port=None):
    for found in task["containers"]:
        for binding in found.get("networkBindings", []):
            if found["name"] == name and port in (None, binding["containerPort"]):
                return binding["hostPort"]
    return None


def get(port, timeout=2.0):
    """The body of an HTTP GET from the host, or None."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    return body.decode() if b" 200 " in head.split(b"\r\n")[0] else None


def at_once(function, arguments, workers=8):
    """Calls a function with each argument, some at a time; the results in order."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, arguments))
