"""Who gets in: by which names, from which web pages, as which user of the host, and from which containers.

Requests are made by hand where no client would send them. Nothing here uses what it tries to get.
"""

import contextlib
import http.server
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from harness import BIN, REGION, awslogs, container, until

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


def test_as_many_files_may_be_open_as_the_host_allows(fresh):
    """Whatever limit the program is started with; a container has its own."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        roadstead = fresh()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert resource.prlimit(roadstead.process.pid, resource.RLIMIT_NOFILE) == (before[1],) * 2
    told = container(script="echo $(ulimit -Sn) $(ulimit -Hn)", logConfiguration=awslogs())
    arn = roadstead.run(roadstead.define("told", told))[0]
    roadstead.stopped(arn)
    # Its own, as far as this host lets limits be raised.
    assert roadstead.output(arn)[0] in ("32768 65536", f"{min(32768, before[1])} {min(65536, before[1])}")


def test_nobody_is_shut_out_by_what_others_hold(roadstead, keys):
    """More connections than there are places, all silent; and bodies of nobody's, which nobody waits for."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    places = min(16384, resource.prlimit(roadstead.process.pid, resource.RLIMIT_NOFILE)[0] // 2)
    held = []
    try:
        for _ in range(places + 100):
            held.append(socket.create_connection(("127.0.0.1", roadstead.port)))
        assert send(roadstead, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[0] == 200
        assert send(roadstead, signed(roadstead, key=keys))[0] == 200
    finally:
        for sock in held:
            sock.close()
    for key in (("NOBODY", "x"), ("test", "test")):
        request = signed(roadstead, body={}, key=key).replace(b"Content-Length: 2", b"Content-Length: 1000000")
        call = (lambda request=request: send(roadstead, request[:-2]))
        assert as_user(NOBODY, call)[0] == 400, key
    huge = signed(roadstead, key=keys).replace(b"Content-Length: 2", b"Content-Length: 100000000")
    assert send(roadstead, huge[:-2])[0] == 413


PAGE = """<!doctype html><script>
const enc = new TextEncoder(), hex = b => [...new Uint8Array(b)].map(x => x.toString(16).padStart(2, "0")).join("");
const sha = async t => hex(await digest("SHA-256", enc.encode(t)));
const digest = (a, d) => crypto.subtle.digest(a, d);
const mac = async (k, t) => new Uint8Array(await crypto.subtle.sign("HMAC", await crypto.subtle.importKey(
  "raw", k, {name: "HMAC", hash: "SHA-256"}, false, ["sign"]), enc.encode(t)));
async function call(host) {
  const target = "AmazonEC2ContainerServiceV20141113.CreateCluster", body = JSON.stringify({clusterName: CLUSTER});
  const at = new Date().toISOString().replace(/[-:]|\\.\\d+/g, ""), day = at.slice(0, 8), names = "host;x-amz-date;x-amz-target";
  const canonical = ["POST", "/", "", `host:${host}`, `x-amz-date:${at}`, `x-amz-target:${target}`, "", names, await sha(body)];
  const scope = `${day}/us-east-1/ecs/aws4_request`;
  let key = enc.encode("AWS4test");
  for (const part of [day, "us-east-1", "ecs", "aws4_request"]) key = await mac(key, part);
  const signature = hex(await mac(key, ["AWS4-HMAC-SHA256", at, scope, await sha(canonical.join("\\n"))].join("\\n")));
  const authorization = `AWS4-HMAC-SHA256 Credential=test/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const answer = await fetch(`http://${host}/`, {method: "POST", body, headers: {
    "Content-Type": "application/x-amz-json-1.1", "X-Amz-Date": at, "X-Amz-Target": target, "Authorization": authorization}});
  return `${answer.status}`;
}
const socket = host => new Promise(done => {
  const ws = new WebSocket(`ws://${host}/acs/ws?SOCKET`);
  ws.onopen = () => done("open"); ws.onerror = () => done("refused");
});
(async () => {
  const told = [];
  for (const host of HOSTS) for (const what of [call, socket])
    told.push(`${host} ${what.name} ` + await what(host).catch(error => `failed ${error.name}`));
  await fetch("/told", {method: "POST", body: JSON.stringify(told)});
})();
</script>"""


def visited(roadstead, cluster):
    """What a page of page.localhost can do whose name comes to point to this host once it is loaded (DNS rebinding)."""
    port, told, asked = roadstead.port, [], threading.Event()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "Upgrade" in self.headers:
                return self.forward(b"")
            hosts = [f"{name}:{port}" for name in ("page.localhost", "127.0.0.1", "localhost")]
            self.answer(200, PAGE.replace("HOSTS", json.dumps(hosts)).replace("CLUSTER", json.dumps(cluster)))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/told":
                return self.forward(body)
            told.extend(json.loads(body))
            self.answer(200, "")
            asked.set()

        def forward(self, body):
            """From here on the name is the control plane's."""
            lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()
                                         if name != "Connection"), "Connection: close", "", ""]
            self.answer(*send(roadstead, "\r\n".join(lines).encode() + body))

        def answer(self, status, text):
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.2", port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp(prefix="roadstead-chromium-")
    # The browser trusts names below localhost, without which a page has no WebCrypto. They are not ours all the same.
    browser = subprocess.Popen(
        [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}",
         "--host-resolver-rules=MAP page.localhost 127.0.0.2", f"http://page.localhost:{port}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until(asked.is_set, what="the page's word")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        server.shutdown()
        server.server_close()
        shutil.rmtree(profile, ignore_errors=True)
    return dict(line.rsplit(" ", 1) for line in told)


def test_a_web_page_in_a_browser_reaches_nothing(roadstead, fresh):
    if not shutil.which("chromium"):
        pytest.skip("NO CHROMIUM: what web pages may is tested by hand-made requests only; tools/setup.sh VENV test installs it")
    told = visited(roadstead, "by-a-page")
    assert len(told) == 6 and not {"200", "open"} & set(told.values()), told
    assert told[f"page.localhost:{roadstead.port} call"] == "403", told
    assert not [arn for arn in roadstead.ecs.list_clusters()["clusterArns"] if "by-a-page" in arn]
    # The same page does get in where its name is ours: it is the name that counts.
    named = fresh('[server]\nnames = ["page.localhost"]')
    told = visited(named, "by-a-page")
    assert told.pop(f"page.localhost:{named.port} call") == "200", told
    assert not {"200", "open"} & set(told.values()), told
    named.destroy()
