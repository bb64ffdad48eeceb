"""A power cut: all that was acknowledged is on the disk, of the state and of the logs.

Ends of processes do not show it: what they wrote is the kernel's. Here the data directory is in a file system in a file,
and the power is cut by going on with a copy of that file: what the file system had in memory only is not in it.
"""

import collections
import itertools
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

import botocore.exceptions
import pytest

from disks import SmallDisk
from harness import Roadstead, until

CUTS = 8
CLIENTS = 4
GROUP = "/power/cut"
# Acknowledged calls of each kind before the power goes.
ENOUGH = 20


@pytest.fixture
def plugged(tmp_path):
    """A control plane alone, and its disk: nothing else of it holds the disk when its process has ended."""
    # By itself the file system writes nothing for as long as the test takes.
    disk = SmallDisk(pathlib.Path(tempfile.mkdtemp(dir=tmp_path)), options="loop,commit=300")
    server = Roadstead()
    server.data = disk.at / "data"
    yield start(server), disk
    server.destroy()
    disk.gone()


def start(server):
    server.start("server")
    until(server.said_ready, what="ready")
    return server


class Clients:
    """Write for as long as they are answered, and know what was acknowledged."""

    def __init__(self, server, turn):
        self.server, self.turn, self.acknowledged = server, turn, collections.defaultdict(list)
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()

    def write(self, client):
        stream = f"{self.turn}-{client}"
        try:
            self.server.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
            self.acknowledged["streams"].append(stream)
            for number in itertools.count():
                name = f"f-{stream}-{number}"
                self.server.ecs.register_task_definition(
                    family=name, containerDefinitions=[{"name": "c", "image": "none", "memory": 8}])
                self.acknowledged["families"].append(name)
                event = {"timestamp": int(time.time() * 1000), "message": name}
                self.server.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])
                self.acknowledged["events"].append(name)
        except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
            pass  # The power is gone.

    def enough(self):
        return all(len(self.acknowledged[kind]) >= ENOUGH for kind in ("families", "events"))


def found(server):
    """What the control plane still knows of each kind."""
    pages = lambda client, operation, member, **more: [
        item for page in client.get_paginator(operation).paginate(**more) for item in page[member]]
    return {
        "families": set(pages(server.ecs, "list_task_definition_families", "families")),
        "streams": {one["logStreamName"] for one in pages(server.logs, "describe_log_streams", "logStreams", logGroupName=GROUP)},
        "events": {one["message"] for one in pages(server.logs, "filter_log_events", "events", logGroupName=GROUP)},
    }


def through_a_cut(server, disk, turn, acknowledged):
    """Cuts the power while clients write, starts again, and answers what is missing of what was acknowledged ever."""
    unsynced = disk.at / f"unsynced-{turn}"
    with Clients(server, turn) as clients:
        until(clients.enough, what="calls are acknowledged")
        unsynced.write_bytes(os.urandom(100_000))
        server.process.send_signal(signal.SIGSTOP)
        copy = disk.cut()
        server.kill()
    for kind, names in clients.acknowledged.items():
        acknowledged[kind].update(names)
    disk.becomes(copy)
    # Without this, the rest would show nothing.
    assert not unsynced.exists() or not unsynced.read_bytes().strip(b"\0"), "the cut loses nothing"
    start(server)
    there = found(server)
    return {kind: sorted(names - there[kind]) for kind, names in acknowledged.items() if names - there[kind]}


def test_what_was_acknowledged_outlives_power_cuts(plugged):
    server, disk = plugged
    server.logs.create_log_group(logGroupName=GROUP)
    acknowledged = collections.defaultdict(set)
    for turn in range(CUTS):
        assert through_a_cut(server, disk, turn, acknowledged) == {}, f"lost at cut {turn}"
    assert len(acknowledged["families"]) >= CUTS * ENOUGH
    assert "set aside" not in server.log_tail() and "damaged" not in server.log_tail()


def preload(server, tmp_path, source):
    """Starts the program again, with functions of its C library replaced."""
    server.terminate()
    os.sync()
    path, library = tmp_path / "preload.c", tmp_path / "preload.so"
    path.write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, path], check=True)
    server.env = {**os.environ, "LD_PRELOAD": str(library)}
    start(server)


def test_a_write_that_is_not_synced_is_missed(plugged, tmp_path):
    """The same with a C library whose fsync does nothing: a cut must show it, or the test above cannot fail."""
    server, disk = plugged
    server.logs.create_log_group(logGroupName=GROUP)
    preload(server, tmp_path, "int fsync(int fd) { return 0; }\nint fdatasync(int fd) { return 0; }\n")
    missing = through_a_cut(server, disk, "unsynced", collections.defaultdict(set))
    assert missing.get("families") and missing.get("events"), missing


FAILING = """
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refused(void) { errno = EIO; return access("BROKEN", F_OK) == 0; }
int fsync(int fd) { return refused() ? -1 : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return refused() ? -1 : syscall(SYS_fdatasync, fd); }
"""


def test_what_a_failed_sync_refused_has_not_happened(plugged, tmp_path):
    """Nor after a crash before anything else is written: the kernel still has all that was written in vain."""
    server, _ = plugged
    server.logs.create_log_group(logGroupName=GROUP)
    server.logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    broken = tmp_path / "broken"
    preload(server, tmp_path, FAILING.replace("BROKEN", str(broken)))

    def define(family):
        server.ecs.register_task_definition(family=family, containerDefinitions=[{"name": "c", "image": "none", "memory": 8}])

    def put(message):
        event = {"timestamp": int(time.time() * 1000), "message": message}
        server.logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=[event])

    for turn in range(3):
        define(f"before-{turn}")
        put(f"before-{turn}")
        broken.touch()
        for call in (define, put, lambda name: server.logs.create_log_stream(logGroupName=GROUP, logStreamName=name)):
            with pytest.raises(botocore.exceptions.ClientError) as refusal:
                call(f"refused-{turn}")
            assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, refusal.value
        server.kill()
        broken.unlink()
        start(server)
        there = found(server)
        kept = {f"before-{n}" for n in range(turn + 1)}
        assert (there["families"], there["events"], there["streams"]) == (kept, kept, {"s"})
