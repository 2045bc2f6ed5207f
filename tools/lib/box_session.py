"""The host's side of a command in the box: bytes, terminal, window size, signals, exit status. tools/box/ is the other side."""

import os
import select
import signal
import socket
import struct
import time

from box_parts import TOOL
from report import Failure, say
from terminal import TIMED_OUT, RawTerminal, Stopped, interactive, read_input, window_size, write_all

HEADER = struct.Struct("<c3xI")
CHUNK = 32768
INPUT_WINDOW = 8 * CHUNK  # bytes under way that the command has not taken; beyond it we stop reading

class Channel:
    """Frames over the socket that QEMU shows the box as a serial port."""

    def __init__(self, link: socket.socket):
        self._link = link
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        self._link.close()

    def send(self, kind: str, payload: bytes = b"") -> None:
        self._link.sendall(HEADER.pack(kind.encode(), len(payload)) + payload)

    def fill(self) -> None:
        data = self._link.recv(1 << 18)
        if not data:
            raise ConnectionError("the box hung up")
        self._buffer += data

    def next(self) -> tuple[str, bytes] | None:
        if len(self._buffer) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._buffer)
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        return kind.decode("latin-1"), payload

    def receive(self, deadline: float) -> tuple[str, bytes]:
        while True:
            frame = self.next()
            if frame:
                return frame
            self._link.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                self.fill()
            finally:
                self._link.settimeout(None)


class Session:
    def __init__(self, channel: Channel, request: list[tuple[str, str]], time_limit: float | None):
        self._channel = channel
        self._request = request
        self._terminal = interactive()
        self._limit = time_limit
        self._window = INPUT_WINDOW
        self._input_open = True
        self._interrupts = 0
        self._status: int | None = None

    def run(self) -> int:
        wake, ring = socket.socketpair()
        ring.setblocking(False)
        with wake, ring:
            old_wakeup = signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
            old_handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)}
            try:
                self._send_request()
                with RawTerminal(self._terminal):
                    self._loop(wake)
            finally:
                for number, handler in old_handlers.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(old_wakeup)
        return self._status

    def _send_request(self) -> None:
        pairs = list(self._request)
        if self._terminal:
            rows, columns = window_size()
            pairs += [("terminal", "" if os.isatty(2) else "separate errors"), ("size", f"{rows}:{columns}")]
        self._channel.send("c", b"".join(os.fsencode(text) + b"\0" for pair in pairs for text in pair))

    def _loop(self, wake: socket.socket) -> None:
        deadline = time.monotonic() + self._limit if self._limit else None
        while self._status is None:
            poll = select.poll()
            poll.register(self._channel.fileno(), select.POLLIN)
            poll.register(wake.fileno(), select.POLLIN)
            if self._input_open and self._window > 0:
                poll.register(0, select.POLLIN)
            remaining = max(0, deadline - time.monotonic()) if deadline else None
            ready = {descriptor for descriptor, _ in poll.poll(remaining * 1000 if deadline else None)}
            if wake.fileno() in ready:
                wake.recv(4096)
            if 0 in ready:
                self._take_input()
            if self._channel.fileno() in ready:
                self._channel.fill()
            while self._status is None and (frame := self._channel.next()):
                self._handle(*frame)
            if deadline and time.monotonic() >= deadline and self._status is None:
                say(TOOL, f"the time limit of {self._limit:g} s (EXO_BOX_TIMEOUT) ended the box")
                raise Stopped(TIMED_OUT)

    def _take_input(self) -> None:
        data = read_input(min(CHUNK, self._window))
        if data:
            self._window -= len(data)
            self._channel.send("i", data)
        else:
            self._input_open = False
            self._channel.send("e")

    def _handle(self, kind: str, payload: bytes) -> None:
        if kind == "o":
            write_all(1, payload)
        elif kind == "x":
            write_all(2, payload)
        elif kind == "a":
            self._window += struct.unpack("<I", payload)[0]
        elif kind == "q":
            self._status = struct.unpack("<I", payload)[0]
        elif kind == "f":
            raise Failure(f"the box could not run the command: {payload.decode(errors='replace')}")

    def _on_signal(self, number: int, _frame) -> None:
        if number == signal.SIGWINCH:
            if self._terminal:
                self._channel.send("w", struct.pack("<HH", *window_size()))
            return
        self._interrupts += 1
        if self._interrupts > 2:  # the command does not listen
            raise Stopped(128 + number)
        self._channel.send("s", struct.pack("<I", number))
