"""The commands of the program beside `up`, and its exit codes."""

import json
import os
import pathlib
import pty
import re
import shutil
import sqlite3
import subprocess
import tempfile
import tty

import pytest

from harness import BIN, IMAGE, PATIENCE, SLEEP, NothingLeft, Roadstead, container, exit_codes, until

COMMANDS = ("up", "server", "agent", "agent-key", "down", "env", "image", "backup", "repair", "bench", "doctor")
# A whole command line for each command that reads the configuration; "|" where words may be put in.
LINES = (
    "| up |", "| server |", "| agent | --endpoint http://127.0.0.1:9 |", "| agent-key | create |", "| down | --purge |", "| env |",
    "| image | list |", "| image | pull | nginx |", "| image | load | /none |", "| image | remove | nginx |", "| backup | /none/x |",
    "| repair | --forget --all |",
    "| doctor | --json |",
)
NOBODY = 65534


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


def lines_with(*words):
    """Every line with the words in each of its places."""
    for line in LINES:
        parts = line.split("|")
        for at in range(1, len(parts)):
            yield [*" ".join(parts[:at]).split(), *words, *" ".join(parts[at:]).split()]


def test_config_is_taken_in_every_place_of_every_command(tmp_path):
    (tmp_path / "c.toml").write_text("[server]\naccount = '12'\n")
    for line in lines_with("--config", str(tmp_path / "c.toml")):
        done = program(*line, ROADSTEAD_DATA_DIR=str(tmp_path / "data"))
        assert done.returncode == 64 and "server.account" in done.stderr, (line, done)
    assert not (tmp_path / "data").exists()
    for line in (["bench", "call"], ["bench"]):
        assert program("--config", "x", *line, "--data-dir", "y", "--help").returncode == 0, line


