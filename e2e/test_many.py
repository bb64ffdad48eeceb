"""Two hundred tasks on one host, and away again."""

from harness import PATIENCE, SLEEP, at_once, container, exit_codes, task_id, until

COUNT = 200


def test_two_hundred_tasks_come_and_go(roadstead):
    definition = roadstead.define("crowd", container(
        script=SLEEP, memory=8, portMappings=[{"containerPort": 80}]), networkMode="bridge")
    idle = roadstead.ecs.describe_container_instances(
        cluster=roadstead.cluster, containerInstances=instances(roadstead))["containerInstances"][0]["remainingResources"]
    arns = [arn for some in at_once(lambda _: roadstead.run(definition, 10), range(COUNT // 10), 4) for arn in some]
    assert len(set(arns)) == COUNT

    def all_of(status):
        tasks = roadstead.tasks(arns)
        return len(tasks) == COUNT and {task["lastStatus"] for task in tasks} == {status} and tasks

    tasks = until(lambda: all_of("RUNNING"), 4 * PATIENCE, f"{COUNT} RUNNING")
    ports = {binding["hostPort"] for task in tasks for binding in task["containers"][0]["networkBindings"]}
    assert len(ports) == COUNT
    at_once(roadstead.stop, arns)
    ended = until(lambda: all_of("STOPPED"), 4 * PATIENCE, f"{COUNT} STOPPED")
    assert {exit_codes(task)["main"] for task in ended} == {0}

    def remaining():
        told = roadstead.ecs.describe_container_instances(cluster=roadstead.cluster, containerInstances=instances(roadstead))
        return told["containerInstances"][0]["remainingResources"]

    until(lambda: remaining() == idle, what="all resources are free again")
    until(lambda: not of_tasks(roadstead, arns), what=Left(roadstead, arns))


def of_tasks(roadstead, arns):
    """What is on the host of these tasks."""
    roadstead.marks = [task_id(arn) for arn in arns]
    return sorted(roadstead.left())


class Left:
    """Says what is left of tasks."""

    def __init__(self, *what):
        self.what = what

    def __str__(self):
        return "nothing left, but there is\n" + "\n".join(of_tasks(*self.what))


def instances(roadstead):
    return roadstead.ecs.list_container_instances(cluster=roadstead.cluster)["containerInstanceArns"]
