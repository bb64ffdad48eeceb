"""What a client sees of a control plane that is told to stop: every request that came is answered."""

import base64
import http.client
import os
import socket
import struct
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import test_security
from harness import REGION, until

CLIENTS = 16
ROUNDS = 8


class Client(threading.Thread):
    """Makes clusters, one call after another: on one connection for as long as it may, or on a new one each time."""

    def __init__(self, roadstead, number, keeps, enough):
        super().__init__()
        self.roadstead, self.number, self.keeps, self.enough = roadstead, number, keeps, enough
        self.answered, self.cut, self.connection = [], [], None

    def run(self):
        while not self.enough.is_set() or self.connection:
            name = f"c{self.number}-{len(self.answered)}"
            if not self.connection and not self.connect():
                return
            # Signed anew for each: a repeated one would be as good.
            head, _, body = test_security.signed(self.roadstead, "CreateCluster", {"clusterName": name}).partition(b"\r\n\r\n")
            if self.keeps:
                head = head.replace(b"Connection: close\r\n", b"").replace(b"\r\nConnection: close", b"")
            try:
                self.connection.sock.sendall(head + b"\r\n\r\n" + body)
                answer = http.client.HTTPResponse(self.connection.sock, method="POST")
                answer.begin()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.cut.append((name, repr(error)))
                return
            assert answer.status == 200, text
            self.answered.append(name)
            if answer.will_close or self.enough.is_set():
                self.connection.close()
                self.connection = None

    def connect(self):
        """Nobody may be there any more."""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.roadstead.port, timeout=30)
        try:
            self.connection.connect()
        except OSError:
            self.connection = None
        return self.connection is not None


def test_no_request_is_cut_when_it_stops(fresh):
    roadstead = fresh(start=False)
    answered = 0
    for turn in range(ROUNDS):
        roadstead.up()
        enough = threading.Event()
        clients = [Client(roadstead, turn * CLIENTS + at, at % 2 == 0, enough) for at in range(CLIENTS)]
        for client in clients:
            client.start()
        until(lambda: sum(len(client.answered) for client in clients) > 40 * CLIENTS)
        assert roadstead.terminate() == 0
        enough.set()
        for client in clients:
            client.join()
        assert not [cut for client in clients for cut in client.cut]
        answered += sum(len(client.answered) for client in clients)
    assert answered > 40 * CLIENTS * ROUNDS
    roadstead.up()
    names = {f"c{turn * CLIENTS + at}-0" for turn in range(ROUNDS) for at in range(CLIENTS)}
    found = {arn.rsplit("/", 1)[-1] for page in roadstead.ecs.get_paginator("list_clusters").paginate()
             for arn in page["clusterArns"]}
    assert names <= found


def test_web_sockets_are_closed_with_a_code(fresh):
    """Agents take an end without a code for a failure, and wait before they come again."""
    roadstead = fresh()
    instance = roadstead.ecs.register_container_instance(
        cluster=roadstead.cluster, totalResources=[
            {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 1024},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": []},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []}])["containerInstance"]
    query = urllib.parse.urlencode({
        "clusterArn": roadstead.cluster, "containerInstanceArn": instance["containerInstanceArn"], "agentHash": "x",
        "agentVersion": "1.0.0", "seqNum": 1, "protocolVersion": 2, "sendCredentials": "false"})
    request = botocore.awsrequest.AWSRequest("GET", f"{roadstead.endpoint}/acs/ws?{query}", headers={
        "Host": f"127.0.0.1:{roadstead.port}"})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecs", REGION).add_auth(request)
    head = [f"GET /acs/ws?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items()),
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "", ""]
    with socket.create_connection(("127.0.0.1", roadstead.port), 30) as sock:
        sock.sendall("\r\n".join(head).encode())
        stream = sock.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline() != b"\r\n":
            pass
        roadstead.process.terminate()
        while True:
            first, length = stream.read(2)
            if length == 126:
                length = struct.unpack(">H", stream.read(2))[0]
            payload = stream.read(length)
            if first & 15 == 8:
                break
        assert struct.unpack(">H", payload[:2])[0] == 1001, payload
    assert roadstead.process.wait(60) == 0
