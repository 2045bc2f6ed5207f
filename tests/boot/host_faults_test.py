"""What goes wrong on the host while a guest runs: the guest gets errors, the user a reason, and `vmm` lives or ends as documented."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from guest_test import PROMPT, digest, plain
from harness import NO_BUILD, Context, case
from paths import GUEST, ROOT, VMM
from test_disks import IN_BOX, blank, noise

NEEDS = ("kvm", "vmm", "guest")
RUN = [str(VMM), "run", "--boot", "direct", "--kernel", str(GUEST)]
WRITE = ("blk", "bench", "disk0", "--rw", "write", "--bs", "65536", "--depth", "4", "--destroy-data")

# Runs a command for which io_uring_setup(2) is refused, as containers do.
WITHOUT_IO_URING = """
import ctypes, errno, os, struct, sys
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, 425), (RETURN, 0, 0, 0x50000 | errno.EPERM), (RETURN, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, "no filter"
assert libc.syscall(425, 1, 0) == -1 and ctypes.get_errno() == errno.EPERM, "io_uring is not refused"
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@case("host faults: its storage is full; the guest gets errors, the user is told once", needs=NEEDS, limit=120)
def full_storage(test: Context) -> None:
    with folder_in_memory() as folder:
        prepare = f"mount -t tmpfs -o size=2m none {folder} && truncate -s 16M {folder}/disk.img && exec \"$@\""
        alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", prepare, "sh"]
        words = [*WRITE, "--count", "256", ";", *WRITE, "--count", "256", ";", "exit", "7"]
        done = test.run([*alone, *RUN, "--disk", f"{folder}/disk.img", "--", *words])
    told = plain(done.text) + done.errors.decode()
    assert done.status == 7, f"status {done.status}"
    assert plain(done.text).count("the host's storage is full") == 2, "the guest was not told each time"
    assert done.errors.decode().count("the host's storage is full") == 1, f"the user was not told once: {told}"


@case("host faults: a file that is cut off under the guest", needs=NEEDS, limit=120)
def cut_off(test: Context) -> None:
    with folder_in_memory() as folder:
        disk = blank(folder / "disk.img", 1 << 20)
        with test.type_at([*RUN, "--disk", str(disk)]) as keyboard:
            keyboard.expect(PROMPT)
            keyboard.type("sum\r")
            keyboard.expect(digest(disk))
            os.truncate(disk, 4096)
            keyboard.type("sum\r")
            keyboard.expect("an error of the medium")
            os.truncate(disk, 1 << 20)
            keyboard.type("sum\r")
            keyboard.expect(digest(disk))
            keyboard.type("exit 5\r")
            assert keyboard.wait() == 5


@case("host faults: too little memory is a reason, never a crash", needs=NEEDS, limit=120)
def memory_limit(test: Context) -> None:
    def run_within(mib: int, memory: str):
        limited = ["sh", "-c", f"ulimit -v {mib << 10}; exec \"$@\"", "sh", *RUN, "--memory", memory, "--disk", str(noise(IN_BOX, 3))]
        return test.run([*limited, "--", "exit", "4"])

    done = run_within(512, "1G")
    assert done.status == 125 and b"cannot get 1024 MiB of memory" in done.errors, f"status {done.status}: {done.errors.decode()}"
    for mib in (40, 80, 90, 96, 98, 100, 104, 140):
        done = run_within(mib, "64M")
        assert done.status in (4, 125), f"{mib} MiB: status {done.status}: {done.errors.decode()}"
        assert done.status == 4 or done.errors, f"{mib} MiB: no reason"


@case("host faults: io_uring is refused; threads serve the disk", needs=NEEDS, limit=120)
def without_io_uring(test: Context) -> None:
    disk = noise(IN_BOX, 2049)
    done = test.run([sys.executable, "-c", WITHOUT_IO_URING, *RUN, "--disk", f"{disk},readonly", "--", "sum"])
    assert f"{digest(disk)}  disk0" in plain(done.text), "not the digest that the host has"
    assert done.status == 0, f"status {done.status}"


@case("host faults: the reader of its output, and its terminal, go away", needs=NEEDS, limit=120)
def nobody_listens(test: Context) -> None:
    done = test.run(["bash", "-c", '"$@" | head -c 20 > /dev/null; exit ${PIPESTATUS[0]}', "bash", *RUN, "--", "help", ";", "selftest", ";", "help"])
    assert done.status == 128 + signal.SIGPIPE, f"status {done.status}"
    master, slave = pty.openpty()
    with contextlib.ExitStack() as left:
        left.callback(os.close, master)
        vmm = subprocess.Popen(["setsid", "--ctty", "--wait", *RUN], stdin=slave, stdout=slave, stderr=slave, env=os.environ | NO_BUILD, cwd=ROOT)
        left.callback(vmm.kill)
        os.close(slave)
        screen = b""
        while PROMPT.encode() not in screen:
            assert select.select([master], [], [], test.left())[0], "no prompt"
            screen += os.read(master, 4096)
        left.pop_all()
        os.close(master)
        try:
            assert vmm.wait(20) == 128 + signal.SIGHUP, f"status {vmm.returncode}"
        finally:
            vmm.kill()


@case("host faults: SIGKILL with writes in flight; the image is whole and free for the next run", needs=NEEDS, limit=120)
def killed(test: Context) -> None:
    with folder_in_memory() as folder:
        disk = blank(folder / "disk.img", 8 << 20)
        with test.type_at([*RUN, "--disk", str(disk)]) as keyboard:
            keyboard.expect(PROMPT)
            keyboard.type(" ".join(WRITE) + " --time 60\r")
            before = disk.stat().st_blocks
            while disk.stat().st_blocks == before:
                assert test.left() and keyboard.process.poll() is None
                time.sleep(0.02)
            keyboard.process.kill()
            assert keyboard.process.wait(20) == -signal.SIGKILL
        assert disk.stat().st_size == 8 << 20
        expected = digest(disk)
        done = test.run([*RUN, "--disk", str(disk), "--", "sum"])
        assert f"{expected}  disk0" in plain(done.text) and done.status == 0, f"status {done.status}: {done.errors.decode()}"
        assert digest(disk) == expected, "something still wrote after the death"
