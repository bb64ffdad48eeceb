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


def old(key, value):
    """The key and the value that a row had: `<account>/<region>/ecs/<shard>/<row>` and JSON in an envelope."""
    _, _, service, shard, row = key.split("/", 4)
    assert service == "ecs", key
    told = value.decode()
    head = '{"v":1,"row":'
    assert told.startswith(head) and told.endswith("}"), told
    return ("a/" if shard == "@" else f"c/{shard}/") + row, told[len(head):-1].encode()


def put(db, key, value, revision):
    key = key.encode()
    db.execute("INSERT INTO entries (key, value, revision, crc) VALUES (?, ?, ?, ?)",
               (key.decode(), value, revision, checksum(key, value, revision)))


def rewrite(state, more=0):
    """Makes every row what it was, and adds so many revisions of a task definition. No program may have the file."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        found = list(db.execute("SELECT key, value, revision FROM entries"))
        db.execute("DELETE FROM entries")
        sample = None
        for key, value, revision in found:
            assert not key.startswith("aside/"), key
            key, value = old(key, value)
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
    return [old(key, value)[0] for key, value, _ in found]
