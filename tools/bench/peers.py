"""The peers' side: started in network and mount namespaces of its own, prints one line of JSON.

Whatever cannot be had is left out, and said on standard error.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

from common import cpu_seconds, make_image, memory_kib, percentiles, processes, running, wait_for

IMAGE = "docker.io/library/bench:1"


def quiet(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def start_times(count, start, stop):
    times = []
    for number in range(count):
        begin = time.monotonic()
        start(number)
        times.append(time.monotonic() - begin)
        stop(number)
    return percentiles(times)


def rate(count, at_once, one):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(count)))
    return round(count / (time.monotonic() - begin), 1)


def idle(pids, seconds):
    before = sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    cpu = (sum(map(cpu_seconds, pids)) - before) / seconds * 100
    return {"pss_kib": sum(map(memory_kib, pids)), "cpu_percent": round(cpu, 2)}


def docker(top, image, args):
    """dockerd with a containerd of its own."""
    socket = f"unix://{top}/docker.sock"
    command = ("dockerd", "--data-root", f"{top}/docker", "--exec-root", f"{top}/docker-exec", "-H", socket,
               "--pidfile", f"{top}/docker.pid", "--cgroup-parent", "/rsbench-docker")
    call = lambda *words: quiet("docker", "-H", socket, *words)

    def answers():
        return subprocess.run(("docker", "-H", socket, "version"), capture_output=True).returncode == 0

    with running(*command, log=f"{top}/dockerd.log") as daemon:
        wait_for(lambda: answers() or daemon.poll() is not None, "dockerd does not answer", 60, 0.1)
        call("import", image, IMAGE)
        call("save", "-o", f"{top}/image.tar", IMAGE)
        begin = lambda n: call("run", "-d", "--name", f"b{n}", IMAGE, "/bin/sleep", "1000")
        out = {"idle": idle([daemon.pid, *processes("containerd")], args.idle_seconds)}
        out["start"] = start_times(args.starts, begin, lambda n: call("rm", "-f", f"b{n}"))
        once = lambda n: call("run", "--rm", IMAGE, "/bin/true")
        out["churn_per_second"] = rate(args.churn, 8, once)
    return out


def containerd(top, args):
    """containerd alone, by its own client."""
    address = f"{top}/containerd.sock"
    command = ("containerd", "--root", f"{top}/containerd", "--state", f"{top}/containerd-run",
               "--address", address, "--config", "/dev/null")
    call = lambda *words: quiet("ctr", "--address", address, *words)

    def answers():
        return subprocess.run(("ctr", "--address", address, "version"), capture_output=True).returncode == 0

    def run(number):
        call("run", "-d", "--cgroup", f"/rsbench-ctr/b{number}", IMAGE, f"b{number}", "/bin/sleep", "1000")

    def remove(number):
        call("task", "rm", "-f", f"b{number}")
        call("container", "rm", f"b{number}")

    def once(number):
        call("run", "--rm", "--cgroup", f"/rsbench-ctr/c{number}", IMAGE, f"c{number}", "/bin/true")

    with running(*command, log=f"{top}/containerd.log") as daemon:
        wait_for(lambda: answers() or daemon.poll() is not None, "containerd does not answer", 60, 0.1)
        call("images", "import", f"{top}/image.tar")
        out = {"start": start_times(args.starts, run, remove)}
        out["churn_per_second"] = rate(args.churn, 8, once)
        for number in range(20):
            run(number)
        shims = processes("containerd-shim-runc-v2")
        out["shim_pss_kib"] = round(sum(map(memory_kib, shims)) / len(shims))
        for number in range(20):
            remove(number)
    return out


def emulator(top, name, port, command, args):
    """An emulator of the API on one core, and our client on the other."""
    endpoint = f"http://127.0.0.1:{port}"
    python = pathlib.Path(args.peers, "venv/bin/python")
    seed = pathlib.Path(__file__).with_name("seed_emulator.py")

    def seeded():
        done = subprocess.run((python, seed, endpoint), capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    def calls(connections, operation, body):
        command = ("taskset", "-c", "1", args.bin, "bench", "calls", "--endpoint", endpoint, "--connections",
                   str(connections), "--seconds", str(args.seconds), operation, json.dumps(body))
        return json.loads(quiet(*command))

    env = dict(os.environ, GATEWAY_PORT=str(port))
    with running("taskset", "-c", "0", *command, log=f"{top}/{name}.log", env=env):
        task = wait_for(seeded, f"{name} does not answer", 60, 0.5)
        register = {"family": "bench-{n}", "containerDefinitions": [
            {"name": "c", "image": "bench:1", "cpu": 10, "memory": 16, "essential": True}]}
        return {
            "describe": calls(16, "DescribeTasks", {"cluster": "default", "tasks": [task]}),
            "register": calls(64, "RegisterTaskDefinition", register),
        }


def prepare(top, peers):
    """This process's namespaces are its own: containerd's fixed folder, and the loopback link."""
    quiet("ip", "link", "set", "lo", "up")
    made = not os.path.exists("/run/containerd")
    os.makedirs("/run/containerd", exist_ok=True)
    quiet("mount", "-t", "tmpfs", "tmpfs", "/run/containerd")
    debian = pathlib.Path(peers, "debian")
    os.environ["PATH"] = f"{debian}/usr/bin:{debian}/usr/sbin:{os.environ['PATH']}"
    os.environ["LD_LIBRARY_PATH"] = f"{debian}/usr/lib/x86_64-linux-gnu:{debian}/lib/x86_64-linux-gnu"
    return made


def remove_groups():
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in [f for f in folders if f in ("rsbench-docker", "rsbench-ctr")]:
            for inner, _, _ in os.walk(os.path.join(root, name), topdown=False):
                os.rmdir(inner)
            folders.remove(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--top", required=True)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--churn", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--idle-seconds", type=float, default=20)
    args = parser.parse_args()
    image = f"{args.top}/rootfs.tar"
    make_image(image)
    made = prepare(args.top, args.peers)
    bin_dir = pathlib.Path(args.peers, "venv/bin")
    moto = (bin_dir / "moto_server", "-H", "127.0.0.1", "-p", "5601")
    parts = {
        "docker": lambda: docker(args.top, image, args),
        "containerd": lambda: containerd(args.top, args),
        "moto": lambda: emulator(args.top, "moto", 5601, moto, args),
        "ministack": lambda: emulator(args.top, "ministack", 5602, (bin_dir / "ministack",), args),
    }
    out = {}
    for name, part in parts.items():
        print(f"   {name}", file=sys.stderr, flush=True)
        try:
            out[name] = part()
        except (OSError, subprocess.SubprocessError, TimeoutError, ZeroDivisionError) as error:
            why = getattr(error, "stderr", None) or error
            print(f"   {name} is left out: {str(why).strip()[-400:]}", file=sys.stderr)
    remove_groups()
    quiet("umount", "/run/containerd")
    if made:
        os.rmdir("/run/containerd")
    print(json.dumps(out))


main()