def test_data_dir_is_taken_in_every_place_and_the_last_counts(tmp_path):
    # A file where a folder is meant: each command says which, and nothing is made.
    wrong = tmp_path / "file"
    wrong.write_text("")
    for line in lines_with("--data-dir", str(wrong)):
        if "doctor" not in line:
            done = program(*line, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", ROADSTEAD_SERVER_LISTEN="0.0.0.0:9")
            assert str(wrong) in done.stdout + done.stderr, (line, done)
    assert wrong.read_text() == ""
    first, last = ("--data-dir", "/first"), ("--data-dir", str(tmp_path / "last"))
    for line in ((*first, *last, "down"), (*first, "down", *last), ("down", *first, *last)):
        done = program(*line)
        assert (done.returncode, done.stdout) == (0, f"nothing to do: there is no data directory {tmp_path / 'last'}\n"), line


def test_every_failure_ends_with_what_to_try(tmp_path, roadstead, request):
    data, none = ("--data-dir", str(tmp_path / "data")), ("--data-dir", str(tmp_path / "none"))
    # An agent that fails has made what its tasks would need.
    request.addfinalizer(lambda: subprocess.run([BIN, "down", "--purge", *data], check=True, capture_output=True))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis").write_text("")
    (tmp_path / "bad.toml").write_text("[server\n")
    (tmp_path / "unknown.toml").write_text("sail = 1\n")
    (tmp_path / "text").write_text("hello" * 200)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for line, words, step, env in (
        (["up", "--config", "/no/such"], "cannot read /no/such", "--config", {}),
        (["up", "--config", str(tmp_path / "bad.toml")], "not valid", "example.toml", {}),
        (["up", "--config", str(tmp_path / "unknown.toml")], "unknown key", "configuration.md", {}),
        (["up", "--account", "12"], "twelve digits", "another value", {}),
        (["up", "--data-dir", str(tmp_path / "foreign")], "no data directory", "new or empty folder", {}),
        (["up", "--data-dir", "/"], "cannot be", "a folder in it", {}),
        (["down", "--data-dir", str(tmp_path / "foreign")], "no data directory", "--data-dir", {}),
        (["up", "--data-dir", str(roadstead.data)], f"process {roadstead.process.pid}", "roadstead down", {}),
        (["up", *data, "--listen", f"127.0.0.1:{roadstead.port}"], "cannot listen", "--listen", {}),
        (["up", *data, "--listen", "192.0.2.1:1"], "cannot listen", "ip address", {}),
        (["agent", *data, "--endpoint", "http://127.0.0.1:9"], "AWS_ACCESS_KEY_ID", "credentials.toml", {}),
        (["agent", *data, "--endpoint", "nowhere"], "", "", keys),
        (["agent-key", "create", *none], "cannot be read", "roadstead up", {}),
        (["env", *none, "--listen", "0.0.0.0:1"], "cannot be read", "roadstead up", {}),
        (["env", *data, "--profile", "a b"], "no name", "letters", {}),
        (["backup", *none, "/none/x"], "cannot copy", "file that does not exist", {}),
        (["image", *data, "load", "/no/such/file"], "No such file", "spelling", {}),
        (["image", *data, "load", str(tmp_path / "text")], "checksum", "again", {}),
        (["image", *data, "load", "/no", "--cmd", "[broken"], "JSON", "--cmd", {}),
        (["image", *data, "pull", "UPPER"], "lowercase", "spelling", {}),
        (["image", *data, "pull", "127.0.0.1:9/x"], "refused", "insecure_registries", {}),
        (["image", *data, "pull", "x", "--username", "u"], "ROADSTEAD_REGISTRY_PASSWORD", "--username", {}),
        (["image", *data, "remove", "nothing"], "No such image", "roadstead image list", {}),
        (["bench", "call", "--endpoint", "http://127.0.0.1:9", "ListClusters"], "connect", "roadstead up", {}),
        (["bench", "call", "--endpoint", "nowhere", "ListClusters"], "no http://", "--endpoint", {}),
    ):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run([BIN, *line], capture_output=True, text=True, timeout=PATIENCE, env={**environ, **env})
        assert done.returncode in (1, 64), (line, done)
        last = done.stderr.splitlines()[-1]
        assert words in done.stderr and last.startswith("try: ") and step in last, (line, done)
    # One that a user without rights meets.
    tmp_path.chmod(0o755)
    (tmp_path / "roots").mkdir(mode=0o700)
    done = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", BIN],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode == 0:
        done = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", BIN, "up", "--data-dir",
                               "/root/roadstead-none"], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 1 and done.stderr.splitlines()[-1] == "try: the same with `sudo`", done
    # What clap says of wrong words names the way to help.
    assert "--help" in program("up", "--no-such-flag").stderr.splitlines()[-1]


def plain_and_on_a_terminal(fresh, **env):
    """What the program logs into a pipe, and onto a terminal."""
    told = []
    for terminal in (False, True):
        instance = fresh(start=False)
        ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            tty.setraw(theirs)
        process = subprocess.Popen([BIN, "server", *instance.settings()], stdout=subprocess.PIPE, stderr=theirs,
                                   stdin=subprocess.DEVNULL, env={**plain_environment(), **env})
        os.close(theirs)
        assert process.stdout.readline().startswith(b"ready ")
        process.terminate()
        log = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            log += more
        os.close(ours)
        assert process.wait(PATIENCE) == 0 and b"stopping" in log, log
        process.stdout.close()
        told.append(log)
    return told


def plain_environment():
    return {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}


def test_colours_are_for_terminals(fresh):
    plain, coloured = plain_and_on_a_terminal(fresh)
    assert b"\x1b[" not in plain and b"\x1b[" in coloured, (plain, coloured)
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert all(b"\x1b" not in log for log in plain_and_on_a_terminal(fresh, **env)), env


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


