"""A program that runs one virtual machine, its output line by line, and what the program and its machine have used so far."""

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from report import Failure

STATISTICS = Path("/sys/kernel/debug/kvm")
COUNTERS = ("exits", "irq_injections")


@dataclass(frozen=True)
class Usage:
    cpu_ns: int = 0  # of all the program's threads
    exits: int = 0  # of the guest, by KVM's own count, those that stay in the kernel included
    irq_injections: int = 0

    def since(self, before: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) - getattr(before, name) for name in ("cpu_ns", *COUNTERS)))


class WatchedProcess:
    def __init__(self, command: list[str], *, time_limit: float, pass_fds: tuple[int, ...] = ()):
        self._command = command
        self._time_limit = time_limit
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            # A virtual machine must not outlive its tool, even one killed by SIGKILL.
            ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=pass_fds,
        )
        self._timer = threading.Timer(time_limit, self._process.kill)
        self._timer.start()

    def __enter__(self) -> "WatchedProcess":
        return self

    def __exit__(self, *_) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()

    def lines(self) -> Iterator[str]:
        """To the program's end."""
        for line in self._process.stdout:
            yield line.decode(errors="replace").strip()
        self._process.wait()
        if not self._timer.is_alive():
            raise Failure(f"still running after {self._time_limit:g} s: {' '.join(self._command)}")

    def usage(self) -> Usage:
        pid = self._process.pid
        try:
            # The clock of another process: clock_getcpuclockid(3).
            cpu_ns = time.clock_gettime_ns(~pid << 3 | 2)
            machine = self._statistics()
            counts = [] if machine is None else [int((machine / name).read_text()) for name in COUNTERS]
        except OSError:  # it has ended, or its machine has; what it says now is its last
            return Usage()
        return Usage(cpu_ns, *counts)

    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def wait_for_entry(self) -> float | None:
        """Seconds from the program's start to its guest's first instruction, as near as looking every half a millisecond can tell."""
        while self._process.poll() is None:
            try:
                machine = self._statistics()
                if machine is not None and int((machine / "exits").read_text()) != 0:
                    return self.age()
            except OSError:
                pass  # the machine has gone
            time.sleep(0.0005)
        return None

    def private_kib(self, guest_bytes: int) -> int:
        """Resident memory that only this program has, without that of its guest: mappings of at least half of `guest_bytes`."""
        total, size = 0, 0
        for line in Path(f"/proc/{self._process.pid}/smaps").read_text(encoding="ascii", errors="replace").splitlines():
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                size = int(found[2], 16) - int(found[1], 16)
            elif line.startswith("Private_") and size < guest_bytes // 2:
                total += int(line.split()[1])
        return total

    def _statistics(self) -> Path | None:
        return next(STATISTICS.glob(f"{self._process.pid}-*"), None)
