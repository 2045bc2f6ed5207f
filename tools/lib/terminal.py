"""The person's terminal: raw while a guest or a box has it, as it was before on every way out."""

import fcntl
import os
import select
import signal
import struct
import termios
import tty


class Stopped(Exception):
    """The user, a signal or a time limit ended what was running."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


TIMED_OUT = 137  # killed, as `timeout -s KILL` says; 124 may be the guest's own


def interactive() -> bool:
    return os.isatty(0) and os.isatty(1)


class RawTerminal:
    """Keys go through as they are, Ctrl-C included."""

    def __init__(self, wanted: bool):
        self._wanted = wanted
        self._before = None

    def __enter__(self):
        if self._wanted:
            self._before = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSANOW)

    def __exit__(self, *_):
        if self._before:
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)


def window_size() -> tuple[int, int]:
    """Rows and columns."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(1, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:  # somebody else made it non-blocking
                select.select([], [descriptor], [])
    except BrokenPipeError:
        raise Stopped(128 + signal.SIGPIPE) from None


def read_input(limit: int) -> bytes:
    """Standard input, or nothing at its end (closed, or a terminal that hung up)."""
    try:
        return os.read(0, limit)
    except OSError:
        return b""


def stop_on_signals() -> None:
    """From now on SIGTERM and SIGHUP end what runs in an orderly way."""

    def stop(number, _frame):
        raise Stopped(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
