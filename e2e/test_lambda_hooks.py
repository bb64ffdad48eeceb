"""Hooks of deployments that call functions, and Lambda's Invoke: the function is a small HTTP server."""

import http.server
import json
import threading

import botocore.exceptions
import pytest

from harness import CLUSTER, SLEEP, container, until

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ROLE = "arn:aws:iam::000000000000:role/hooks"


class Function:
    """Answers what the test says, and remembers what it was told."""

    def __init__(self):
        self.told = []
        self.answer = {"hookStatus": "SUCCEEDED"}
        function = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                function.told.append(json.loads(body))
                answer = json.dumps(function.answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/2015-03-31/functions/function/invocations"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def function():
    one = Function()
    yield one
    one.close()


@pytest.fixture(scope="module")
def roadstead(fresh, function):
    return fresh(f'[[lambda.functions]]\nname = "approve"\nurl = "{function.url}"\ntimeout_seconds = 10\n')


def newest(roadstead, name):
    brief = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"][0]
    arn = brief["serviceDeploymentArn"]
    return roadstead.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]


def reach(roadstead, name, status):
    until(lambda: newest(roadstead, name)["status"] == status, what=f"{status} of the deployment of {name}")
    return newest(roadstead, name)


def deploy(roadstead, name, *stages, function="approve", **members):
    """Begins a deployment of a steady service, with a hook."""
    reach(roadstead, name, "SUCCESSFUL")
    hook = {"hookTargetArn": ARN + function, "roleArn": ROLE, "lifecycleStages": list(stages), **members}
    roadstead.ecs.update_service(
        cluster=CLUSTER, service=name, taskDefinition=roadstead.define(name, container(script=SLEEP)),
        deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [hook]})


def test_a_deployment_goes_on_once_its_function_says_so_over_the_death_of_the_control_plane(roadstead, service, function):
    service("hooked", roadstead.define("hooked", container(script=SLEEP)))
    function.told.clear()
    function.answer = {"hookStatus": "IN_PROGRESS", "callBackDelay": 1, "hookDetails": {"seen": True}}
    deploy(roadstead, "hooked", "POST_SCALE_UP", hookDetails={"bucket": "b"})
    until(lambda: len(function.told) >= 2, what="a second call")
    deployment = newest(roadstead, "hooked")
    hook, = deployment["lifecycleHookDetails"]
    assert (hook["targetType"], hook["targetArn"], hook["status"]) == ("AWS_LAMBDA", ARN + "approve", "IN_PROGRESS")
    first, second = function.told[:2]
    assert first["hookDetails"] == {"bucket": "b"} and second["hookDetails"] == {"seen": True}
    assert first["executionId"] == second["executionId"] == hook["hookId"]
    assert first["lifecycleStage"] == "POST_SCALE_UP"
    assert first["resourceArn"] == deployment["serviceDeploymentArn"]
    assert first["executionDetails"]["targetServiceRevisionArn"] == deployment["targetServiceRevision"]["arn"]
    roadstead.kill()
    before = len(function.told)
    roadstead.up()
    until(lambda: len(function.told) > before, what="a call after the restart")
    assert function.told[-1]["executionId"] == first["executionId"]
    function.answer = {"hookStatus": "SUCCEEDED"}
    done = reach(roadstead, "hooked", "SUCCESSFUL")
    assert done["lifecycleHookDetails"][0]["status"] == "SUCCEEDED"


def test_a_function_that_says_failed_and_one_that_is_not_there_roll_back(roadstead, service, function):
    function.answer = {"hookStatus": "FAILED"}
    service("failing", roadstead.define("failing", container(script=SLEEP)))
    deploy(roadstead, "failing", "PRE_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT")
    done = reach(roadstead, "failing", "ROLLBACK_SUCCESSFUL")
    assert done["lifecycleHookDetails"][0]["status"] == "FAILED"
    assert "hook execution failure" in done["statusReason"]
    service("nobody", roadstead.define("nobody", container(script=SLEEP)))
    deploy(roadstead, "nobody", "POST_SCALE_UP", function="none")
    reach(roadstead, "nobody", "ROLLBACK_SUCCESSFUL")


def test_invoke_passes_on_what_the_function_says(roadstead, function):
    client = roadstead.client("lambda")
    function.answer = {"n": 1}
    reply = client.invoke(FunctionName="approve", Payload=b'{"a": 2}')
    assert (reply["StatusCode"], json.load(reply["Payload"])) == (200, {"n": 1})
    assert "FunctionError" not in reply and function.told[-1] == {"a": 2}
    function.answer = {"errorMessage": "no", "errorType": "Error"}
    reply = client.invoke(FunctionName=ARN + "approve")
    assert reply["FunctionError"] == "Unhandled" and json.load(reply["Payload"]) == function.answer
    assert client.invoke(FunctionName="approve", InvocationType="DryRun")["StatusCode"] == 204
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found: " + ARN + "none"):
        client.invoke(FunctionName="none")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="approve", Payload=b"{")
    with pytest.raises(botocore.exceptions.ClientError, match="not built in Roadstead"):
        client.list_functions()
