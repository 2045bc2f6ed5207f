"""The guest's serial console of an emulator, on our standard input and output, and the status it leaves there."""

import re
import select
import socket
import subprocess
import time

from report import Failure, say
from terminal import TIMED_OUT, RawTerminal, Stopped, interactive, read_input, write_all

# shared/platform/exit_status.h
PANICKED, DIED, QUIT = 126, 127, 128
# shared/platform/platform.h: the last line of a guest; emulators have no exit port that carries a status.
TRAILER = re.compile(rb"(?:^|[\r\n])exo: (exit|panic) status (\d+)\r?\n")
ESCAPE = b"\x01"  # Ctrl-A, then x
GRACE = 10  # seconds for a machine to end after its guest has
TAIL = 4096


class EndedEarly(Failure):
    """The emulator did not even start; its log says why."""


class Console:
    def __init__(self, tool: str, link: socket.socket, time_limit: float | None):
        self._tool = tool
        self._link = link
        self._deadline = time.monotonic() + time_limit if time_limit else None
        self._time_limit = time_limit
        self._tail = b""
        self._escaping = False
        self._input_open = True

    def run(self) -> int:
        """Until the machine ends. The guest's status, or one of ours (126 panic, 127 no status, 128 the user left, 137 time limit)."""
        with RawTerminal(interactive()):
            while self._pump():
                pass
        found = TRAILER.findall(self._tail)
        if found:
            return int(found[-1][1])
        say(self._tool, "the machine ended, and its guest had not said with what status")
        return DIED

    def _pump(self) -> bool:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        if self._input_open:
            poll.register(0, select.POLLIN)
        remaining = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        ready = {descriptor for descriptor, _ in poll.poll(None if remaining is None else remaining * 1000)}
        if 0 in ready:
            self._take_input()
        if self._link.fileno() in ready and not self._take_output():
            return False
        if self._deadline is None or time.monotonic() < self._deadline:
            return True
        if TRAILER.search(self._tail):
            return False  # the guest is done; its machine need not be waited for
        say(self._tool, f"the time limit of {self._time_limit:g} s ended the machine")
        raise Stopped(TIMED_OUT)

    def _take_output(self) -> bool:
        try:
            data = self._link.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            return False
        write_all(1, data)
        done = TRAILER.search(self._tail)
        self._tail = (self._tail + data)[-TAIL:]
        if not done and TRAILER.search(self._tail):
            self._deadline = time.monotonic() + GRACE
        return True

    def _take_input(self) -> None:
        data = read_input(4096)
        if not data:
            self._input_open = False
            return
        if interactive():
            data = self._without_escapes(data)
        try:
            self._link.sendall(data)
        except ConnectionError:
            self._input_open = False

    def _without_escapes(self, data: bytes) -> bytes:
        """Ctrl-A x leaves; Ctrl-A Ctrl-A is one Ctrl-A for the guest; the same keys as `vmm run`."""
        kept = bytearray()
        for key in data:
            key = bytes([key])
            if self._escaping:
                self._escaping = False
                if key in (b"x", b"X"):
                    raise Stopped(QUIT)
                kept += key if key == ESCAPE else ESCAPE + key
            elif key == ESCAPE:
                self._escaping = True
            else:
                kept += key
        return bytes(kept)


def run_machine(tool: str, command: list[str], listener: socket.socket, log, time_limit: float | None) -> int:
    """Starts an emulator whose serial port connects to `listener`, relays its console, ends it. What it says itself goes to the file `log`."""
    machine = subprocess.Popen(
        # An emulator must not outlive its tool, even one killed by SIGKILL.
        ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        with _accept(machine, listener) as link:
            return Console(tool, link, time_limit).run()
    finally:
        _end(machine)


def _accept(machine: subprocess.Popen, listener: socket.socket) -> socket.socket:
    listener.settimeout(0.2)
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            if machine.poll() is not None:
                raise EndedEarly(f"the emulator ended before its serial port was there (status {machine.returncode})") from None


def _end(machine: subprocess.Popen) -> None:
    machine.terminate()
    try:
        machine.wait(2)
    except subprocess.TimeoutExpired:
        machine.kill()  # a stuck Bochs obeys nothing less
        machine.wait()
