"""`tools/test --coverage`: which lines and branches of the VMM and of the portable kernel the unit tests run."""

import json
import os
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import kvm
from builder import build
from paths import BUILD, ROOT
from report import Phase

TOOL = "test"
PRESET = "coverage"
FOLDER = BUILD / PRESET
PROFILES = FOLDER / "profiles"  # where what CMake builds leaves its counts
MEASURED = ("vmm", "guest", "shared", "firmware")
LEAST_COVERED = 15


@dataclass
class Counted:
    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_taken: int = 0

    def add(self, other: "Counted") -> None:
        self.lines += other.lines
        self.lines_run += other.lines_run
        self.branches += other.branches
        self.branches_taken += other.branches_taken

    def row(self, name: str) -> str:
        return f"{name:<32} {_percent(self.lines_run, self.lines):>7} {self.lines:>7} {_percent(self.branches_taken, self.branches):>9} {self.branches:>7}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _run_tests() -> bool:
    """Whether all passed."""
    shutil.rmtree(PROFILES, ignore_errors=True)
    PROFILES.mkdir(parents=True)
    command = ["ctest", "--test-dir", FOLDER, "-j", str(os.cpu_count()), "--output-on-failure"]
    with Phase(TOOL, f"unit tests of {PRESET}…"):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-4000:])
    return done.returncode == 0


def _programs() -> list[Path]:
    tests = [path for path in (FOLDER / "tests").rglob("*_test") if path.is_file() and os.access(path, os.X_OK)]
    return [FOLDER / "vmm" / "vmm", *sorted(tests)]


def _is_measured(file: str) -> bool:
    """Self-tests are tests, which run inside of the kernel alone."""
    return file.startswith(tuple(f"{folder}/" for folder in MEASURED)) and "_selftest." not in file


def _count() -> dict[str, Counted]:
    merged = FOLDER / "all.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "-o", merged, *PROFILES.glob("*.profraw")], check=True)
    first, *others = _programs()
    objects = [word for program in others for word in ("-object", program)]
    command = ["llvm-cov-19", "export", "-summary-only", "-instr-profile", merged, first, *objects]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    counted = {}
    for file in told["data"][0]["files"]:
        name = os.path.relpath(file["filename"], ROOT)
        lines, branches = file["summary"]["lines"], file["summary"]["branches"]
        if _is_measured(name):
            counted[name] = Counted(lines["count"], lines["covered"], branches["count"], branches["covered"])
    return counted


def _print(files: dict[str, Counted]) -> None:
    folders: dict[str, Counted] = defaultdict(Counted)
    for name, counted in files.items():
        parts = name.split("/")
        for folder in {"/".join(parts[:-1][:2]), parts[0], "total"}:
            folders[folder].add(counted)
    print(f"{'':<32} {'lines':>7} {'of':>7} {'branches':>9} {'of':>7}")
    for folder in sorted(folders, key=lambda folder: (folder == "total", folder)):
        print(folders[folder].row(folder))
    print("\nThe most lines that nothing runs:")
    missed = sorted(files, key=lambda name: files[name].lines_run - files[name].lines)
    for name in missed[:LEAST_COVERED]:
        print(f"{files[name].lines - files[name].lines_run:>5} of {files[name].lines:>4}  {name}")


def report_coverage() -> int:
    """Builds, runs and prints. Status 1 when a test failed."""
    build(TOOL, PRESET)
    passed = _run_tests()
    _print(_count())
    if reason := kvm.why_unusable():
        print(f"\nWhat runs guests by KVM was left out: {reason}")
    return 0 if passed else 1
