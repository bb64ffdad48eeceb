"""Who gets in: by which names, from which web pages, as which user of the host, and from which containers.

Requests are made by hand where no client would send them. Nothing here uses what it tries to get.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from harness import BIN, REGION, awslogs, container

TARGET = "AmazonEC2ContainerServiceV20141113."
NOBODY = 65534


@pytest.fixture(scope="module")
def keys(roadstead):
    """The administrator's own key pair."""
    text = (roadstead.data / "credentials.toml").read_text()
    root = text.split("[root]")[1].split("[")[0]
    told = dict(line.replace('"', "").split(" = ") for line in root.strip().splitlines())
    return told["access_key"], told["secret"]


def signed(roadstead, operation="ListClusters", body=None, key=("test", "test"), host=None, unsigned=(), **headers):
    """The bytes of a signed request; `unsigned` headers are added after."""
    data = json.dumps(body or {})
    request = botocore.awsrequest.AWSRequest("POST", roadstead.endpoint + "/", data=data, headers={
        "Host": host or f"127.0.0.1:{roadstead.port}", "Content-Type": "application/x-amz-json-1.1",
        **({"X-Amz-Target": TARGET + operation} if operation else {}), **headers})
    credentials = botocore.credentials.Credentials(*key)
    botocore.auth.SigV4Auth(credentials, "ecs", REGION).add_auth(request)
    lines = [f"{name}: {value}" for name, value in [*request.headers.items(), *unsigned]]
    return "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(data)}", "Connection: close", "", data]).encode()


def send(roadstead, data, address="127.0.0.1"):
    """The status and the text of the answer."""
    with socket.create_connection((address, roadstead.port), 30) as sock:
        sock.sendall(data)
        return read(sock)


def read(sock):
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body.decode()) if head else (0, "")


