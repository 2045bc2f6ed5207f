"""`tools/fuzz`: the fuzzers for as long as one likes; what they learn stays in the build folder."""

import argparse
import json
import math
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder import build
from command import finish, positive
from paths import BUILD, ROOT
from report import Failure

TOOL = "fuzz"
FOLDER = BUILD / "fuzz"
SEEDS = ROOT / "tests" / "fuzz" / "corpus"


@dataclass
class Target:
    name: str
    program: str
    options: list[str]  # that go with it: the longest input

    @property
    def corpus(self) -> Path:
        return FOLDER / self.name


@dataclass
class Outcome:
    target: Target
    said: str
    status: int

    def number(self, pattern: str) -> int:
        found = re.findall(pattern, self.said)
        return int(found[-1]) if found else 0

    @property
    def inputs(self) -> int:
        return self.number(r"number_of_executed_units: (\d+)")

    def line(self) -> str:
        inputs, rate = self.inputs, self.number(r"average_exec_per_sec: +(\d+)")
        edges, of = self.number(r"cov: (\d+)"), self.number(r"\((\d+) inline 8-bit counters\)")
        kept = len(list(self.target.corpus.iterdir()))
        text = f"{self.target.name}: {inputs} inputs, {rate} a second; {edges} of {of} edges, {self.number(r'ft: ([0-9]+)')} features; {kept} inputs kept"
        return text + (f"; FOUND a defect (status {self.status})" if self.status else "; nothing found")

    def explanation(self) -> str:
        kept = re.findall(r"Test unit written to (\S+)", self.said)
        why = re.findall(r"^.*(?:SUMMARY|ERROR|runtime error).*$", self.said, re.MULTILINE)
        again = f"\n  again: {self.target.program} {' '.join(kept)}" if kept else ""
        return "\n".join(f"  {line}" for line in why[:3]) + again


def _targets(folder: Path) -> list[Target]:
    """As CMake has them."""
    told = subprocess.run(["ctest", "--test-dir", folder, "-L", "^fuzz$", "--show-only=json-v1"], capture_output=True, text=True, check=True)
    tests = json.loads(told.stdout)["tests"]
    return [
        Target(test["name"].removesuffix("_fuzz"), test["command"][0], [word for word in test["command"] if word.startswith("-max_len=")])
        for test in tests
    ]


def _run(target: Target, limit: str) -> Outcome:
    target.corpus.mkdir(parents=True, exist_ok=True)
    found = FOLDER / "found"
    found.mkdir(exist_ok=True)
    command = [target.program, *target.options, limit, "-print_final_stats=1", f"-artifact_prefix={found}/{target.name}-"]
    command += [target.corpus, *([SEEDS / target.name] if (SEEDS / target.name).is_dir() else [])]
    log = FOLDER / f"{target.name}.log"
    with open(log, "w", encoding="utf-8") as out:
        out.write(shlex.join(map(str, command)) + "\n")
        out.flush()
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    outcome = Outcome(target, log.read_text(errors="replace"), status)
    print(outcome.line(), flush=True)
    if status:
        print(outcome.explanation(), flush=True)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=TOOL, description="Runs the fuzzers, as many at once as there are CPUs. What they learn stays in build/fuzz and is where the next run "
        "begins; an input that finds a defect is kept in build/fuzz/found. Status: 1 when any was found.",
    )
    parser.add_argument("target", nargs="*", help="fuzzers, such as platform; all of them when none is named")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--executions", type=positive(int), metavar="N", help="inputs, all fuzzers together")
    length.add_argument("--minutes", type=positive(float), default=10, metavar="N", help="for each fuzzer (10)")
    asked = parser.parse_args()
    folder = build(TOOL, "release", ["fuzzers"])
    known = {target.name: target for target in _targets(folder)}
    if unknown := [name for name in asked.target if name not in known]:
        raise Failure(f"there is no fuzzer '{unknown[0]}'; there are {', '.join(known)}")
    chosen = [known[name] for name in asked.target or known]
    limit = f"-max_total_time={math.ceil(asked.minutes * 60)}" if asked.executions is None else f"-runs={math.ceil(asked.executions / len(chosen))}"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(lambda target: _run(target, limit), chosen))
    inputs = sum(outcome.inputs for outcome in outcomes)
    defects = sum(outcome.status != 0 for outcome in outcomes)
    print(f"{inputs} inputs in {len(outcomes)} fuzzers, {defects} of which found a defect")
    return 1 if defects else 0


if __name__ == "__main__":
    finish(TOOL, main)
