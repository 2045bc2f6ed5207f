"""Disks on an NBD server, which dies while the guest uses them."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from guest_test import PROMPT, digest
from harness import Context, case
from paths import GUEST, VMM
from test_disks import IN_BOX, ext4


class Server:
    """nbdkit with a file, on a socket of its own."""

    def __init__(self, file: Path, folder: Path):
        self._socket = folder / "socket"
        self.uri = f"nbd+unix:///?socket={self._socket}"
        self._command = ["nbdkit", "--foreground", "--exit-with-parent", "--read-only", "--unix", str(self._socket), "file", str(file)]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        while not self._socket.exists():
            assert self._process.poll() is None, "nbdkit ended"
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def serving(file: Path) -> Iterator[Server]:
    # Not in /tmp: in the box that is the host's, and two hosts' sockets are not one.
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    server = Server(file, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@case("vmm: a disk on an NBD server that is killed and comes back", needs=("kvm", "vmm", "guest", "nbdkit"), limit=300)
def server_dies(test: Context) -> None:
    disk = ext4(IN_BOX)
    expected = digest(disk)
    with serving(disk) as server:
        launch = [str(VMM), "run", "--kernel", str(GUEST), "--disk", f"{server.uri},readonly"]
        with test.type_at(launch) as keyboard:
            keyboard.expect(PROMPT)
            keyboard.type("sum\r")
            keyboard.expect(expected)
            server.kill()
            keyboard.type("sum\r")
            keyboard.expect("the server has gone away")
            server.start()
            keyboard.expect("the server is back")
            keyboard.expect(expected)
            keyboard.type("exit 7\r")
            assert keyboard.wait() == 7
