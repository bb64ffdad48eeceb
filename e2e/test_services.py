"""Services: deployments, replacement, back-off, and why there are fewer tasks than wanted."""

import os
import signal
import threading

import pytest

from harness import CLUSTER, PATIENCE, SLEEP, WEB, at_once, awslogs, container, exit_codes, get, host_port, task_id, until

# Few enough to ask all of them at once, so that no task is missed for want of knowing its port.
PORTS = range(42000, 42024)


@pytest.fixture(scope="module")
def roadstead(fresh):
    return fresh(f"[network]\ndynamic_ports = [{PORTS[0]}, {PORTS[-1]}]\n")


@pytest.fixture
def service(roadstead):
    """Makes a service; it is deleted when the test is done."""
    made = []

    def make(name, definition, desired=1, **members):
        made.append(name)
        if members.get("schedulingStrategy") != "DAEMON":
            members["desiredCount"] = desired
        answer = roadstead.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=definition, **members)
        return answer["service"]

    yield make
    roadstead.delete_services(made)


@pytest.fixture(scope="module", autouse=True)
def restarting(roadstead):
    """A task that takes its minute, while the other tests of this file run, which take as long: 60 s is the shortest period
    there is, and supervisors measure it by the host's clock."""
    script = "echo >> /v/count; echo run $(wc -l < /v/count); [ $(wc -l < /v/count) -ge 2 ] && exit 4; sleep 61; exit 1"
    definition = roadstead.define("restarts", container(
        script=script, restartPolicy={"enabled": True, "ignoredExitCodes": [4], "restartAttemptPeriod": 60},
        mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}], logConfiguration=awslogs()), volumes=[{"name": "v"}])
    return roadstead.run(definition)[0]


def tell(roadstead, name):
    return roadstead.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]


def tasks_of(roadstead, name, desired="RUNNING"):
    arns = roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName=name, desiredStatus=desired)["taskArns"]
    return roadstead.tasks(arns) if arns else []


def events(roadstead, name):
    return [event["message"] for event in tell(roadstead, name)["events"]]


