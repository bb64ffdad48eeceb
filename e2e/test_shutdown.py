"""What a client sees of a control plane that is told to stop: every request that came is answered."""

import http.client
import threading

import test_security
from harness import until

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
