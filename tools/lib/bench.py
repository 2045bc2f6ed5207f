"""`tools/bench`: runs the programs that measure, and appends what they found to one file, stamped with commit, date and machine."""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import results
from builder import build
from command import finish, positive
from paths import BUILD, ROOT
from report import Failure, say

TOOL = "bench"
BENCH = BUILD / "bench" / "tests" / "bench"
LIB = ROOT / "tools" / "lib"


@dataclass(frozen=True)
class Program:
    """What measures suites: it takes their names where it has several, --json FILE, --quick and options of its own; the lines that it leaves
    in FILE are results.py's, but for the stamp."""

    suites: tuple[str, ...]
    command: tuple[str, ...]
    target: str = ""  # of the preset `bench`, that has to be built
    setup: tuple[str, ...] = ("build", "bench")

    def words(self, asked: list[str]) -> list[str]:
        return [suite for suite in self.suites if suite in asked] if self.target else []


# Another suite is another row; its title in the report is in findings.py.
PROGRAMS = (
    Program(("ring", "alloc", "switch", "sched"), (str(BENCH / "exo_bench"),), "exo_bench"),
    Program(("block",), (str(BENCH / "block" / "exo_block_bench"),), "exo_block_bench"),
    Program(("guest",), (sys.executable, str(LIB / "guest_instructions.py")), setup=("build", "run")),
    Program(("vmm",), (sys.executable, str(LIB / "vmm_comparison.py")), setup=("build", "run")),
    Program(("block-vmm",), (sys.executable, str(LIB / "block_comparison.py")), setup=("build", "run")),
)
SUITES = [suite for program in PROGRAMS for suite in program.suites]


def selected(names: list[str]) -> list[str]:
    """The suites that are asked for; without a name those of the first program."""
    for name in names:
        if name not in ("all", *SUITES):
            raise Failure(f"there is no suite '{name}'; there are {', '.join(SUITES)}, and all")
    return SUITES if "all" in names else names or list(PROGRAMS[0].suites)


def measure(program: Program, suites: list[str], options: list[str], target: Path, stamp: dict) -> int:
    """The program's status; its results are kept as far as it came."""
    subprocess.run([str(ROOT / "tools" / "setup"), *program.setup], check=True)
    if program.target:
        build(TOOL, "bench", [program.target])
    results.FOLDER.mkdir(parents=True, exist_ok=True)  # under build/, which the box can write to
    with tempfile.TemporaryDirectory(dir=results.FOLDER, prefix="unfinished-") as folder:
        lines = Path(folder) / "lines.jsonl"
        status = subprocess.run([*program.command, *program.words(suites), *options, "--json", str(lines)], cwd=ROOT, check=False).returncode
        if lines.exists() and "--record" not in options:
            told = lines.read_text(encoding="utf-8")
            lines.write_text(told[: told.rfind("\n") + 1], encoding="utf-8")  # a program that was killed may leave half a line
            count = results.append(target, stamp, results.read(lines))
            say(TOOL, f"{count} results to {os.path.relpath(target)}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=f"tools/{TOOL}", description="Measures this project's parts beside their best peers. Tables go to standard output, a JSON line a variant to "
        "the end of FILE, from which tools/report draws its page. Other options go to the suites' programs.",
        epilog="tools/bench compare: whether one commit is slower than another",
    )  # fmt: skip
    parser.add_argument("suite", nargs="*", help=f"{', '.join(SUITES)}, or all (default: {' '.join(PROGRAMS[0].suites)}, which share a process)")
    parser.add_argument("--case", metavar="PART", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=positive(int), metavar="N", help="how often each variant is run")
    parser.add_argument("--quick", action="store_true", help="all in a few minutes: to see that it works, not to quote from")
    parser.add_argument("--json", type=Path, default=results.FILE, metavar="FILE", help="where results are appended (default build/results/results.jsonl)")
    asked, further = parser.parse_known_args([word for word in sys.argv[1:] if word != "--"])
    suites = selected(asked.suite)
    options = [word for name in ("case", "rounds") if (value := getattr(asked, name)) is not None for word in (f"--{name}", str(value))]
    options += ["--quick"] * asked.quick + further
    stamp = results.stamp(" ".join(["tools/bench", *sys.argv[1:]]), asked.quick)
    statuses = {}
    for program in PROGRAMS:
        if wanted := [suite for suite in suites if suite in program.suites]:
            statuses[" ".join(wanted)] = measure(program, wanted, options, asked.json.resolve(), stamp)
    bad = {names: status for names, status in statuses.items() if status}
    if bad and len(statuses) > 1:
        say(TOOL, f"not all was measured: {', '.join(f'{names} (status {status})' for names, status in bad.items())}")
        return 1
    return max(statuses.values())


if __name__ == "__main__":
    finish(TOOL, main)