def test_protected_tasks_outlast_scale_in_and_deployments(roadstead, service):
    """The newest would be chosen, the protected one stays; and it goes once it may."""
    old, new = (roadstead.define(f"kept-{name}", container(script=SLEEP)) for name in ("old", "new"))
    service("kept", old, 3)
    roadstead.wait("services_stable", services=["kept"])
    kept = max(tasks_of(roadstead, "kept"), key=lambda task: task["createdAt"])["taskArn"]

    def protect(**members):
        return roadstead.ecs.update_task_protection(cluster=CLUSTER, tasks=[kept], **members)

    told = protect(protectionEnabled=True, expiresInMinutes=30)
    assert not told["failures"] and told["protectedTasks"][0]["protectionEnabled"]
    assert roadstead.ecs.get_task_protection(cluster=CLUSTER, tasks=[kept])["protectedTasks"] == told["protectedTasks"]
    roadstead.ecs.update_service(cluster=CLUSTER, service="kept", desiredCount=1)
    until(lambda: [task["taskArn"] for task in tasks_of(roadstead, "kept")] == [kept], what="scale-in to the protected task")
    roadstead.ecs.update_service(cluster=CLUSTER, service="kept", taskDefinition=new)
    until(lambda: tell(roadstead, "kept")["runningCount"] == 2, what="a new task beside the protected one")
    assert [d["runningCount"] for d in tell(roadstead, "kept")["deployments"]] == [1, 1]
    protect(protectionEnabled=True)
    blocked = roadstead.ecs.update_service(cluster=CLUSTER, service="kept", desiredCount=0)["service"]
    assert blocked["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert [failure["reason"] for failure in protect(protectionEnabled=True)["failures"]] == ["DEPLOYMENT_BLOCKED"]
    assert roadstead.task(kept)["desiredStatus"] == "RUNNING"
    protect(protectionEnabled=False)
    roadstead.stopped(kept)
    roadstead.wait("services_stable", services=["kept"])
    alone = roadstead.run(new)[0]
    failures = roadstead.ecs.get_task_protection(cluster=CLUSTER, tasks=[alone])["failures"]
    assert [failure["reason"] for failure in failures] == ["TASK_NOT_VALID"]
    roadstead.stop(alone)


def web(roadstead, family, says="here", **members):
    """A web server whose health is checked."""
    script = f"mkdir -p /tmp/w; echo {says} > /tmp/w/index.html; trap 'exit 0' TERM; httpd -f -p 80 -h /tmp/w & wait"
    return roadstead.define(family, container(script=script, portMappings=[{"containerPort": 80}], **members))


def test_every_task_answers_and_a_killed_one_is_replaced(roadstead, service):
    service("front", roadstead.define("front", container(script=WEB, portMappings=[{"containerPort": 80}])), 3)
    roadstead.wait("services_stable", services=["front"])
    tasks = tasks_of(roadstead, "front")
    assert len(tasks) == 3 and {task["group"] for task in tasks} == {"service:front"}
    for task in tasks:
        port = host_port(task)
        assert until(lambda: get(port)) == "here\n"
    victim = tasks[0]["taskArn"]
    os.kill(roadstead.first(victim, "main"), signal.SIGKILL)
    ended = roadstead.stopped(victim)
    assert exit_codes(ended) == {"main": 137} and ended["stopCode"] == "EssentialContainerExited"
    until(lambda: any("has started 1 tasks" in message for message in events(roadstead, "front")), what="a replacement")
    roadstead.wait("services_stable", services=["front"])
    assert victim not in {task["taskArn"] for task in tasks_of(roadstead, "front")}
    said = events(roadstead, "front")
    assert any(m.startswith("(service front) has started 3 tasks: (task ") and task_id(victim) in m for m in said), said
    assert "(service front) has reached a steady state." in said


def test_scale_update_and_delete(roadstead, service):
    definition = roadstead.define("scaled", container(script=SLEEP))
    made = service("scaled", definition, 1)
    assert made["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    with pytest.raises(roadstead.ecs.exceptions.InvalidParameterException):
        roadstead.ecs.delete_service(cluster=CLUSTER, service="scaled")
    for desired in (5, 2):
        roadstead.ecs.update_service(cluster=CLUSTER, service="scaled", desiredCount=desired)
        roadstead.wait("services_stable", services=["scaled"])
        until(lambda: tell(roadstead, "scaled")["runningCount"] == desired)
    before = {task["taskArn"] for task in tasks_of(roadstead, "scaled")}
    roadstead.ecs.update_service(cluster=CLUSTER, service="scaled", forceNewDeployment=True)
    roadstead.wait("services_stable", services=["scaled"])
    after = {task["taskArn"] for task in tasks_of(roadstead, "scaled")}
    assert len(after) == 2 and not before & after
    told = tell(roadstead, "scaled")
    assert [d["status"] for d in told["deployments"]] == ["PRIMARY"]
    assert told["deployments"][0]["rolloutState"] == "COMPLETED"
    for task in roadstead.tasks(sorted(before)):
        assert task["stopCode"] == "ServiceSchedulerInitiated"
        assert task["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    roadstead.ecs.update_service(cluster=CLUSTER, service="scaled", desiredCount=0)
    until(lambda: tell(roadstead, "scaled")["runningCount"] == 0)


def test_rolling_update_under_load_keeps_the_minimum(roadstead, service):
    """Four tasks, never fewer than four healthy, never more than six: every answer counted all along."""
    check = {"command": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/"], "interval": 5, "timeout": 2, "retries": 3}
    old = web(roadstead, "rolling", "old", healthCheck=check)
    new = web(roadstead, "rolling", "new", healthCheck=check)
    service("rolling", old, 4, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 150})
    roadstead.wait("services_stable", services=["rolling"])
    until(lambda: len(answers()) == 4, what="four answers")
    seen, most, done = [], [], threading.Event()

    def load():
        while not done.is_set():
            seen.append(answers())
            most.append(len(tasks_of(roadstead, "rolling")))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        roadstead.ecs.update_service(cluster=CLUSTER, service="rolling", taskDefinition=new)
        until(lambda: tell(roadstead, "rolling")["deployments"][0]["rolloutState"] == "COMPLETED", what="COMPLETED")
    finally:
        done.set()
        thread.join()
    assert len(seen) > 20 and min(map(len, seen)) >= 4, [len(answer) for answer in seen]
    assert max(most) <= 6
    assert {"old\n", "new\n"} <= {answer for some in seen for answer in some}
    until(lambda: answers() == ["new\n"] * 4, what="only the new ones")


def answers():
    """What every port that may be in use says."""
    return [answer for answer in at_once(get, PORTS, workers=8) if answer is not None]


def test_a_crash_loop_backs_off_and_says_so(roadstead, service):
    service("crashing", roadstead.define("crashing", container(script="exit 17")))
    unable = "(service crashing) is unable to consistently start tasks successfully."
    until(lambda: any(message.startswith(unable) for message in events(roadstead, "crashing")), what=unable)
    ended = until(lambda: len(found := tasks_of(roadstead, "crashing", "STOPPED")) >= 6 and found, what="six tasks")
    assert {exit_codes(task)["main"] for task in ended if task["lastStatus"] == "STOPPED"} == {17}
    starts = sorted(task["createdAt"] for task in ended)
    gaps = [(b - a).total_seconds() for a, b in zip(starts, starts[1:])]
    assert gaps[4] >= 3 and gaps[4] > gaps[3] * 1.4 > gaps[2] * 1.9, gaps
    assert tell(roadstead, "crashing")["deployments"][0]["failedTasks"] >= 3


def test_a_missing_image_is_named(roadstead, service):
    missing = container(image="127.0.0.1:9/no/such:1", script="true")
    service("imageless", roadstead.define("imageless", missing))
    ended = until(lambda: tasks_of(roadstead, "imageless", "STOPPED"), what="a stopped task")
    task = roadstead.stopped(ended[0]["taskArn"])
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ") and "no/such" in task["stoppedReason"]


def test_a_full_host_leaves_tasks_with_a_reason_until_there_is_room(roadstead, service):
    arn = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"][0]
    told = roadstead.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=[arn])
    left = {r["name"]: r.get("integerValue") for r in told["containerInstances"][0]["remainingResources"]}
    definition = roadstead.define("big", container(script=SLEEP, memory=left["MEMORY"] * 2 // 5))
    service("big", definition, 3)
    why = (f"(service big) was unable to place a task because no container instance met all of its requirements. The closest "
           f"matching (container-instance {task_id(arn)}) has insufficient memory available.")
    until(lambda: any(message.startswith(why) for message in events(roadstead, "big")), what=why)
    until(lambda: tell(roadstead, "big")["runningCount"] == 2, what="two tasks fit")
    roadstead.ecs.update_service(cluster=CLUSTER, service="big", desiredCount=2)
    roadstead.wait("services_stable", services=["big"])


def test_a_task_that_fails_its_health_check_is_replaced(roadstead, service):
    script = f"touch /tmp/well; {SLEEP}"
    check = {"command": ["CMD", "test", "-e", "/tmp/well"], "interval": 5, "timeout": 2, "retries": 1}
    service("sickly", roadstead.define("sickly", container(script=script, healthCheck=check)))
    roadstead.wait("services_stable", services=["sickly"])
    first = tasks_of(roadstead, "sickly")[0]["taskArn"]
    pid = roadstead.first(first, "main")
    until(lambda: os.path.exists(f"/proc/{pid}/root/tmp/well"), what="the container is well")
    os.unlink(f"/proc/{pid}/root/tmp/well")
    task = roadstead.stopped(first)
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert task["stoppedReason"] == "Task failed container health checks"
    roadstead.wait("services_stable", services=["sickly"])
    assert first not in {task["taskArn"] for task in tasks_of(roadstead, "sickly")}


def test_a_daemon_runs_once_on_each_host(roadstead, service):
    service("everywhere", roadstead.define("everywhere", container(script=SLEEP)), schedulingStrategy="DAEMON")
    first = until(lambda: [t for t in tasks_of(roadstead, "everywhere") if t["lastStatus"] == "RUNNING"], what="its task")
    assert len(first) == 1
    until(lambda: tell(roadstead, "everywhere")["desiredCount"] == tell(roadstead, "everywhere")["runningCount"] == 1)
    os.kill(roadstead.first(first[0]["taskArn"], "main"), signal.SIGKILL)
    roadstead.stopped(first[0]["taskArn"])
    until(lambda: [t for t in tasks_of(roadstead, "everywhere") if t["lastStatus"] == "RUNNING"], what="another one")


def test_draining_moves_nothing_onto_the_host_and_stops_what_is_there(roadstead, service):
    service("leaving", roadstead.define("leaving", container(script=SLEEP)), 2,
            deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 200})
    roadstead.wait("services_stable", services=["leaving"])
    arn = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    roadstead.ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=arn, status="DRAINING")
    try:
        until(lambda: tell(roadstead, "leaving")["runningCount"] == 0, what="the host is empty")
        until(lambda: any("was unable to place a task" in message for message in events(roadstead, "leaving")))
    finally:
        roadstead.ecs.update_container_instances_state(cluster=CLUSTER, containerInstances=arn, status="ACTIVE")
    roadstead.wait("services_stable", services=["leaving"])
    assert tell(roadstead, "leaving")["runningCount"] == 2


def test_a_deployment_that_its_percentages_block_says_so(roadstead, service):
    first, second = (roadstead.define("blocked", container(script=SLEEP)) for _ in range(2))
    service("blocked", first, deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 100})
    roadstead.wait("services_stable", services=["blocked"])
    roadstead.ecs.update_service(cluster=CLUSTER, service="blocked", taskDefinition=second)
    said = until(lambda: [text for text in events(roadstead, "blocked") if "was unable" in text], what="a word of it")
    assert said == ["(service blocked) was unable to stop or start tasks during a deployment because of the service deployment "
                    "configuration. Update the minimumHealthyPercent or maximumPercent value and try again."]
    roadstead.ecs.update_service(cluster=CLUSTER, service="blocked", deploymentConfiguration={"minimumHealthyPercent": 0})
    roadstead.wait("services_stable", services=["blocked"])
    assert tell(roadstead, "blocked")["taskDefinition"] == second


def newest_deployment(roadstead, name):
    """The newest deployment of a service, as it is listed and described."""
    brief = roadstead.ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"][0]
    answer = roadstead.ecs.describe_service_deployments(serviceDeploymentArns=[brief["serviceDeploymentArn"]])
    assert not answer["failures"]
    (shown,) = answer["serviceDeployments"]
    assert {name: shown[name] for name in brief if name in shown and name != "status"}.items() <= shown.items()
    return shown


def test_a_deployment_whose_image_is_missing_is_rolled_back(roadstead, service):
    good = roadstead.define("breaking", container(script=SLEEP))
    bad = roadstead.define("breaking", container(image="127.0.0.1:9/no/such:1", script="true"))
    service("breaking", good, 1)
    roadstead.wait("services_stable", services=["breaking"])
    first = until(lambda: (shown := newest_deployment(roadstead, "breaking"))["status"] == "SUCCESSFUL" and shown)
    assert first["sourceServiceRevisions"] == []
    old = tell(roadstead, "breaking")["deployments"][0]["id"]
    task = tasks_of(roadstead, "breaking")[0]
    breaker = {"enable": True, "rollback": True}
    begun = roadstead.ecs.update_service(cluster=CLUSTER, service="breaking", taskDefinition=bad,
                                         deploymentConfiguration={"deploymentCircuitBreaker": breaker})["service"]
    new = begun["deployments"][0]["id"]
    shown = newest_deployment(roadstead, "breaking")
    assert shown["targetServiceRevision"]["arn"].rsplit("/")[-1] == new.removeprefix("ecs-svc/")
    assert [source["arn"].rsplit("/")[-1] for source in shown["sourceServiceRevisions"]] == [old.removeprefix("ecs-svc/")]
    shown = until(lambda: (shown := newest_deployment(roadstead, "breaking"))["status"] == "ROLLBACK_SUCCESSFUL" and shown,
                  what="ROLLBACK_SUCCESSFUL")
    assert shown["statusReason"] == "Service deployment rolled back because the circuit breaker threshold was exceeded."
    assert shown["rollback"]["serviceRevisionArn"].endswith(old.removeprefix("ecs-svc/"))
    assert shown["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": 3, "threshold": 3}
    roadstead.wait("services_stable", services=["breaking"])
    told = tell(roadstead, "breaking")
    assert [(d["id"], d["rolloutState"]) for d in told["deployments"]] == [(old, "COMPLETED")]
    assert told["taskDefinition"] == good and "currentServiceDeployment" not in told
    assert [t["taskArn"] for t in tasks_of(roadstead, "breaking")] == [task["taskArn"]], "it ran all along"
    said = events(roadstead, "breaking")
    assert f"(service breaking) (deployment {new}) deployment failed: tasks failed to start." in said
    assert f"(service breaking) rolling back to deployment {old}." in said
    arns = [shown["targetServiceRevision"]["arn"], shown["rollback"]["serviceRevisionArn"]]
    revisions = roadstead.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    assert [revision["taskDefinition"] for revision in revisions] == [bad, good]
    assert revisions[0]["containerImages"] == [{"containerName": "main", "image": "127.0.0.1:9/no/such:1"}]


def test_a_deployment_is_stopped_and_rolled_back(roadstead, service):
    good = roadstead.define("stopped", container(script=SLEEP))
    never = {"command": ["CMD", "false"], "interval": 300, "startPeriod": 300}
    slow = roadstead.define("stopped", container(script=SLEEP, healthCheck=never))
    service("stopped", good, 1)
    roadstead.wait("services_stable", services=["stopped"])
    roadstead.ecs.update_service(cluster=CLUSTER, service="stopped", taskDefinition=slow)
    until(lambda: tell(roadstead, "stopped")["runningCount"] == 2, what="both run")
    going = newest_deployment(roadstead, "stopped")
    assert going["status"] == "IN_PROGRESS"
    assert tell(roadstead, "stopped")["currentServiceDeployment"] == going["serviceDeploymentArn"]
    arn = going["serviceDeploymentArn"]
    assert roadstead.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")["serviceDeploymentArn"] == arn
    until(lambda: newest_deployment(roadstead, "stopped")["status"] == "ROLLBACK_SUCCESSFUL", what="ROLLBACK_SUCCESSFUL")
    roadstead.wait("services_stable", services=["stopped"])
    assert {task["taskDefinitionArn"] for task in tasks_of(roadstead, "stopped")} == {good}
    with pytest.raises(roadstead.ecs.exceptions.ConflictException):
        roadstead.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    with pytest.raises(roadstead.ecs.exceptions.ServiceDeploymentNotFoundException):
        roadstead.ecs.stop_service_deployment(serviceDeploymentArn=arn[:-1] + ("a" if arn[-1] != "a" else "b"))
    with pytest.raises(roadstead.ecs.exceptions.NamespaceNotFoundException):
        roadstead.ecs.list_services_by_namespace(namespace="none")


def test_a_container_that_lasted_is_started_again_in_its_place(roadstead, restarting):
    task = roadstead.stopped(restarting, timeout=2 * PATIENCE)
    assert roadstead.output(restarting, lines=2) == ["run 1", "run 2"]
    assert exit_codes(task) == {"main": 4}
