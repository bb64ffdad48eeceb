"""A virtual machine of Debian's kernel with control groups of v2 alone or of v1 alone, on software emulation.

Knows nothing of what is run in it. Its kernel comes from kernel.sh; nothing is mounted here, and no right is needed.
"""

import contextlib
import lzma
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

HERE = pathlib.Path(__file__).parent
QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
# Ports in the guest: of orders, and of what is tested.
ORDERS = 10
# Loaded by the first process or, as on any host, by the kernel when first used.
MODULES = (
    "virtio_pci virtio_blk virtio_net virtio-rng overlay veth bridge br_netfilter nf_tables nft_chain_nat nft_nat nft_masq "
    "nft_redir nft_ct nft_fib_inet nft_reject_inet nft_hash nft_numgen nf_conntrack_netlink nfnetlink sch_ingress cls_bpf loop"
).split()
INITTAB = f"""::sysinit:/bin/true
::respawn:/bin/nc -ll -p {ORDERS} -e /bin/sh
"""


class Missing(Exception):
    """What this machine has not, so that no guest can be made."""


class Guest:
    """A running guest. `files` are (path here, path there); programs bring their libraries along."""

    def __init__(self, kernel, folder, files, layout="v2", ports=(), memory_mib=1536, disk_mib=2048):
        kernel, folder = pathlib.Path(kernel), pathlib.Path(folder)
        if not shutil.which(QEMU):
            raise Missing(f"{QEMU} is not installed")
        if not pathlib.Path("/bin/kmod").exists():
            raise Missing("kmod is not installed")
        if not (kernel / "package").exists():
            raise Missing(f"there is no kernel in {kernel}")
        self.console = folder / "console"
        root = folder / "root"
        populate(root, kernel, files)
        initramfs, disk = folder / "initramfs", folder / "disk"
        make_initramfs(folder / "initramfs.d", initramfs, kernel)
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", root, "-E", "root_owner=0:0",
                        disk, f"{disk_mib}M"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root)
        self.ports = {port: free_port() for port in (ORDERS, *ports)}
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in self.ports.items())
        self.folder = folder
        # What the guest writes to its disk goes when it ends, so it can be started again as it was.
        self.command = [
            QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mib), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", f"file:{self.console}",
            "-kernel", kernel / "vmlinuz", "-initrd", initramfs,
            "-append", f"console=ttyS0 quiet panic=-1 mitigations=off groups={layout}",
            "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe,snapshot=on", "-device", "virtio-rng-pci",
            "-nic", f"user,model=virtio-net-pci{forwards}",
        ]
        self.start()

    def start(self):
        """Has it begin anew."""
        self.console.unlink(missing_ok=True)
        with open(self.folder / "qemu", "wb") as errors:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=errors, env={**os.environ, "TMPDIR": str(self.folder)})

    def wait(self, timeout):
        """Returns once the guest takes orders."""
        deadline = time.monotonic() + timeout
        while True:
            if "guest: up" in self.said():
                with contextlib.suppress(OSError, Unanswered):
                    return self.run("true", timeout=30)
            assert self.process.poll() is None, f"the guest ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"the guest takes no orders within {timeout} s:\n{self.said()}"
            time.sleep(0.1)

    def order(self, script, timeout=120):
        """Runs a shell script in the guest; its exit code and all that it wrote."""
        with socket.create_connection(("127.0.0.1", self.ports[ORDERS]), timeout) as sock:
            sock.settimeout(timeout)
            # The shell reads on after the script, so nothing in it may read what the shell reads.
            sock.sendall(f"(\n{script}\n) </dev/null 2>&1\nprintf '\\n=%s' $?\n".encode())
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        text, found, code = answer.decode(errors="replace").rpartition("\n=")
        if not found:
            raise Unanswered(f"{script!r}: {answer!r}")
        return int(code), text

    def run(self, script, timeout=120):
        """What a script wrote that must succeed."""
        code, text = self.order(script, timeout)
        assert code == 0, f"in the guest: {script}: exit {code}\n{text}"
        return text

    def stands_still(self, timeout=60):
        """Whether it does not get to the end of the simplest order."""
        try:
            self.run("true", timeout)
        except (OSError, Unanswered):
            return True
        return False

    def said(self):
        """What the kernel and the first process wrote, and qemu."""
        return "".join(path.read_text(errors="replace")[-4000:]
                       for path in (self.console, self.folder / "qemu") if path.exists())

    def end(self):
        """Takes the power away; the disk is nobody's."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


class Unanswered(Exception):
    """The guest did not get to the end of an order."""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def base(root):
    """Busybox under all of its names, and the first process."""
    for name in ("bin", "dev", "proc", "sys", "root", "etc", "run", "tmp", "var"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    names = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in set(names) - {"busybox", "modprobe"}:
        (root / "bin" / name).symlink_to("busybox")
    # Busybox takes a module for loaded that is being loaded, so that its first user may fail.
    add(root, pathlib.Path("/bin/kmod"), "/bin/modprobe")
    # The kernel asks for modules by this name.
    (root / "sbin").symlink_to("bin")
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)


def populate(root, kernel, files):
    """The guest's disk."""
    base(root)
    (root / "on-disk").touch()
    (root / "tmp").chmod(0o1777)
    (root / "etc/inittab").write_text(INITTAB)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    (root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
    add_modules(root, kernel)
    add(root, kernel / "config", f"/boot/config-{(kernel / 'release').read_text().strip()}")
    for here, there in files:
        add(root, pathlib.Path(here), there)


def add(root, here, there):
    """One file, and the libraries that it wants when it is a program."""
    target = root / str(there).lstrip("/")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(here, "rb") as file:
        is_elf = file.read(4) == b"\x7fELF"
    if not is_elf or ".so" in here.name:
        shutil.copy(here, target)
    else:
        subprocess.run(["strip", "-o", target, here], check=True)
    target.chmod(stat.S_IMODE(os.stat(here).st_mode))
    if is_elf:
        done = subprocess.run(["ldd", here], capture_output=True, text=True)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            add(root, pathlib.Path(library), library)


def add_modules(root, kernel):
    """The modules and what they depend on, as the kernel's helper finds them."""
    found = {path.name.split(".ko")[0].replace("-", "_"): path for path in (kernel / "modules").rglob("*.ko*")}
    folder = root / "lib/modules" / (kernel / "release").read_text().strip()
    folder.mkdir(parents=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(kernel / "modules" / name, folder)
    wanted = [name.replace("-", "_") for name in MODULES]
    while wanted:
        path = found.get(wanted.pop())
        if path is None:
            continue
        content = lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()
        target = folder / path.name.removesuffix(".xz")
        if not target.exists():
            target.write_bytes(content)
            depends = re.search(rb"\0depends=([^\0]*)\0", content)
            wanted += depends.group(1).decode().replace("-", "_").split(",") if depends else []
    subprocess.run(["/sbin/depmod", "-b", root, folder.name], check=True)


def make_initramfs(folder, archive, kernel):
    """A cpio archive in the kernel's `newc` format."""
    base(folder)
    add_modules(folder, kernel)
    paths = sorted(folder.rglob("*"))
    with open(archive, "wb") as out:
        for number, path in enumerate(paths, 1):
            status = path.lstat()
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path).encode()
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            entry(out, number, str(path.relative_to(folder)), status.st_mode, content)
        entry(out, 0, "TRAILER!!!", 0, b"")
    shutil.rmtree(folder)


def entry(out, number, name, mode, content):
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
    out.write(b"\0" * (-out.tell() % 4))
    out.write(content)
    out.write(b"\0" * (-out.tell() % 4))
