"""What no compiler checks: the format of the sources, and that the house's arrows run one way."""

import re
import subprocess
import time
from pathlib import Path

from paths import ROOT
from verdict import Verdict, matches

# Each folder and the folders its sources may include; the nearest one listed decides.
ARROWS = {
    "shared": {"shared"},
    "firmware": {"firmware", "vmm/base"},
    "vmm/base": {"vmm/base", "shared"},
    "vmm/isolation": {"vmm/isolation", "vmm/base"},
    "vmm/storage": {"vmm/storage", "vmm/base", "shared"},
    "vmm/devices": {"vmm/devices", "vmm/storage", "vmm/base", "shared"},
    "vmm/kvm": {"vmm/kvm", "vmm/base", "shared"},
    "vmm/machine": {"vmm/machine", "vmm/devices", "vmm/storage", "vmm/kvm", "vmm/base", "shared"},
    "vmm/tune": {"vmm/tune", "vmm/base", "shared"},
    "vmm/cli": {"vmm", "firmware", "shared"},
    "guest": {"guest", "shared"},
}


def check_style(pattern: str, verdict: Verdict) -> None:
    for name, check in (("style: format", _badly_formatted), ("style: arrows", _forbidden_arrows)):
        if matches(pattern, name):
            start = time.monotonic()
            failure = check()
            verdict.take(name, time.monotonic() - start, failure)


def _sources() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.cpp", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if (ROOT / name).exists()]


def _badly_formatted() -> str | None:
    run = subprocess.run(["clang-format-19", "--dry-run", *_sources()], cwd=ROOT, capture_output=True, text=True, check=False)
    bad = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: ", run.stderr, re.MULTILINE)))
    return f"clang-format-19 -i {' '.join(bad)}" if bad else run.stderr or None


def _inside(name: str, folder: str) -> bool:
    return Path(name).is_relative_to(folder)


def _forbidden_arrows() -> str | None:
    found = []
    for name in _sources():
        owner = max((folder for folder in ARROWS if _inside(name, folder)), key=len, default=None)
        if owner is None:
            continue
        for included in re.findall(r'^#include "([^"]+)"', (ROOT / name).read_text(), re.MULTILINE):
            if "/" in included and not any(_inside(included, folder) for folder in ARROWS[owner]):
                found.append(f"{name} includes {included}")
    return "; ".join(found) or None
