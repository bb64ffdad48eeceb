"""A state.db as versions wrote it that knew neither accounts nor regions, made of one of today."""

import contextlib
import json
import pathlib
import sqlite3
import subprocess
import zlib


def checksum(key, value, revision):
    """As the store's own: over the revision, the key's length, the key and the value."""
    head = revision.to_bytes(8, "little") + len(key).to_bytes(8, "little")
    return zlib.crc32(head + key + value)


def rows(state):
    """The rows by their keys, as they lie in the file; the program may have it."""
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT key, value FROM entries"))


def apart(key):
    """The shard, the kind and the id of a row of ECS: `<account>/<region>/ecs/<shard>/<kind>/<id>`."""
    _, _, service, shard, row = key.split("/", 4)
    assert service == "ecs", key
    kind, _, name = row.partition("/")
    return shard, kind, name


def told(value):
    """The version of a row and its JSON, out of the envelope."""
    head, _, row = value.decode().partition(',"row":')
    assert head.startswith('{"v":') and row.endswith("}"), value
    return int(head.removeprefix('{"v":')), row[:-1]


def with_history(service, beside):
    """The row of a service as its first version was: it held what the service said, and the client token that made it."""
    events = sorted((row for kind, row in beside if kind == "service-event"), key=lambda row: -row["number"])
    requests = [row["request"] for kind, row in beside if kind == "service-token"]
    row = json.loads(service)
    row["events"] = [{name: event[name] for name in ("id", "at", "message")} for event in events]
    row["client_token"], row["request"] = ("token", requests[0]) if requests else (None, "")
    return json.dumps(row, separators=(",", ":"))


def old(found):
    """The keys, the values and the revisions that rows had."""
    within = {}
    for key, value, _ in found:
        shard, kind, name = apart(key)
        if kind.startswith("service-"):
            within.setdefault((shard, name.split("/")[0]), []).append((kind, json.loads(told(value)[1])))
    for key, value, revision in found:
        shard, kind, name = apart(key)
        version, row = told(value)
        if kind == "service":
            row = with_history(row, within.get((shard, name), []))
        elif kind.startswith("service-"):
            continue
        else:
            assert version == 1, key
        if kind in ("task", "kept-task"):
            # Its id, of which the time stands first today.
            name = "".join(reversed(name.split("-")))
        path = f"{kind}/{name}" if name else kind
        yield ("a/" if shard == "@" else f"c/{shard}/") + path, row.encode(), revision


def put(db, key, value, revision):
    key = key.encode()
    db.execute("INSERT INTO entries (key, value, revision, crc) VALUES (?, ?, ?, ?)",
               (key.decode(), value, revision, checksum(key, value, revision)))


def rewrite(state, more=0):
    """Makes every row what it was, and adds so many revisions of a task definition. No program may have the file."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        found = list(old(list(db.execute("SELECT key, value, revision FROM entries"))))
        db.execute("DELETE FROM entries")
        sample = None
        for key, value, revision in found:
            put(db, key, value, revision)
            sample = value if key.startswith("a/td/") else sample
        last = db.execute("SELECT revision FROM state").fetchone()[0]
        for number in range(1, more + 1):
            row = json.loads(sample)
            arn = row["registered"]["taskDefinitionArn"].rsplit("/", 1)[0] + f"/many:{number}"
            row["registered"] |= {"family": "many", "revision": number, "taskDefinitionArn": arn}
            put(db, f"a/td/many/{number:010}", json.dumps(row, separators=(",", ":")).encode(), last)
        db.commit()
    # Whoever closed it last took the log away, which has blocks of its own while the program keeps it.
    pathlib.Path(f"{state}-wal").touch(0o600)
    subprocess.run(["fallocate", "--keep-size", "--length", str(4 << 20), f"{state}-wal"], check=True)
    return [key for key, _, _ in found]
