"""A Linux machine under an emulator in which KVM works, from its start to its end; which emulator is its subclasses' business."""

import os
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from box_parts import TOOL
from box_session import Channel
from disks import Disk
from paths import cache
from report import Failure, Phase

# The kernel's own start is most of ours: no mitigations, self-tests, address randomization, or clearing of fresh memory.
KERNEL_COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no5lvl cryptomgr.notests random.trust_cpu=on tsc=reliable no_timer_check "
    "init_on_alloc=0 audit=0 lsm=capability numa=off raid=noautodetect rcupdate.rcu_expedited=1"
)


@dataclass
class Options:
    disks: list[Disk] = field(default_factory=list)
    writable: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)  # for a box that does not see the host's files
    memory_mib: int = 0  # 0: EXO_BOX_MEMORY, or 4 GiB, or half of the host's
    time_limit: float | None = None  # seconds for the command
    announce: str | None = None  # a line to show while the box starts
    cpu: str = "amd"  # of box.KINDS


class DidNotStart(Exception):
    """The box itself, not the command, failed: worth another try."""


class Box(ABC):
    START_LIMIT = 150  # seconds; a quiet machine needs a tenth of it or less

    def __init__(self, options: Options):
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="exo-box-"))
        self._emulator: subprocess.Popen | None = None
        self.channel: Channel | None = None
        self.kept_console = cache() / "box" / "failed-console.log"

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, kind, *_) -> None:
        if self._emulator:
            self._emulator.terminate()  # the box has synced; the emulator itself caches nothing
            try:
                self._emulator.wait(5)
            except subprocess.TimeoutExpired:
                self._emulator.kill()
                self._emulator.wait()
        if self.channel:
            self.channel.close()
        if kind and self._console.exists():
            shutil.copyfile(self._console, self.kept_console)
        shutil.rmtree(self._folder, ignore_errors=True)

    @abstractmethod
    def _launch(self) -> None:
        """Starts the emulator by `_run` and sets `channel`."""

    @abstractmethod
    def _places(self) -> list[tuple[str, str]]:
        """Where the command finds the host's files and disks, as tools/box/request.h reads it."""

    @property
    def _console(self) -> Path:
        return self._folder / "console.log"

    def start(self) -> None:
        if not self._options.announce:
            self._start()
            return
        with Phase(TOOL, self._options.announce):
            self._start()

    def _start(self) -> None:
        deadline = time.monotonic() + self.START_LIMIT
        self._launch()
        try:
            kind, payload = self.channel.receive(deadline)
        except TimeoutError:
            raise DidNotStart(f"the box did not start within {self.START_LIMIT} s{self._last_words()}") from None
        except ConnectionError:
            raise self._stopped() from None
        if kind != "r":
            raise Failure(f"the box could not be set up: {payload.decode(errors='replace')}")

    def _run(self, command: list[str], environment: dict[str, str], pass_fds: tuple[int, ...] = ()) -> None:
        with open(self._folder / "emulator.log", "wb") as log:
            self._emulator = subprocess.Popen(
                # A box must not outlive its tool, even one killed by SIGKILL.
                ["setpriv", "--pdeathsig", "KILL", *command], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=pass_fds, start_new_session=True, env=os.environ | environment,
            )  # fmt: skip

    def _stopped(self) -> Exception:
        status, told = self._ended()
        if status == 1 and told:  # it refused its arguments; another try would end the same way
            return Failure(f"the box's emulator refused to start: {told}")
        return DidNotStart(f"the box stopped while it started (status {status}){self._last_words()}")

    def _ended(self) -> tuple[int, str]:
        """How the emulator ended, which has hung up, and the last that it said."""
        return self._emulator.wait(10), self._complaint((self._folder / "emulator.log").read_text(errors="replace").strip())

    def _complaint(self, log: str) -> str:
        """What of the emulator's own words tells why it ended, if anything does."""
        return log.splitlines()[-1] if log else ""

    def death(self) -> str:
        """Why the box has hung up, in words for a person."""
        try:
            status, told = self._ended()
        except subprocess.TimeoutExpired:
            return "its emulator still runs, without its channel"
        how = f"its emulator ended by signal {-status}" if status < 0 else f"its emulator ended with status {status}"
        return f"{how}: {told}" if told else f"{how}{self._last_words()}"

    def _last_words(self) -> str:
        lines = self._console.read_text(errors="replace").strip().splitlines() if self._console.exists() else []
        return f"; its last words: {lines[-1].strip()}" if lines else ""

    def request(self, command: list[str]) -> list[tuple[str, str]]:
        """What to run and with what, as tools/box/request.h reads it; the session adds the terminal."""
        pairs = [("argument", word) for word in command]
        pairs += [("environment", f"{name}={value}") for name, value in _environment().items()]
        return [*pairs, ("directory", os.getcwd()), *self._places()]


ENVIRONMENT = {"TERM", "COLORTERM", "NO_COLOR", "HOME", "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "CI", "TMPDIR",
               "XDG_CACHE_HOME"}
ENVIRONMENT_FAMILIES = ("EXO_", "LC_", "GTEST_", "ASAN_", "UBSAN_", "TSAN_", "LSAN_", "PYTHON")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ENVIRONMENT or name.startswith(ENVIRONMENT_FAMILIES)}
    return kept | {"EXO_BOX": "1", "PWD": os.getcwd()}
