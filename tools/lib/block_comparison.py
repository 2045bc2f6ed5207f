"""`tools/bench block-vmm`: one guest image on this project's VMM and on QEMU: operations, CPU, exits and interrupts of disk reads."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import box
import io_trace
import kvm
from builder import build
from command import finish, positive
from report import Failure, say
from results import distribution, of_guests, with_peers
from same_guest import KERNEL, on_qemu, on_vmm, qemu_disk
from watched_process import STATISTICS, Usage, WatchedProcess

TOOL = "bench block-vmm"
DEPTHS = (1, 32)
DISK_SIZE = 64 << 20
POLL_NS = 1_000_000  # of those that poll by hand
BOOT_LIMIT = 300  # seconds, for a guest with its loads
BOX_LIMIT = 3600


@dataclass(frozen=True)
class Setting:
    """A machine, and the modes in which its guest drives the disk, one after another."""

    name: str
    modes: tuple[str, ...]
    vmm_options: str | None = None  # of our disk; None: QEMU
    poll_ns: int | None = None  # of QEMU's I/O thread
    busy: bool = False  # beside a process that takes all it gets of one processor

    def command(self, disk: Path, guest_command: list[str]) -> list[str]:
        if self.vmm_options is None:
            return on_qemu(guest_command, options=qemu_disk(disk, poll_ns=self.poll_ns))
        return on_vmm(guest_command, options=("--disk", f"{disk},readonly{self.vmm_options}"))


SETTINGS = (
    Setting("exo", ("adaptive", "interrupt"), vmm_options=""),
    Setting("exo, poll by hand", ("polling",), vmm_options=f",poll={POLL_NS // 1000}"),
    Setting("exo, busy host", ("adaptive", "interrupt", "polling"), vmm_options="", busy=True),
    Setting("QEMU", ("adaptive", "interrupt")),
    Setting("QEMU, poll by hand", ("polling",), poll_ns=POLL_NS),
)
# An operation each, but for the first.
FIGURES = {
    "iops": "IOPS", "p50_us": "p50 µs", "cpu_us": "CPU µs", "exits": "exits", "injected": "injected", "interrupts": "interrupts",
    "doorbells": "doorbells",
}  # fmt: skip


def guest_command(modes: tuple[str, ...], seconds: int) -> list[str]:
    """First as many seconds of next to nothing, which tell what the guest and its output cost without a load."""
    load = "blk bench disk0 --json"
    text = f"blk mode disk0 interrupt ; {load} --count 200 ; {load} --rate 1 --count {seconds + 1}"
    for mode in modes:
        text += f" ; blk mode disk0 {mode}"
        for depth in DEPTHS:
            text += f" ; {load} --depth {depth} --time 1 ; {load} --depth {depth} --time {seconds}"
    return text.split()


def results(setting: Setting, disk: int, seconds: int) -> Iterator[tuple[dict, Usage]]:
    """Each load's result, and what was used since the line before."""
    command = setting.command(Path(f"/proc/self/fd/{disk}"), guest_command(setting.modes, seconds))
    before = Usage()
    with WatchedProcess(command, time_limit=BOOT_LIMIT, pass_fds=(disk,)) as machine:
        for line in machine.lines():
            usage = machine.usage()
            if line.startswith("{"):
                result = json.loads(line)
                if result["error"]:
                    raise Failure(f"{setting.name}: {result['mode']}: {result['error']}")
                yield result, usage.since(before)
            before = usage


def figures(result: dict, used: Usage, idle: Usage) -> dict[str, float]:
    operations = result["operations"]
    own = used.since(idle)
    return {
        "iops": operations / result["elapsed_ns"] * 1e9, "p50_us": result["p50_ns"] / 1000, "cpu_us": own.cpu_ns / operations / 1000,
        "exits": own.exits / operations, "injected": own.irq_injections / operations,
        "interrupts": result["interrupts"] / operations, "doorbells": result["doorbells"] / operations,
    }  # fmt: skip


@contextmanager
def busy_process() -> Iterator[None]:
    """What a neighbour does that neither sleeps nor knows of guests."""
    last = max(os.sched_getaffinity(0))
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(last), "sh", "-c", "while :; do :; done"]) as process:
        try:
            yield
        finally:
            process.kill()


def measure(setting: Setting, disk: int, seconds: int) -> Iterator[dict]:
    with busy_process() if setting.busy else nullcontext():
        told = list(results(setting, disk, seconds))
    expected = 2 + 2 * len(setting.modes) * len(DEPTHS)
    if len(told) != expected:
        raise Failure(f"{setting.name}: the guest ended after {len(told)} of {expected} loads")
    idle = told[1][1]
    for result, used in told[3::2]:
        yield {"setting": setting.name, "mode": result["mode"], "depth": result["depth"], **figures(result, used, idle)}


