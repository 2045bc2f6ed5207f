"""`tools/boot-table`: the guest in every way to boot it, with CPUs, memory, features and disks so chosen that each two settings meet in a boot."""

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from builder import build
from command import finish
from paths import BUILD, ROOT, guest
from report import Failure, say

TOOL = "boot-table"
DISK_BYTES = 2049 * 512  # more than one request's worth, and an odd number of sectors
BOOT_LIMIT = 300  # seconds
BOX_MIB = 2048  # of the kvm-box, beside its guest


@dataclass(frozen=True)
class Boot:
    way: str
    cpus: int
    memory_mib: int
    features: str  # the guest's preset: all on, or all off
    disk: str

    def is_possible(self) -> bool:
        own_disk = self.way.startswith("vmm") == (self.disk != "the machine's")
        # tools/bochs boots the release guest, and Bochs emulates no more memory than the host may lend it.
        bochs = self.way != "Bochs" or (self.features == "release" and self.memory_mib <= 256)
        return own_disk and bochs

    def command(self, disk: Path, folder: Path) -> list[str]:
        if self.way.startswith("vmm"):
            return self._on_vmm(disk, folder)
        machine = ["tools/bochs"] if self.way == "Bochs" else ["tools/qemu", "--machine", self.way.split()[1], "--preset", self.features]
        return [*machine, "--cpus", str(self.cpus), "--memory", str(self.memory_mib), "--disk", f"{disk},readonly", "--", "sum"]

    def _on_vmm(self, disk: Path, folder: Path) -> list[str]:
        start = {
            "vmm, cold": ["--firmware-cache", "off"], "vmm, warm": ["--firmware-cache", str(folder)], "vmm, directly": ["--boot", "direct"],
        }[self.way]  # fmt: skip
        return [
            "tools/run", "--kernel", str(guest(self.features)), *start, "--cpus", str(self.cpus), "--memory", f"{self.memory_mib}M",
            "--disk", f"{disk},readonly,type={self.disk}", "--metrics", str(folder / "metrics.json"), "--", "sum",
        ]  # fmt: skip


CHOICES = (
    ("vmm, cold", "vmm, warm", "vmm, directly", "QEMU pc", "QEMU q35", "Bochs"),
    (1, 2, 4),
    (64, 256, 3072, 6144),
    ("release", "classic"),
    ("fusion", "virtio", "the machine's"),
)


def pairs(boot: Boot) -> set[tuple]:
    values = [(field.name, getattr(boot, field.name)) for field in fields(boot)]
    return set(itertools.combinations(values, 2))


def chosen() -> list[Boot]:
    """As few boots as a greedy search finds, in which all pairs of settings occur that can."""
    candidates = [boot for values in itertools.product(*CHOICES) if (boot := Boot(*values)).is_possible()]
    missing = set().union(*map(pairs, candidates))
    found = []
    while missing:
        best = max(candidates, key=lambda boot: len(pairs(boot) & missing))
        missing -= pairs(best)
        found.append(best)
    return sorted(found, key=lambda boot: [choice.index(getattr(boot, field.name)) for choice, field in zip(CHOICES, fields(boot))])


@dataclass(frozen=True)
class Outcome:
    why_bad: str | None
    seconds: float  # of the whole command, the box's start included
    ready: str | None  # by the guest's clock, from the loader's start
    exits: int | None


def run(boot: Boot, disk: Path, digest: str, folder: Path) -> Outcome:
    begun = time.monotonic()
    command = boot.command(disk, folder)
    environment = os.environ | {"EXO_NO_BUILD": "1", "EXO_BOX_MEMORY": str(boot.memory_mib + BOX_MIB)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=BOOT_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(f"nothing after {BOOT_LIMIT} s", BOOT_LIMIT, None, None)
    text = done.stdout.decode(errors="replace")
    (BUILD / "test-logs").mkdir(exist_ok=True)
    with open(BUILD / "test-logs" / "boot-table.log", "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n{text}{done.stderr.decode(errors='replace')}\n")
    ready = re.search(r"ready +([\d.]+ m?s) after", text)
    metrics = folder / "metrics.json"
    told = json.loads(metrics.read_text()) if boot.way.startswith("vmm") and metrics.exists() else None
    metrics.unlink(missing_ok=True)
    return Outcome(
        _why_bad(boot, done.returncode, text, digest, told), time.monotonic() - begun, ready[1] if ready else None,
        told["kvm"].get("exits") if told else None,
    )  # fmt: skip


def _why_bad(boot: Boot, status: int, text: str, digest: str, metrics: dict | None) -> str | None:
    if status != 0:
        return f"status {status}"
    if digest not in text:
        return "another digest of the disk"
    if f"{boot.cpus} of {boot.cpus} in use" not in text:
        return "not all CPUs are in use"
    firmware = {"vmm, cold": "cold", "vmm, warm": "warm", "vmm, directly": "none"}.get(boot.way)
    if firmware and (metrics is None or metrics["firmware"] != firmware):
        return f"not a {firmware} boot"
    return None


def boots(asked) -> Iterator[tuple[Boot, Outcome]]:
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="boot-table-") as scratch:
        folder = Path(scratch)
        disk = folder / "disk.img"
        content = random.Random(1).randbytes(DISK_BYTES)
        disk.write_bytes(content)
        for boot in asked:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            if boot.way == "vmm, warm":
                run(boot, disk, "", folder)  # leaves the warm firmware that the next one is to use
            yield boot, run(boot, disk, hashlib.sha256(content).hexdigest(), folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"tools/{TOOL}", description="Boots the guest in every way there is and has it digest a disk: each way, number of CPUs, "
                                     "size of memory, set of features and kind of disk meets each other one at least once.")  # fmt: skip
    parser.add_argument("--case", default="", metavar="WAY", help="only ways to boot that contain this: " + "; ".join(CHOICES[0]))
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON lines")
    asked = parser.parse_args()
    selected = [boot for boot in chosen() if asked.case in boot.way]
    if not selected:
        raise Failure(f"there is no way to boot '{asked.case}'; there are {'; '.join(CHOICES[0])}")
    build(TOOL, "release", ["vmm", "guest"])
    build(TOOL, "classic", ["guest"])
    (BUILD / "test-logs" / "boot-table.log").unlink(missing_ok=True)
    print(f"{'boot':<15}{'CPUs':>5}{'MiB':>6}  {'features':<9}{'disk':<14}{'ready':>10}{'exits':>9}{'whole, s':>10}  outcome")
    bad = 0
    lines = []
    for boot, outcome in boots(selected):
        bad += outcome.why_bad is not None
        told = [outcome.ready or "-", "-" if outcome.exits is None else f"{outcome.exits:,}"]
        print(f"{boot.way:<15}{boot.cpus:>5}{boot.memory_mib:>6}  {'on' if boot.features == 'release' else 'off':<9}{boot.disk:<14}{told[0]:>10}{told[1]:>9}"
              f"{outcome.seconds:>10.1f}  {outcome.why_bad or 'ok'}", flush=True)  # fmt: skip
        lines.append(json.dumps(asdict(boot) | asdict(outcome)) + "\n")
    if asked.json:
        asked.json.write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines) - bad} booted well, {bad} not; what they said: build/test-logs/boot-table.log")
    return 1 if bad else 0


if __name__ == "__main__":
    finish(TOOL, main)
