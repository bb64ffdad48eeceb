"""Images as an operator sees them come: progress on the command line and in the program's log, and what is refused."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import pty
import shutil
import subprocess
import tarfile
import threading

import pytest

from harness import BIN, CLUSTER, PATIENCE, SLEEP, container, exit_codes


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def registry(rootfs):
    """A registry on loopback with the image x:1: the root filesystem, and a file that cannot be compressed above it. `push`
    pushes another one of that name; gives its digest."""
    found = {}
    server, serve = serving(found)
    host = Host(f"127.0.0.1:{server.server_port}")
    host.push = lambda: pushed(found, rootfs)
    host.push()
    serve.start()
    try:
        yield host
    finally:
        server.shutdown()
        serve.join()
        server.server_close()


class Host(str):
    """Where a registry is."""


def pushed(found, rootfs):
    """Puts an image under the name x:1 among what a registry has; gives its digest."""
    above = io.BytesIO()
    with tarfile.open(fileobj=above, mode="w") as tar:
        entry = tarfile.TarInfo("above")
        entry.size = 3_000_000
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    tars = [rootfs.read_bytes(), above.getvalue()]
    layers = [gzip.compress(tar, 1, mtime=0) for tar in tars]
    config = json.dumps({"os": "linux", "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
                         "config": {"Cmd": ["/bin/sh", "-c", "wc -c < /above"]},
                         "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": sha256(layer), "size": len(layer)}
                   for layer in layers]}).encode()
    found |= {f"/v2/x/blobs/{sha256(blob)}": blob for blob in (config, *layers)}
    found |= {f"/v2/x/manifests/{name}": manifest for name in ("1", sha256(manifest))}
    return sha256(manifest)


def serving(found):
    """A server on loopback that answers with what is found by a path, and the thread that it answers in."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = found.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    return server, threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})


def on_a_terminal(*argv):
    """What a command says on standard output, and what it draws on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BIN, *argv], stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL,
                               env={**os.environ, "TERM": "xterm"}, text=True)
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):
        while more := os.read(ours, 65536):
            drawn += more
    os.close(ours)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (out, drawn)
    return out, drawn.decode()


def test_pulls_and_loads_show_how_far_they_are(tmp_path, image_tar):
    with registry(image_tar) as host:
        for data, command in (("a", ("pull", f"{host}/x:1")), ("b", ("load", str(image_tar), "--name", "x:1", "--cmd", "sh"))):
            verb = {"pull": "pulled", "load": "loaded"}[command[0]]
            layers = 2 if verb == "pulled" else 1
            done = subprocess.run([BIN, "image", "--data-dir", str(tmp_path / data), *command], capture_output=True, text=True,
                                  timeout=PATIENCE)
            assert done.returncode == 0 and done.stdout.startswith(verb) and done.stdout.count("\n") == 1, done
            lines = done.stderr.splitlines()
            begun = "2 layers, " if layers == 2 else "1 layer, "
            assert any(line.startswith(begun) and line.endswith(" to come") for line in lines), lines
            for layer in range(1, layers + 1):
                assert sum(line.startswith(f"layer {layer} of {layers}: ") and line.endswith("unpacked") for line in lines) == 1
            assert "\r" not in done.stderr and "\x1b" not in done.stderr
            out, drawn = on_a_terminal("image", "--data-dir", str(tmp_path / (data * 2)), *command)
            assert out.startswith(verb) and out.count("\n") == 1, out
            # One line, wiped away at the end.
            assert drawn.startswith("\r") and "\n" not in drawn and drawn.endswith("\r\x1b[K") and " of " in drawn, drawn
        # What is here already has no bytes to come.
        done = subprocess.run([BIN, "image", "--data-dir", str(tmp_path / "a"), "pull", f"{host}/x:1"], capture_output=True,
                              text=True, timeout=PATIENCE)
        assert done.stderr == "2 layers, all here\n", done


def test_a_tasks_pull_is_in_the_log(roadstead, image_tar):
    with registry(image_tar) as host:
        image = f"{host}/x:1"
        definition = roadstead.define("pulled", container(image=image, command=[]))
        for _ in range(2):
            assert exit_codes(roadstead.finish(definition)) == {"main": 0}
    told = [line for line in roadstead.log_tail(10_000).splitlines() if f'image="{image}"' in line]
    assert any(" pulling " in line and "bytes=" in line for line in told), told
    assert sum(" pulled " in line for line in told) == 1, "the second time there was nothing to pull"


def another(image_tar, path):
    """The root filesystem with one more file: another image."""
    shutil.copy(image_tar, path)
    with tarfile.open(path, mode="a") as tar:
        tar.addfile(tarfile.TarInfo("another"))
    return path


@pytest.mark.parametrize("way", ["pulled", "loaded"])
def test_the_tasks_of_one_deployment_run_one_image(roadstead, image_tar, tmp_path, way):
    name = f"one-{way}"
    with registry(image_tar) as host:
        image = f"{host}/x:1" if way == "pulled" else "one/x:1"
        if way == "loaded":
            roadstead.load_image(image_tar, image)
        definition = roadstead.define(name, container(image=image, script=SLEEP))
        roadstead.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=1)
        roadstead.wait("services_stable", services=[name])
        first, = digests(roadstead, name)
        assert of_revision(roadstead, name) == {"main": (image, first)}
        if way == "pulled":
            assert host.push() != first
        else:
            roadstead.load_image(another(image_tar, tmp_path / "another.tar"), image)
        roadstead.ecs.update_service(cluster=CLUSTER, service=name, desiredCount=2)
        roadstead.wait("services_stable", services=[name])
        assert digests(roadstead, name) == {first}, "the name leads elsewhere by now"
        roadstead.ecs.update_service(cluster=CLUSTER, service=name, forceNewDeployment=True)
        roadstead.wait("services_stable", services=[name])
        then, = digests(roadstead, name)
        assert then != first and of_revision(roadstead, name) == {"main": (image, then)}
        roadstead.delete_services([name])


def digests(roadstead, service):
    """Of the images that the tasks of a service run."""
    arns = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName=service)["taskArns"]
    tasks = roadstead.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
    return {container["imageDigest"] for task in tasks for container in task["containers"]}


def of_revision(roadstead, service):
    """The image of each container of what a service runs now, with its digest."""
    described, = roadstead.ecs.describe_services(cluster=CLUSTER, services=[service])["services"]
    arns = [revision["arn"] for revision in described["currentServiceRevisions"]]
    revision, = roadstead.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    return {of["containerName"]: (of["image"], of["imageDigest"]) for of in revision["containerImages"]}


def test_an_archive_that_grows_without_end_is_refused(tmp_path):
    # 400 MiB of zeros in some 400 kB.
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz") as tar:
        entry = tarfile.TarInfo("zeros")
        entry.size = 400 << 20
        with open("/dev/zero", "rb") as zeros:
            tar.addfile(entry, zeros)
    assert bomb.stat().st_size < 1 << 20
    data = tmp_path / "data"
    done = subprocess.run([BIN, "image", "load", str(bomb), "--data-dir", str(data), "--name", "x:1", "--cmd", "sh"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and "times its size" in done.stderr, done
    assert done.stderr.splitlines()[-1].startswith("try: ")
    assert [path for folder in ("layers", "tmp", "downloads") for path in (data / "images" / folder).iterdir()] == []