def table(rows: list[dict]) -> str:
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["depth"], row["setting"], row["mode"]), []).append(row)
    text = f"{'depth':>5}  {'machine':<20}{'mode':<11}" + "".join(f"{label:>12}" for label in FIGURES.values()) + "   rounds\n"
    for (depth, setting, mode), group in sorted(groups.items(), key=lambda item: item[0][0]):
        medians = (statistics.median(row[name] for row in group) for name in FIGURES)
        text += f"{depth:>5}  {setting:<20}{mode:<11}" + "".join(f"{value:>12.3f}" if value < 100 else f"{value:>12.0f}" for value in medians)
        text += f"{len(group):>9}\n"
    return text


def lines(rows: list[dict]) -> list[dict]:
    """In the schema of results.py: a case each figure and depth, its samples are the rounds. Of operations a second more is better, so what
    one takes stands for them."""
    samples: dict[tuple, list[float]] = {}
    busy = [setting.name for setting in SETTINGS if setting.busy]
    for row in rows:
        values = {"ns of an operation": 1e9 / row["iops"]} | {label: row[name] for name, label in FIGURES.items() if name != "iops"}
        for label, value in values.items():
            where = ", busy host" if row["setting"] in busy else ""
            samples.setdefault((f"depth {row['depth']}{where}/{label}", label, row["setting"], row["mode"]), []).append(value)
    # Beside a busy process what is adaptive is held against what is not.
    return with_peers([
        {"suite": "block-vmm", "case": case, "variant": f"{setting}, {mode}",
         "side": "own" if setting.startswith("exo") and (mode == "adaptive" or setting not in busy) else "peer",
         "unit": label if label.startswith("ns") else f"{label}, an operation", **distribution(values), **of_guests()}
        for (case, label, setting, mode), values in samples.items()
    ])  # fmt: skip


def make_disk() -> int:
    """A file without a name: gone with the last process that has it."""
    disk = os.memfd_create("exo-bench-disk")
    for _ in range(DISK_SIZE >> 20):
        os.write(disk, os.urandom(1 << 20))
    return disk


def compare(asked) -> None:
    if not STATISTICS.is_dir():
        raise Failure(f"{STATISTICS} cannot be read: run as root, with debugfs mounted")
    disk = make_disk()
    settings = [setting for setting in SETTINGS if asked.case in setting.name]
    rows: list[dict] = []
    for number in range(asked.rounds):
        for setting in settings[number % len(settings) :] + settings[: number % len(settings)]:
            rows += measure(setting, disk, asked.seconds)
            with open(asked.json, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(rows))
            say(TOOL, f"round {number + 1} of {asked.rounds}: {setting.name}")
    trace, _ = io_trace.record(f"/proc/self/fd/{disk},readonly", io_trace.LOAD, pass_fds=(disk,))
    io_trace.FILE.parent.mkdir(parents=True, exist_ok=True)
    io_trace.FILE.write_text(json.dumps(trace), encoding="utf-8")
    print(f"4 KiB random reads of a disk in memory; medians; CPU of the whole process; per operation, less an idle guest\n{table(rows)}", end="")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=TOOL, description="The same guest on this project's VMM and on QEMU (q35, KVM, io_uring) in turn; where this machine has no KVM, in "
        "the kvm-box: counts are true there, times are not.",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive(int), default=5, metavar="N", help="how often each machine is measured (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--seconds", type=positive(int), default=1, metavar="N", help="of each load (default 1)")
    parser.add_argument("--case", default="", metavar="MACHINE", help="only machines whose name contains this: " + ", ".join(setting.name for setting in SETTINGS))
    parser.add_argument("--json", metavar="FILE", default="build/bench/block-vmm.jsonl", help="file for the figures, a line a machine, mode and depth")
    asked = parser.parse_args()
    asked.rounds = 1 if asked.quick else asked.rounds
    if not any(asked.case in setting.name for setting in SETTINGS):
        raise Failure(f"there is no machine '{asked.case}'; there are {', '.join(setting.name for setting in SETTINGS)}")
    build(TOOL, "release", ["vmm", "guest"])
    Path(asked.json).parent.mkdir(parents=True, exist_ok=True)
    reason = kvm.why_unusable()
    if reason is None:
        compare(asked)
        return 0
    if not KERNEL.exists():
        raise Failure(f"{KERNEL} is not built")
    say(TOOL, f"{reason}: in the kvm-box, where counts mean something and times do not")
    return box.run(["python3", __file__, *sys.argv[1:]], box.Options(time_limit=box.time_limit(BOX_LIMIT)))


if __name__ == "__main__":
    finish(TOOL, main)
