"""A program whose output comes line by line, each with what the program and its virtual machine had used by then."""

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


def watch(command: list[str], *, time_limit: float, pass_fds: tuple[int, ...] = ()) -> Iterator[tuple[str, Usage]]:
    """Runs the command to its end."""
    process = subprocess.Popen(
        # A virtual machine must not outlive its tool, even one killed by SIGKILL.
        ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=pass_fds,
    )
    timer = threading.Timer(time_limit, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            yield line.decode(errors="replace").strip(), _usage(process.pid)
        process.wait()
    finally:
        in_time = timer.is_alive()
        timer.cancel()
        process.kill()
        process.wait()
    if not in_time:
        raise Failure(f"still running after {time_limit:g} s: {' '.join(command)}")


def _usage(pid: int) -> Usage:
    try:
        # The clock of another process: clock_getcpuclockid(3).
        cpu_ns = time.clock_gettime_ns(~pid << 3 | 2)
        machine = next(STATISTICS.glob(f"{pid}-*"), None)
        counts = [] if machine is None else [int((machine / name).read_text()) for name in COUNTERS]
    except OSError:  # it has ended, or its machine has; this line is one of its last
        return Usage()
    return Usage(cpu_ns, *counts)
