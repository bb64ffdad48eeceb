"""What both sides of the bench use: processes by pid, their memory, and percentiles."""

import contextlib
import os
import signal
import subprocess
import tarfile
import io
import time


def wait_for(condition, what, seconds=60.0, every=0.02):
    """Waits until the condition holds; answers what it answered."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(every)


def end(process, patience=15.0):
    """Ends a process that this program started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(*command, log, **more):
    """A process for as long as the block lasts."""
    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
    try:
        yield process
    finally:
        end(process)


def memory_kib(pid, field="Pss"):
    """Pss, Rss or another field of a process, in KiB."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def cpu_seconds(pid):
    """Processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(name):
    """Pids of this mount namespace's processes of that name."""
    own = os.readlink("/proc/self/ns/mnt")
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read().strip() == name[:15] and os.readlink(f"/proc/{pid}/ns/mnt") == own:
                    found.append(int(pid))
    return found


def percentiles(seconds):
    """In milliseconds, as `roadstead bench` tells them."""
    ordered = sorted(seconds)
    at = lambda percent: round(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1e3, 3)
    return {"count": len(ordered), "p50_ms": at(50), "p99_ms": at(99)}


def make_image(path, applets=("sh", "sleep", "true")):
    """A root file system of busybox alone, as a tar file."""
    with tarfile.open(path, "w") as tar:
        for name in ("bin", "data", "etc", "tmp", "dev", "proc", "sys"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        tar.add("/bin/busybox", "bin/busybox")
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        content = b"root:x:0:0:root:/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
