"""What others do to the host's network, and what a container may not reach meanwhile."""

import socket
import subprocess
import threading

import pytest

from harness import WEB, awslogs, container, get, host_port, until


def sh(*argv):
    subprocess.run(argv, check=True, capture_output=True)


@pytest.mark.parametrize("deed", ["rules", "bridge", "down", "address"])
def test_what_is_taken_from_the_host_comes_back(roadstead, deed):
    """The deeds of a firewall that is reloaded and of a network manager, done to our own objects alone."""
    bridge, table = f"rs{roadstead.id8()}", f"roadstead_{roadstead.id8()}"
    definition = roadstead.define("web", container(script=WEB, portMappings=[{"containerPort": 80}]))
    arn = roadstead.run(definition)[0]
    port = host_port(roadstead.running(arn))
    until(lambda: get(port) == "here\n", what="the container answers")
    sh(*{
        "rules": ["nft", "delete", "table", "inet", table],
        "bridge": ["ip", "link", "del", bridge],
        "down": ["ip", "link", "set", bridge, "down"],
        "address": ["ip", "addr", "flush", "dev", bridge],
    }[deed])
    until(lambda: get(port) == "here\n", what=f"the container answers after: {deed}")
    # And so does a new one.
    second = roadstead.run(definition)[0]
    other = host_port(roadstead.running(second))
    until(lambda: get(other) == "here\n", what="a new container answers")
    for each in (arn, second):
        roadstead.stop(each)
        roadstead.stopped(each)


def test_without_rules_a_container_still_does_not_reach_the_hosts_loopback(roadstead):
    """A task that may do as it likes with its own network asks a service of 127.0.0.1 without end."""
    bridge, table = f"rs{roadstead.id8()}", f"roadstead_{roadstead.id8()}"
    with socket.socket() as secret:
        secret.bind(("127.0.0.1", 0))
        secret.listen()
        secret.settimeout(0)
        number = secret.getsockname()[1]
        shown = subprocess.run(["ip", "-o", "-4", "addr", "show", bridge], check=True, capture_output=True, text=True)
        gateway = shown.stdout.split("inet ")[1].split("/")[0]
        script = ("set -e; ip addr flush dev lo; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; "
                  f"ip route add 127.0.0.1/32 via {gateway}; set +e; echo ready; "
                  f"while :; do nc -w 1 127.0.0.1 {number} < /dev/null; done")
        arn = roadstead.run(roadstead.define("knock", container(
            script=script, privileged=True, stopTimeout=2, logConfiguration=awslogs())))[0]
        roadstead.running(arn)
        assert roadstead.output(arn)[0] == "ready"
        over = threading.Event()

        def flush():
            while not over.is_set():
                subprocess.run(["nft", "delete", "table", "inet", table], check=False, capture_output=True)

        reload = threading.Thread(target=flush)
        reload.start()
        try:
            # As long as it takes to reload a firewall again and again.
            for _ in range(200):
                with pytest.raises(BlockingIOError):
                    secret.accept()
                over.wait(0.02)
        finally:
            over.set()
            reload.join()
        roadstead.stop(arn)
        roadstead.stopped(arn)