def as_user(uid, call):
    """What a call answers in a child process that is this user, as JSON."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(there, json.dumps(call()).encode())
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(said)


def test_only_its_own_names_and_pages_are_answered(roadstead):
    assert send(roadstead, signed(roadstead))[0] == 200
    assert send(roadstead, signed(roadstead, host="localhost:1"))[0] == 200
    for more in ({"host": f"evil.example:{roadstead.port}"}, {"Origin": "http://evil.example"},
                 {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://localhost:3000"}):
        status, said = send(roadstead, signed(roadstead, "CreateCluster", {"clusterName": "taken"}, **more))
        assert (status, "AccessDeniedException" in said) == (403, True), (more, said)
    health = "GET /health HTTP/1.1\r\nConnection: close\r\n"
    assert send(roadstead, f"{health}Host: evil.example\r\n\r\n".encode())[0] == 403
    assert send(roadstead, f"{health}\r\n".encode())[0] == 400
    assert send(roadstead, f"{health}Host: localhost\r\nHost: localhost\r\n\r\n".encode())[0] == 400
    assert send(roadstead, f"{health}Host: localhost\r\n\r\n".encode())[0] == 200
    assert not [arn for arn in roadstead.ecs.list_clusters()["clusterArns"] if "taken" in arn]


def test_a_proxy_or_a_name_of_the_machine_is_configured(fresh):
    named = fresh('[server]\nnames = ["ecs.corp", "*.localhost.localstack.cloud"]')
    for host, status in (("ecs.corp", 200), ("x.localhost.localstack.cloud:4566", 200), ("x.ecs.corp", 403)):
        assert send(named, signed(named, host=host))[0] == status, host
    named.destroy()


def test_an_operation_must_be_signed(roadstead):
    roadstead.ecs.create_cluster(clusterName="kept")
    target = [("X-Amz-Target", TARGET + "DeleteCluster")]
    status, said = send(roadstead, signed(roadstead, None, {"cluster": "kept"}, unsigned=target))
    assert status == 400 and "'x-amz-target' must be a 'SignedHeader'" in said, said
    status, said = send(roadstead, signed(roadstead, "ListClusters", {"cluster": "kept"}, unsigned=target))
    assert status == 400, said
    assert roadstead.ecs.describe_clusters(clusters=["kept"])["clusters"][0]["status"] == "ACTIVE"


def test_the_known_pair_is_not_every_users(roadstead, keys):
    known, own = signed(roadstead), signed(roadstead, key=keys)
    status, said = as_user(NOBODY, lambda: send(roadstead, known))
    assert status == 400 and f"user {NOBODY}" in said and "UnrecognizedClientException" in said, said
    assert as_user(NOBODY, lambda: send(roadstead, own))[0] == 200
    assert as_user(1, lambda: send(roadstead, known))[0] == 400

    # Whoever sends and is gone is not taken for root.
    def leave():
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", roadstead.port)) as sock:
                sock.sendall(signed(roadstead, "CreateCluster", {"clusterName": "hasty"}))
        return True

    assert as_user(NOBODY, leave)
    assert send(roadstead, known)[0] == 200
    assert not [arn for arn in roadstead.ecs.list_clusters()["clusterArns"] if "hasty" in arn]


def test_env_tells_who_may_not_use_the_known_pair(roadstead, keys, tmp_path):
    assert "AWS_ACCESS_KEY_ID=test" in roadstead.cli("env").stdout
    # A program and settings that others can read.
    program = pathlib.Path("/tmp") / f"roadstead-env-{os.getpid()}"
    try:
        program.write_bytes(pathlib.Path(BIN).read_bytes())
        program.chmod(0o755)
        done = subprocess.run([program, "env", *roadstead.settings()], user=NOBODY, group=NOBODY, extra_groups=[],
                              capture_output=True, text=True, cwd="/")
    finally:
        program.unlink()
    assert done.returncode == 1 and not done.stdout, done
    assert f"user {NOBODY}" in done.stderr and "known_pair_users" in done.stderr, done.stderr


def test_listed_users_may_use_the_known_pair(fresh):
    listed = fresh('[server]\nknown_pair_users = ["daemon"]\naccept_any_credentials = true')
    for key in (("test", "test"), ("123456789012", "anything")):
        request = signed(listed, key=key)
        assert as_user(1, lambda request=request: send(listed, request))[0] == 200
        assert as_user(NOBODY, lambda request=request: send(listed, request))[0] == 400
    listed.destroy()


def test_no_task_is_root_by_the_known_pair(roadstead, keys, tmp_path):
    """In `host` mode a container has the host's addresses, and its root has the host's number."""
    for name, key in (("known", ("test", "test")), ("own", keys)):
        (tmp_path / name).write_bytes(signed(roadstead, key=key))
    definition = roadstead.define(
        "knocks", container(
            # The pause keeps the client's end open until the answer is there.
            script="for k in known own; do (cat /in/$k; sleep 2) | nc 127.0.0.1 " + str(roadstead.port) + " > /tmp/$k; "
                   "echo $k $(grep -c clusterArns /tmp/$k) $(grep -c 'in a container (roadstead-' /tmp/$k); done",
            logConfiguration=awslogs(), mountPoints=[{"sourceVolume": "in", "containerPath": "/in"}]),
        networkMode="host", volumes=[{"name": "in", "host": {"sourcePath": str(tmp_path)}}])
    task = roadstead.finish(definition)
    assert roadstead.output(task["taskArn"], lines=2) == ["known 0 1", "own 1 0"]


def test_no_other_container_of_the_host_is_root_by_the_known_pair(roadstead, tmp_path):
    """As Docker's are in its network mode `host`: pids of their own, and the host's network and users."""
    (tmp_path / "known").write_bytes(signed(roadstead))
    script = (f"import socket; s = socket.create_connection(('127.0.0.1', {roadstead.port})); "
              f"s.sendall(open('{tmp_path}/known', 'rb').read()); print(s.makefile().read())")
    client = [sys.executable, "-c", script]
    done = subprocess.run(["unshare", "--pid", "--fork", *client], capture_output=True, text=True)
    assert "in a container" in done.stdout and " 400 " in done.stdout.splitlines()[0], done
    done = subprocess.run(client, capture_output=True, text=True)
    assert " 200 " in done.stdout.splitlines()[0], done
