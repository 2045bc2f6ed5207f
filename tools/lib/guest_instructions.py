"""`tools/bench guest`: the kernel's own measurements on QEMU, whose clocks count the guest's instructions: the same in every run."""

import argparse
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command import finish
from paths import ROOT
from report import Failure, say
from results import distribution, with_peers

TOOL = "bench guest"
PLATFORM = "exo.efi on QEMU TCG, one CPU; its clocks count instructions"
BOOT_LIMIT = 120  # seconds


@dataclass(frozen=True)
class Boot:
    preset: str
    scheduler: str
    command: str
    quick: bool = True  # also in a quick run


BOOTS = (
    Boot("release", "predictive", "yields"),
    Boot("release", "round-robin", "yields"),
    Boot("release", "predictive", "ipc"),
    Boot("classic", "round-robin", "yields", quick=False),
)


def said(boot: Boot) -> Iterator[dict]:
    command = [str(ROOT / "tools" / "qemu"), "--icount", "--preset", boot.preset, "--append", f"scheduler={boot.scheduler}",
               "--time-limit", str(BOOT_LIMIT), "--", boot.command, "--json"]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(command)}: status {done.returncode}")
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def result(told: dict) -> dict:
    """In the schema of results.py. Each is one number: instructions do not vary."""
    if "policy" in told:
        case, variant, unit, value = "yield", f"{told['policy']}, {told['switch']}", "instructions a yield", told["median_ticks"]
        side = "peer" if told["switch"] == "classic" else "own"
    else:
        case, variant, unit = f"channel {told['pattern']}", told["variant"], "instructions a message"
        value = told["cycles"] / told["messages"]
        side = "peer" if told["variant"] == "classic" else "own"
    return {"suite": "guest", "case": case, "variant": variant, "side": side, "unit": unit, **distribution([value]), "platform": PLATFORM}


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"tools/{TOOL}", description="What a yield and a message cost in the kernel, in instructions, by booting it on QEMU.")
    parser.add_argument("--case", default="", metavar="PART", help="only cases whose name contains this")
    parser.add_argument("--rounds", help="has no meaning here: a second round gives the same")
    parser.add_argument("--quick", action="store_true", help="without the classic guest, which would have to be built")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="file for the lines")
    asked = parser.parse_args()
    lines = []
    for boot in BOOTS:
        if boot.quick or not asked.quick:
            say(TOOL, f"{boot.command}, {boot.preset}, {boot.scheduler}…")
            lines += [line for told in said(boot) if asked.case in (line := result(told))["case"]]
    asked.json.write_text("".join(json.dumps(line) + "\n" for line in with_peers(lines)), encoding="utf-8")
    for line in lines:
        ratio = f"   {line['ratio']:.2f}× of {line['best_peer']}" if "ratio" in line else ""
        print(f"{line['case']:<20}{line['variant']:<28}{line['median']:>8.0f} {line['unit']}{ratio}")
    return 0


if __name__ == "__main__":
    finish(TOOL, main)
