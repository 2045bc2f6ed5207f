"""`tools/attack`: guests that attack the VMM from inside, seed after seed, and what no run may show."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import box
import kvm
from builder import build
from command import finish, positive
from paths import BUILD, GUEST, VMM

TOOL = "attack"
FOLDER = BUILD / "attack"
DISK_SIZE = 1 << 20
MOST_PRIVATE_KIB = 24 << 10  # of the VMM, without guest memory
MOST_OUTPUT = 256 << 10  # bytes of the guest's console
MOST_LOG = 8 << 10  # bytes that the VMM says
TERMINATED = 143
# Succeeded, its kernel failed, it died by the VMM's or KVM's verdict, or it went on and was ended from outside.
EXPECTED = {False: (0,), True: (0, 126, 127, TERMINATED)}


def command(disks: list[Path], metrics: Path, attack: list[str]) -> list[str]:
    """A guest that attacks; disks in turn behind fusion-blk and virtio-blk, read-only."""
    kinds = ("", ",type=virtio")
    words = [str(VMM), "run", "--boot", "direct", "--kernel", str(GUEST), "--cpus", "2", "--memory", "128M", "--metrics", str(metrics)]
    for number, disk in enumerate(disks):
        words += ["--disk", f"{disk},readonly{kinds[number % 2]}"]
    return [*words, "--", *attack]


def fault(status: int, output: bytes, log: bytes, metrics: Path, expected: tuple[int, ...]) -> str | None:
    """What the VMM did wrong in a run that is over; None when nothing."""
    if status not in expected:
        return f"status {status}: {log[-500:].decode(errors='replace')}"
    if status == 127 and not log:
        return "the guest was ended without a reason"
    if len(output) > MOST_OUTPUT or len(log) > MOST_LOG:
        return f"{len(output)} bytes of output, {len(log)} of log"
    private = json.loads(metrics.read_text())["vmm_private_kib"]
    return f"the VMM has taken {private} KiB" if private > MOST_PRIVATE_KIB else None


def _attack_once(seed: int, wild: bool, rounds: int, limit: float) -> str | None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        metrics, disk = Path(folder) / "metrics.json", Path(folder) / "disk.img"
        content = os.urandom(DISK_SIZE)
        disk.write_bytes(content)
        words = ["attack", "--rounds", str(rounds), "--seed", str(seed), *(["--wild"] if wild else [])]
        run = ["timeout", "--preserve-status", "-k", "20", "-s", "TERM", str(limit), *command([disk, disk], metrics, words)]
        done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        found = fault(done.returncode, done.stdout, done.stderr, metrics, EXPECTED[wild])
        if found is None and disk.read_bytes() != content:
            found = "a read-only disk was written to"
        if found:
            kept = FOLDER / f"{'wild' if wild else 'tame'}-{seed}.log"
            kept.write_bytes(done.stdout + done.stderr)
            found += f" ({kept})"
        print(f"seed {seed}{', wild' if wild else ''}: status {done.returncode}{'; ' + found if found else ''}", flush=True)
        return found


def _attack(asked: argparse.Namespace) -> int:
    end = time.monotonic() + 60 * asked.minutes
    runs = failures = 0
    while time.monotonic() < end:
        # A wild guest may restart without end; a tame one ends by itself.
        wild = runs % 2 == 1
        failures += _attack_once(asked.seed + runs // 2, wild, asked.rounds, 20 if wild else 600) is not None
        runs += 1
    print(f"{runs} attacks, {failures} that the VMM did not withstand")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=TOOL, description="Boots guests that attack this project's VMM from inside (`help attack` at the guest's shell), one seed after the "
        "other, tame and wild in turn, where KVM is, else in the kvm-box. What a failed one printed is kept in build/attack. Status: 1 when the "
        "VMM did not withstand one.",
    )
    parser.add_argument("--minutes", type=positive(float), default=10, metavar="N", help="for so long (10)")
    parser.add_argument("--rounds", type=positive(int), default=100, metavar="N", help="attacks on each feature in a run (100)")
    parser.add_argument("--seed", type=positive(int), default=1, metavar="N", help="the first seed (1)")
    asked = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    build(TOOL, "release", ["vmm", "guest"])
    if kvm.why_unusable() is None:
        return _attack(asked)
    again = [sys.executable, __file__, *sys.argv[1:]]
    os.environ["EXO_NO_BUILD"] = "1"
    return box.run(again, box.Options(writable=[FOLDER], time_limit=60 * asked.minutes + 900))


if __name__ == "__main__":
    finish(TOOL, main)
