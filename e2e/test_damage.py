"""State that is gone: the program does not begin from nothing, and nobody's container ends for it."""

from harness import PATIENCE, SLEEP, container


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
