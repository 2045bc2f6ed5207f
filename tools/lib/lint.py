"""`tools/lint`: clang-tidy and cppcheck over the VMM, the guest and what they share."""

import argparse
import json
import os
import re
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder import build
from command import finish
from paths import BUILD, ROOT
from report import Failure, Phase

TOOL = "lint"
FOLDER = BUILD / "lint"
GENERATED = ["generated/vmm/machine/acpi/dsdt.hex"]  # what sources include and a build makes
FINDING = re.compile(r"^([^\s:][^:\n]*:\d+(?::\d+)?): (?:fatal )?(?:error|warning|performance|portability): (.*\[[\w,.-]+\])$", re.MULTILINE)

# What cppcheck is mistaken in, and why. Its parser knows C++20, not 23.
MISTAKEN = {
    "internalAstError": "template arguments that it takes for comparisons",
    "returnDanglingLifetime:guest/sched/policy/predictive_queue.h": "the local one is a copy of a pointer",
    "legacyUninitvar:guest/memory/first_fit_heap.cpp": "placement new is what initialises it",
    "uninitvar:guest/drivers/virtio/virtqueue.cpp": "memcpy fills it",
    "comparePointers:guest/boot/kernel_image.cpp": "the linker's two symbols are the ends of one object",
    "objectIndex:guest/apps/attack/fusion_attack.cpp": "the words of one structure, of which it draws one",
    "CastIntegerToAddressAtReturn:guest/memory/page_map.h": "the kernel's map of memory makes addresses of numbers",
}


@dataclass(frozen=True)
class Unit:
    """What is compiled at once: a file, or a folder's files together."""

    entry: dict[str, str]  # of the compilation database

    @property
    def file(self) -> Path:
        return Path(self.entry["file"])

    def sources(self) -> list[str]:
        together = self.file.is_relative_to(FOLDER)
        files = re.findall(r'^#include "(.*)"', self.file.read_text(), re.MULTILINE) if together else [str(self.file)]
        return [os.path.relpath(file, ROOT) for file in files]


def units(pattern: str) -> list[Unit]:
    """Portable code of the guest once, as the kernel compiles it."""
    database = json.loads((FOLDER / "compile_commands.json").read_text())
    listed = [Unit(entry) for entry in database if entry["file"].endswith((".cpp", ".cxx")) and "/guest_hosted.dir/" not in entry["command"]]
    return [unit for unit in listed if any(re.search(pattern, source) for source in unit.sources())]


def _findings(said: str) -> set[str]:
    return {f"{where.removeprefix(f'{ROOT}/')}: {what.replace(',-warnings-as-errors', '')}" for where, what in FINDING.findall(said)}


def _checked(command: list[str | Path]) -> set[str]:
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = _findings(done.stdout + done.stderr)
    if done.returncode and not found:
        raise Failure(f"`{' '.join(map(str, command))}` failed: {(done.stderr or done.stdout)[-2000:]}")
    return found


def tidy(chosen: list[Unit]) -> Iterable[set[str]]:
    database = FOLDER / "tidy"  # without the units that are left out
    database.mkdir(exist_ok=True)
    (database / "compile_commands.json").write_text(json.dumps([unit.entry for unit in chosen]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda unit: _checked(["clang-tidy-19", "-p", database, "--quiet", unit.file]), chosen)


def cppcheck(files: list[str]) -> set[str]:
    kept = FOLDER / "cppcheck"
    kept.mkdir(exist_ok=True)
    command = ["cppcheck", "--std=c++20", "--language=c++", "--enable=warning,performance,portability", "--quiet", "--error-exitcode=1", "-I", ROOT,
               f"--cppcheck-build-dir={kept}", "-j", str(os.cpu_count()), "--template={file}:{line}: {severity}: {message} [{id}]"]
    return _checked([*command, *(f"--suppress={what}" for what in MISTAKEN), *files])


def _say_new(found: set[str], said: set[str]) -> None:
    print(*sorted(found - said), sep="\n", end="\n" if found - said else "", flush=True)
    said |= found


def main() -> int:
    parser = argparse.ArgumentParser(prog=TOOL, description="clang-tidy (.clang-tidy) and cppcheck over vmm, guest, shared and firmware; some minutes. "
                                     "A finding a line; the status is 0 only without one.")
    parser.add_argument("--filter", default="", metavar="PATTERN", help="only what is compiled with a source whose path matches this regular expression")
    asked = parser.parse_args()
    build(TOOL, "lint", GENERATED)
    chosen = units(asked.filter)
    if not chosen:
        raise Failure(f"no source's path matches '{asked.filter}'")
    said: set[str] = set()
    with Phase(TOOL, f"clang-tidy, {len(chosen)} units…"):
        for found in tidy(chosen):
            _say_new(found, said)
    with Phase(TOOL, "cppcheck…"):
        _say_new(cppcheck(sorted({source for unit in chosen for source in unit.sources()})), said)
    print(f"{len(said)} findings")
    return 1 if said else 0


if __name__ == "__main__":
    finish(TOOL, main)
