"""Boot tests: cases registered as functions, run one after another, each with a time limit and a console log of its own."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paths import BUILD, ROOT

LOGS = BUILD / "test-logs"
NO_BUILD = {"EXO_NO_BUILD": "1"}  # a launch under a time limit must not turn into a build
CASES: list["Case"] = []


@dataclass(frozen=True)
class Case:
    name: str
    function: Callable[["Context"], None]
    needs: tuple[str, ...]  # what the machine must offer: keys of platforms.CHECKS
    limit: float  # seconds
    group: str  # cases of one group never run at the same time

    @property
    def log(self) -> Path:
        return LOGS / (re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") + ".log")


def case(name: str, *, needs: tuple[str, ...], limit: float, group: str = ""):
    """Registers a boot test. The function gets a Context; it fails by an AssertionError or by running out of time."""

    def register(function):
        CASES.append(Case(name, function, needs, limit, group))
        return function

    return register


@dataclass(frozen=True)
class Result:
    status: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace").replace("\r\n", "\n")


class OutOfTime(AssertionError):
    pass


class Context:
    """What a case uses to run things: everything it runs and sees goes to its log, and nothing outlives its time."""

    def __init__(self, running: Case):
        self._deadline = time.monotonic() + running.limit
        self._limit = running.limit
        LOGS.mkdir(parents=True, exist_ok=True)
        self._log = open(running.log, "wb", buffering=0)

    def close(self) -> None:
        self._log.close()

    def note(self, text: str) -> None:
        self._log.write(text.encode() + b"\n")

    def left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"the time limit of {self._limit:g} s passed")
        return left

    def run(self, command: list[str], *, stdin: bytes = b"", cwd: Path = ROOT, env: dict[str, str] | None = None) -> Result:
        self.note(f"$ {' '.join(command)}")
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | NO_BUILD | (env or {}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(stdin, timeout=self.left())
        except subprocess.TimeoutExpired:
            end_group(process)
            output, errors = process.communicate()
            self._record(output, errors)
            raise OutOfTime(f"still running after the time limit of {self._limit:g} s: {' '.join(command)}") from None
        self._record(output, errors)
        self.note(f"[status {process.returncode}]")
        return Result(process.returncode, output, errors)

    def record(self, piece: bytes) -> None:
        self._log.write(piece)

    def _record(self, output: bytes, errors: bytes) -> None:
        for stream in (output, errors):
            self._log.write(stream if len(stream) < 1 << 20 else b"[%d bytes]\n" % len(stream))

    def type_at(self, command: list[str], *, rows: int = 24, columns: int = 80) -> "Keyboard":
        self.note(f"$ {' '.join(command)}   (at a terminal)")
        return Keyboard(self, command, rows, columns)


class Keyboard:
    """A command at a terminal of its own: type, wait for text, resize."""

    def __init__(self, context: Context, command: list[str], rows: int, columns: int):
        self._context = context
        self.screen = b""
        self._matched = 0  # bytes of it that were expected and came
        self._master, slave = pty.openpty()
        self.resize(rows, columns)
        self._slave = slave  # kept open, so that the terminal's state can be read after the command
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command], cwd=ROOT, env=os.environ | NO_BUILD, stdin=slave, stdout=slave, stderr=slave,
        )

    def __enter__(self) -> "Keyboard":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            end_group(self.process)
        self._context.record(b"\n")
        os.close(self._master)
        os.close(self._slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def expect(self, pattern: str) -> re.Match:
        """Waits for a regular expression in what is on the screen and not matched yet; consumes up to its end."""
        while True:
            found = re.compile(pattern.encode(), re.MULTILINE).search(self.screen, self._matched)
            if found:
                self._matched = found.end()
                return found
            if not self._read():
                raise AssertionError(f"the command ended and never showed {pattern!r}")

    def wait(self) -> int:
        while self._read():
            pass
        return self.process.wait(self._context.left())

    def flags(self) -> list:
        """The terminal's modes, to compare before and after."""
        return termios.tcgetattr(self._slave)

    def _read(self) -> bool:
        """False once the command has ended and all it wrote was read."""
        while True:
            over = self.process.poll() is not None
            ready, _, _ = select.select([self._master], [], [], min(0.1, self._context.left()))
            if ready:
                piece = os.read(self._master, 65536)
                self.screen += piece
                self._context.record(piece)
                return True
            if over:
                return False


def end_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def run_case(running: Case) -> str | None:
    """The reason of the failure, or None."""
    context = Context(running)
    try:
        running.function(context)
        return None
    except AssertionError as failure:
        context.note(traceback.format_exc())
        return str(failure) or _failed_line(failure)
    except Exception as failure:  # pylint: disable=broad-exception-caught  # a broken case is a failed case, not the end of the run
        context.note(traceback.format_exc())
        return f"{type(failure).__name__}: {failure}"
    finally:
        context.close()


def _failed_line(failure: AssertionError) -> str:
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