def test_env_prints_account_and_region():
    told = program("env", "--account", "123456789012", "--region", "eu-west-1").stdout
    for line in ("AWS_ACCOUNT_ID=123456789012", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"):
        assert f"export {line}\n" in told
    assert "export AWS_ACCOUNT_ID=000000000000\n" in program("env").stdout
    assert "export AWS_ENDPOINT_URL=http://[::1]:7\n" in program("env", "--listen", "[::1]:7").stdout


def test_a_profile_is_written_and_works(roadstead, tmp_path):
    env = {"HOME": str(tmp_path)}
    (tmp_path / ".aws").mkdir()
    before = b"[default]\r\nregion = eu-west-1\r\n# caf\xc3\xa9, no newline at the end"
    (tmp_path / ".aws/config").write_bytes(before)
    (tmp_path / ".aws/config").chmod(0o644)
    line = ("env", "--listen", f"127.0.0.1:{roadstead.port}", "--profile", "local")
    for _ in range(2):
        done = program(*line, **env)
        assert (done.returncode, done.stdout) == (0, "export AWS_PROFILE=local\n"), done
        assert "profile local is in" in done.stderr
        config, secrets = tmp_path / ".aws/config", tmp_path / ".aws/credentials"
        assert config.read_bytes().startswith(before + b"\n\n[profile local]\n")
        assert [path.stat().st_mode & 0o777 for path in (config, secrets)] == [0o644, 0o600]
        assert sorted(path.name for path in (tmp_path / ".aws").iterdir()) == ["config", "credentials"]
        assert config.read_text(errors="replace").count("[profile local]") == 1
    aws = os.path.join(os.path.dirname(os.sys.executable), "aws")
    done = subprocess.run([aws, "--profile", "local", "ecs", "list-clusters", "--query", "length(clusterArns)"],
                          capture_output=True, text=True, timeout=PATIENCE, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    assert done.stdout == "1\n", done
    # A profile that somebody else made is theirs, whichever of the two files it is in.
    for path in (config, secrets):
        kept = path.read_bytes()
        path.write_bytes(kept + (b"[profile mine]\n" if path == config else b"[mine]\naws_access_key_id = real\n"))
        before = config.read_bytes(), secrets.read_bytes()
        done = program(*line[:-1], "mine", **env)
        assert done.returncode == 1 and "not made by roadstead" in done.stderr, done
        assert (config.read_bytes(), secrets.read_bytes()) == before
        path.write_bytes(kept)
    secrets.chmod(0o644)
    assert program(*line, **env).returncode == 0 and secrets.stat().st_mode & 0o777 == 0o600


def test_a_profile_belongs_to_the_user_who_called_sudo(tmp_path):
    # Where that user has rights and root's may not be used: a link of the user's leads to a file of root's.
    home = pathlib.Path(tempfile.mkdtemp(prefix="roadstead-e2e-home-"))
    roots = home.with_name(home.name + "-roots")
    try:
        os.chown(home, NOBODY, NOBODY)
        roots.write_text("root's own")
        roots.chmod(0o600)
        env = {"SUDO_UID": str(NOBODY), "SUDO_GID": "0", "AWS_CONFIG_FILE": str(home / "a/config"),
               "AWS_SHARED_CREDENTIALS_FILE": str(home / "a/credentials")}
        done = program("env", "--profile", "local", **env)
        assert done.returncode == 0, done
        for path, mode in ((home / "a", 0o700), (home / "a/config", 0o600), (home / "a/credentials", 0o600)):
            found = path.stat()
            assert (found.st_uid, found.st_mode & 0o777) == (NOBODY, mode), path
        # A link to a file of the user's own stays one.
        os.rename(home / "a/config", home / "real")
        (home / "a/config").symlink_to("../real")
        assert program("env", "--profile", "more", **env).returncode == 0
        assert (home / "a/config").is_symlink() and "[profile more]" in (home / "real").read_text()
        before = (home / "real").read_bytes()
        for target in (roots, "/etc/shadow", "/nowhere/at/all", "/dev/zero"):
            (home / "a/credentials").unlink()
            (home / "a/credentials").symlink_to(target)
            done = program("env", "--profile", "local", **env)
            assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("try: "), (target, done)
        assert roots.read_text() == "root's own" and (home / "real").read_bytes() == before
        # A folder that is not the user's.
        (home / "a/credentials").unlink()
        os.chown(home / "a", 0, 0)
        done = program("env", "--profile", "local", **env)
        assert done.returncode == 1 and "ermission denied" in done.stderr, done
        assert program("env", "--profile", "local", SUDO_UID="4000000000").returncode == 1
    finally:
        shutil.rmtree(home)
        roots.unlink()


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
