"""File systems of their own for data directories: small, and such as can lose their power."""

import contextlib
import errno
import itertools
import os
import pathlib
import shutil
import subprocess

from harness import until


class SmallDisk:
    """A file system of its own for a data directory, without what ext4 keeps for root."""

    def __init__(self, top, mib=128, inodes=4096, options="loop"):
        self.options = options
        self.image, self.at = top / "disk.img", top / "disk"
        self.at.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mib << 20)
        # Nothing is left to be written later, so that only what is asked for is.
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), "-E", "lazy_itable_init=0,lazy_journal_init=0",
                        self.image], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", self.options, self.image, self.at], check=True)

    def gone(self):
        # What is being deleted in the background may be at it for a moment.
        until(lambda: subprocess.run(["umount", self.at], check=False, capture_output=True).returncode == 0, what="unmounted")
        # A container that is being started somewhere has all mounts for a moment. As long as one has this, it lives on,
        # and whoever mounts it again gets the same, with all that befell it.
        until(lambda: not self.device(), what=HeldBy(self.at))

    def device(self):
        """The loop device that holds the file; the kernel takes it back once the file system is gone everywhere."""
        return subprocess.run(["losetup", "-nO", "NAME", "-j", self.image], check=True, capture_output=True, text=True).stdout

    def free(self):
        stat = os.statvfs(self.at)
        return stat.f_bavail * stat.f_frsize

    def fill(self, what):
        """From outside: takes every block, and every inode."""
        (self.at / "filler").mkdir()
        if what == "bytes":
            with contextlib.suppress(OSError), open(self.at / "filler" / "big", "wb", buffering=0) as big:
                for step in (1 << 20, 4096, 1024):
                    with contextlib.suppress(OSError):
                        while big.write(bytes(step)):
                            pass
            assert self.free() < 4096
        with contextlib.suppress(OSError):
            for number in itertools.count():
                (self.at / "filler" / str(number)).touch()

    def empty(self):
        shutil.rmtree(self.at / "filler", ignore_errors=True)

    def fail(self):
        """From now on the file system takes nothing, as after an error of the disk; whoever has files open has them still."""
        subprocess.run(["mount", "-o", "remount,abort", self.at], check=False, capture_output=True)
        try:
            (self.at / "probe").touch()
        except OSError as error:
            assert error.errno == errno.EROFS, error
        else:
            raise AssertionError("the disk still takes something")

    def traffic(self):
        """What the file system has written to its disk by now; None while it is about it."""
        device = pathlib.Path(subprocess.run(
            ["findmnt", "-no", "SOURCE", self.at], check=True, capture_output=True, text=True).stdout.strip())
        numbers = pathlib.Path("/sys/block", device.name, "stat").read_text().split()
        return None if int(numbers[8]) else numbers[4]

    def cut(self):
        """The disk as a power cut at this moment leaves it: without what the file system still has in memory."""
        copy = self.image.with_suffix(".cut")

        def whole():
            before = self.traffic()
            subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
            return before is not None and before == self.traffic()

        until(whole, what="a copy during which nothing was written")
        return copy

    def becomes(self, copy):
        """Goes on with what a power cut has left. Nobody may be at it."""
        self.gone()
        copy.rename(self.image)
        self.mount()


class HeldBy:
    """Says who has a file system mounted still, should it come to that."""

    def __init__(self, at):
        self.at = at

    def __str__(self):
        holders = []
        for mounts in pathlib.Path("/proc").glob("[0-9]*/mountinfo"):
            with contextlib.suppress(OSError):
                if f" {self.at} " in mounts.read_text():
                    holders.append(f"{mounts.parent.name} {(mounts.parent / 'comm').read_text().strip()}")
        return f"{self.at} is gone everywhere, but these have it: {', '.join(holders) or 'no process that is to be seen'}"
