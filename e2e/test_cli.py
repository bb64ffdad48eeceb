"""The commands of the program beside `up`, and its exit codes."""

import json
import os
import re
import sqlite3
import subprocess

import pytest

from harness import BIN, IMAGE, PATIENCE, SLEEP, NothingLeft, Roadstead, container, exit_codes, until

COMMANDS = ("up", "server", "agent", "agent-key", "down", "env", "image", "backup", "doctor")


def program(*argv, **env):
    return subprocess.run([BIN, *argv], capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **env})


def test_help_everywhere_and_wrong_words():
    for command in ((), *((name,) for name in COMMANDS), ("image", "load")):
        told = program(*command, "--help")
        assert told.returncode == 0 and "Usage: roadstead" in told.stdout, command
    assert "64" in program("--help").stdout
    assert program("--version").returncode == 0
    for wrong in (("up", "--no-such-flag"), ("sail",), ("up", "--listen", "nowhere"), ()):
        assert program(*wrong).returncode == 2, wrong


@pytest.mark.parametrize(("text", "says"), [
    ("[server]\nlistn = '127.0.0.1:1'\n", "did you mean `server.listen`"),
    ("[server]\naccount = '12'\n", "server.account"),
    ("[agent\n", "not valid"),
    ("[server]\nlisten = '0.0.0.0:1'\naccept_any_credentials = true\n", "accept_any_credentials"),
])
def test_bad_configuration_exits_64_before_anything_is_made(tmp_path, text, says):
    (tmp_path / "c.toml").write_text(text)
    done = program("up", "--config", str(tmp_path / "c.toml"), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 64 and says in done.stderr, done
    assert not (tmp_path / "data").exists()


def test_doctor_says_that_this_host_will_do(tmp_path):
    where = ("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    text = program("doctor", *where)
    assert text.returncode == 0, text
    report = json.loads(program("doctor", *where, "--json").stdout)
    assert report["healthy"] and len(report["checks"]) > 8
    for check in report["checks"]:
        assert check["status"] in ("ok", "warn") and ("mend" in check) == (check["status"] != "ok"), check
    assert not (tmp_path / "data").exists()


def test_env_is_what_the_clients_need(roadstead):
    told = roadstead.cli("env").stdout
    assert f"export AWS_ENDPOINT_URL={roadstead.endpoint}\n" in told
    script = f'eval "$("{BIN}" env --listen 127.0.0.1:{roadstead.port})"; exec aws ecs list-clusters --query "length(clusterArns)"'
    env = {"PATH": roadstead.environment()["PATH"], "HOME": "/nonexistent"}
    venv = os.path.dirname(os.sys.executable)
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE,
                          env={**env, "PATH": f"{venv}:{env['PATH']}"})
    assert done.stdout == "1\n", done


def test_images_come_and_go(roadstead, image_tar):
    roadstead.load_image(image_tar, "other/name:2", cmd='["/bin/sh", "-c", "exit 21"]')
    listed = roadstead.cli("image", "list").stdout
    assert IMAGE in listed and "other/name:2" in listed
    read, write = os.pipe()
    os.close(read)
    unread = subprocess.run([BIN, "image", "--data-dir", str(roadstead.data), "list"], stdout=write,
                            stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    os.close(write)
    assert (unread.returncode, unread.stderr) == (0, ""), "nobody reads what it says"
    # Loaded beside the running agent, and run with the command that it was given.
    task = roadstead.finish(roadstead.define("other", container(image="other/name:2")))
    assert exit_codes(task) == {"main": 21}
    assert re.match(r"sha256:[0-9a-f]{64}$", task["containers"][0]["imageDigest"])
    # A task is told STOPPED a moment before its container, which uses the image, is cleared away.
    until(lambda: "untagged" in roadstead.cli("image", "remove", "other/name:2", check=False).stdout, what="the image goes")
    assert "other/name:2" not in roadstead.cli("image", "list").stdout
    assert roadstead.cli("image", "remove", "other/name:2", check=False).returncode == 1
    assert roadstead.cli("image", "load", "/no/such/file", check=False).returncode == 1


def test_backup_while_it_runs_and_up_from_it(roadstead, fresh, tmp_path):
    roadstead.define("kept", container(script="true"))
    roadstead.cli("backup", str(tmp_path / "state.db"))
    with sqlite3.connect(tmp_path / "state.db") as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert roadstead.cli("backup", str(tmp_path / "state.db"), check=False).returncode == 1
    other = fresh(start=False)
    os.replace(tmp_path / "state.db", other.data / "state.db")
    other.up()
    assert other.ecs.describe_task_definition(taskDefinition="kept")["taskDefinition"]["revision"] == 1


def test_two_at_once_are_refused_with_the_pid(roadstead):
    second = roadstead.cli("up", check=False)
    assert second.returncode == 1 and f"process {roadstead.process.pid}" in second.stderr, second
    assert roadstead.sts.get_caller_identity()


def test_a_port_in_use_is_said(roadstead, fresh):
    other = Roadstead()
    other.port = roadstead.port
    done = other.cli("up", check=False)
    assert done.returncode == 1 and str(roadstead.port) in done.stderr, done
    other.port = 0
    other.destroy()


def test_beyond_loopback_only_the_keys_of_the_data_directory(fresh):
    instance = fresh(start=False)
    instance.settings = lambda: ["--data-dir", str(instance.data), "--listen", f"0.0.0.0:{instance.port}"]
    instance.up()
    with pytest.raises(instance.ecs.exceptions.ClientError) as caught:
        instance.ecs.list_clusters()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    told = dict(re.findall(r"export (\w+)=(\S+)", instance.cli("env").stdout))
    ecs = instance.client("ecs", told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
    assert len(ecs.list_clusters()["clusterArns"]) == 1
    assert (instance.data / "credentials.toml").stat().st_mode & 0o77 == 0


def test_any_credentials_when_asked_for(fresh):
    instance = fresh(start=False)
    instance.flags = ["--accept-any-credentials"]
    instance.up()
    assert instance.client("ecs", "AKIAANYTHING", "whatever").list_clusters()["clusterArns"]
    assert "any" in instance.log_tail().lower()


@pytest.mark.parametrize("command", [
    ("up",), ("server",), ("agent", "--endpoint", "http://127.0.0.1:1"), ("down",), ("down", "--purge"), ("image", "list")])
@pytest.mark.parametrize("named", ["folder", "link"])
def test_a_folder_of_others_is_left_as_it_is(tmp_path, command, named):
    folder, link = tmp_path / "folder", tmp_path / "link"
    (folder / "images").mkdir(parents=True)
    (folder / "thesis.txt").write_text("years")
    (folder / "lock").write_text(str(os.getpid()))
    link.symlink_to(folder)
    where = ["--data-dir", str(tmp_path / named)]
    done = program(command[0], *where, *command[1:], AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    assert done.returncode == 1 and "no data directory" in done.stderr and "thesis.txt" in done.stderr, done
    assert sorted(path.name for path in folder.iterdir()) == ["images", "lock", "thesis.txt"]


@pytest.mark.parametrize("place", ["/", os.path.expanduser("~")])
def test_no_place_of_others_becomes_a_data_directory(place):
    before = sorted(os.listdir(place))
    for command in (("up",), ("down", "--purge")):
        done = program(command[0], "--data-dir", place, *command[1:])
        assert done.returncode == 1 and "data directory" in done.stderr, done
    assert sorted(os.listdir(place)) == before


def test_purge_removes_only_what_is_ours(tmp_path, image_tar):
    instance = Roadstead()
    instance.load_image(image_tar)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (instance.data / "mine.txt").write_text("kept")
    (instance.data / "agent").mkdir(exist_ok=True)
    (instance.data / "agent" / "out").symlink_to(outside)
    (instance.data / "logs").symlink_to(outside)
    inside = instance.data / "images" / "mounted"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", inside], check=True)
    try:
        done = instance.cli("down", "--purge", check=False)
        assert done.returncode == 1 and str(inside) in done.stderr, done
        assert (instance.data / "id").exists()
    finally:
        subprocess.run(["umount", inside], check=True)
    done = instance.cli("down", "--purge", check=False)
    assert done.returncode == 1 and "mine.txt" in done.stderr, done
    assert [path.name for path in instance.data.iterdir()] == ["mine.txt"]
    assert [path.name for path in outside.iterdir()] == ["kept"]
    (instance.data / "mine.txt").unlink()
    assert "nothing to do" in instance.cli("down", "--purge").stdout
    instance.data.rmdir()
    instance.destroy()


def test_down_stops_everything_and_keeps_the_state(fresh):
    instance = fresh()
    arn = instance.run(instance.define("kept", container(script=SLEEP)))[0]
    instance.running(arn)
    told = instance.cli("down")
    assert "stopped every task" in told.stdout
    instance.process.wait(PATIENCE)
    instance.marks = [instance.id8(), str(instance.data / "engine")]
    until(lambda: not instance.left(), what=NothingLeft(instance))
    instance.up()
    task = instance.stopped(arn)
    assert task["stoppedReason"]
    assert IMAGE in instance.cli("image", "list").stdout
