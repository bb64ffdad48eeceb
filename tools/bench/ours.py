"""Our side: the real binary, real containers, a data directory of its own."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

from common import cpu_seconds, end, make_image, memory_kib, wait_for

IMAGE = "bench:1"
IDLE_TASKS = 50
SERVICES = 100


def definition(family, command):
    container = {"name": "c", "image": IMAGE, "cpu": 1, "memory": 8, "essential": True, "command": command,
                 "stopTimeout": 2, "portMappings": [{"containerPort": 80}]}
    return {"family": family, "networkMode": "bridge", "containerDefinitions": [container]}


class Roadstead:
    """One data directory and the process that serves it."""

    def __init__(self, program, top):
        self.program, self.top, self.data = program, pathlib.Path(top), pathlib.Path(top, "data")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.process = None

    def command(self, *words):
        return subprocess.run((self.program, *words), check=True, capture_output=True, text=True).stdout

    def bench(self, what, *words, prefix=()):
        command = (*prefix, self.program, "bench", what, "--endpoint", f"http://{self.listen}", *map(str, words))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"bench {what}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def call(self, operation, **body):
        return self.bench("call", operation, json.dumps(body))

    @contextlib.contextmanager
    def up(self, prefix=()):
        """Runs it; answers the seconds that it took to be ready."""
        begin = time.monotonic()
        command = (*prefix, self.program, "up", "--data-dir", self.data, "--listen", self.listen)
        env = dict(os.environ, RUST_LOG=os.environ.get("RUST_LOG", "warn"))
        with open(self.top / "up.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=env)
        try:
            line = self.process.stdout.readline()
            if not line.startswith("ready "):
                raise RuntimeError(f"not ready: {(self.top / 'up.log').read_text()[-400:]}")
            yield time.monotonic() - begin
        finally:
            end(self.process)

    def tasks(self, status):
        return self.call("ListTasks", desiredStatus=status)["taskArns"]

    def running(self):
        """How many tasks run."""
        page, count = {}, 0
        while True:
            listed = self.call("ListTasks", desiredStatus="RUNNING", **page)
            if listed["taskArns"]:
                told = self.call("DescribeTasks", tasks=listed["taskArns"])["tasks"]
                count += sum(task["lastStatus"] == "RUNNING" for task in told)
            if not listed.get("nextToken"):
                return count
            page = {"nextToken": listed["nextToken"]}

    def id8(self):
        return (self.data / "id").read_text().strip()

    def files_kib(self):
        """What is kept in the file system in memory."""
        room = os.statvfs(f"/run/roadstead/{self.id8()}")
        return (room.f_blocks - room.f_bfree) * room.f_frsize / 1024

    def supervisors(self):
        """Pids of the processes that look after tasks."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = pathlib.Path("/proc", pid, "cmdline").read_bytes().decode().split("\0")
                own = os.readlink(f"/proc/{pid}/fd/2").startswith(f"/run/roadstead/{self.id8()}/")
                if own and "supervise" in words:
                    found.append(int(pid))
        return found


def start_and_churn(road, args):
    with road.up():
        road.call("RegisterTaskDefinition", **definition("sleeper", ["/bin/sleep", "1000"]))
        road.call("RegisterTaskDefinition", **definition("short", ["/bin/true"]))
        road.bench("start", "--definition", "sleeper", "--count", 3)
        out = {"start": road.bench("start", "--definition", "sleeper", "--count", args.starts)}
        time.sleep(1)
        out["churn"] = road.bench("churn", "--definition", "short", "--data-dir", road.data, "--count", args.churn)
    return out


def memory_of_tasks(road):
    with road.up():
        before, files = memory_kib(road.process.pid), road.files_kib()
        for _ in range(IDLE_TASKS // 10):
            road.call("RunTask", taskDefinition="sleeper", count=10)
        wait_for(lambda: road.running() == IDLE_TASKS, "the idle tasks do not run")
        time.sleep(2)
        pids = road.supervisors()
        supervisors = sum(map(memory_kib, pids)) / max(len(pids), 1)
        growth = (memory_kib(road.process.pid) - before) / IDLE_TASKS
        files = (road.files_kib() - files) / IDLE_TASKS
        for task in road.tasks("RUNNING"):
            road.call("StopTask", task=task)
        wait_for(lambda: not road.tasks("RUNNING"), "the idle tasks do not stop")
    return {"supervisors": len(pids), "supervisor_pss_kib": round(supervisors), "growth_kib": round(growth),
            "files_kib": round(files)}


def rates(road, args):
    """The server on one core, the client on the other."""
    client = ("taskset", "-c", "1")
    calls = lambda n, operation, body: road.bench(
        "calls", "--connections", n, "--seconds", args.seconds, operation, json.dumps(body), prefix=client)
    with road.up(prefix=("taskset", "-c", "0")):
        task = road.call("RunTask", taskDefinition="sleeper")["tasks"][0]["taskArn"]
        wait_for(lambda: road.running() == 1, "the task does not run")
        out = {"describe": calls(16, "DescribeTasks", {"cluster": "default", "tasks": [task]})}
        road.call("StopTask", task=task)
        wait_for(lambda: not road.tasks("RUNNING"), "the task does not stop")
    register = {"family": "bench-{n}", "containerDefinitions": [
        {"name": "c", "image": IMAGE, "cpu": 10, "memory": 16, "essential": True}]}
    # Each call makes a family, of which there may be 100,000.
    with road.up():
        out["register"] = road.bench("calls", "--connections", 64, "--seconds", min(args.seconds, 3),
                                     "RegisterTaskDefinition", json.dumps(register))
    return out


def idle(road, args):
    with road.up():
        time.sleep(2)
        pid = road.process.pid
        before = cpu_seconds(pid)
        time.sleep(args.idle_seconds)
        cpu = (cpu_seconds(pid) - before) / args.idle_seconds * 100
        return {"pss_kib": memory_kib(pid), "rss_kib": memory_kib(pid, "Rss"), "cpu_percent": round(cpu, 2)}


def ready(road):
    with road.up():
        road.call("RegisterTaskDefinition", **definition("sleeper", ["/bin/sleep", "1000"]))
        for number in range(SERVICES):
            road.call("CreateService", serviceName=f"s{number}", taskDefinition="sleeper", desiredCount=1)
        wait_for(lambda: road.running() == SERVICES, "the services' tasks do not run", 120)
        time.sleep(1)
    times = []
    for _ in range(5):
        with road.up() as seconds:
            times.append(seconds)
            adopted = road.running()
    return {"services": SERVICES, "tasks_adopted": adopted, "seconds": round(sorted(times)[2], 3)}


def measure(program, top, args):
    """All rows, each from an empty data directory where it matters."""
    out = {}
    image = f"{top}/rootfs.tar"
    make_image(image)

    def fresh(name, parts):
        place = pathlib.Path(top, name)
        place.mkdir()
        road = Roadstead(program, place)
        try:
            road.command("image", "--data-dir", str(road.data), "load", image, "--name", IMAGE, "--cmd", "/bin/sh")
            for part, what in parts.items():
                print(f"   {part}", flush=True)
                out[part] = what(road)
        finally:
            road.command("down", "--data-dir", str(road.data), "--purge")

    fresh("a", {"idle": lambda road: idle(road, args)})
    fresh("b", {"tasks": lambda road: start_and_churn(road, args), "memory": memory_of_tasks,
                "rates": lambda road: rates(road, args)})
    fresh("c", {"ready": ready})
    return out
