"""State that is gone: the program does not begin from nothing, and nobody's container ends for it."""

from harness import CLUSTER, PATIENCE, SLEEP, container, until


def test_a_state_that_is_gone_is_not_begun_anew(fresh):
    roadstead = fresh()
    task = roadstead.run(roadstead.define("stays", container(script=SLEEP)))[0]
    roadstead.running(task)
    first = roadstead.first(task, "main")
    roadstead.terminate()
    state = roadstead.data / "state.db"
    kept = state.with_name("kept.db")
    for damage in (lambda: state.rename(kept), state.touch):
        for suffix in ("-wal", "-shm"):
            state.with_name(state.name + suffix).unlink(missing_ok=True)
        damage()
        assert roadstead.start().process.wait(PATIENCE) == 1
        assert "--begin-anew" in roadstead.log_tail(5)
        assert roadstead.first(task, "main") == first
    kept.rename(state)
    roadstead.up()
    roadstead.running(task)
    assert roadstead.first(task, "main") == first
    roadstead.stop(task)
    roadstead.stopped(task)


def test_a_host_without_its_ledger_is_a_new_instance_once_it_begins_anew(fresh):
    roadstead = fresh()
    definition = roadstead.define("web", container(script=SLEEP))
    roadstead.ecs.create_service(cluster=CLUSTER, serviceName="web", taskDefinition=definition, desiredCount=1)
    tasks = lambda: roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName="web")["taskArns"]
    old = until(tasks, what="a task")[0]
    roadstead.running(old)
    lost = roadstead.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"][0]
    first = roadstead.first(old, "main")
    roadstead.terminate()
    for file in (roadstead.data / "agent").glob("ledger.db*"):
        file.unlink()
    assert roadstead.start().process.wait(PATIENCE) == 1
    assert "agent/ledger.db" in roadstead.log_tail(3) and "--begin-anew" in roadstead.log_tail(3)
    assert roadstead.first(old, "main") == first
    roadstead.flags = [*roadstead.flags, "--begin-anew"]
    roadstead.up()
    roadstead.ecs.deregister_container_instance(cluster=CLUSTER, containerInstance=lost, force=True)
    new = until(lambda: [arn for arn in tasks() if arn != old], what="another task")[0]
    roadstead.running(new)
    roadstead.ecs.delete_service(cluster=CLUSTER, service="web", force=True)
    roadstead.stopped(new)
