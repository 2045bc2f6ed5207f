"""What benchmarks leave behind: JSON lines, a variant of a case each, in one schema. `tools/bench` appends, `tools/report` reads.

A line: schema, commit, date (UTC), machine, command, quick; suite, case, variant, side (own, peer, bound), unit, platform; n, min, q1, median, q3,
p99, max; on the project's own variants best_peer and ratio (the peer's median by ours). Less is better wherever there is a peer."""

import json
import math
import os
import platform as system
import subprocess
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from paths import BUILD, ROOT
from report import Failure

SCHEMA = 1
FOLDER = BUILD / "results"
FILE = FOLDER / "results.jsonl"
NEEDED = {"suite", "case", "variant", "unit", "n", "min", "q1", "median", "q3", "p99", "max", "platform", "commit", "date", "machine"}


def distribution(samples: Iterable[float]) -> dict:
    """Quantiles by nearest rank, as tests/bench/frame/distribution.h has them."""
    ordered = sorted(samples)

    def rank(percent: int) -> float:
        return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]

    return {"n": len(ordered), "min": ordered[0], "q1": rank(25), "median": rank(50), "q3": rank(75), "p99": rank(99), "max": ordered[-1]}


def git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The commit that is measured; a `+` behind it where files differ from it."""
    head = git("rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and git("status", "--porcelain", "--untracked-files=no") else "") or "unknown"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def of_guests() -> dict:
    """What tells of lines from guests on KVM where they ran, and whether their times are a hardware's."""
    in_box = "EXO_BOX" in os.environ
    where = "the kvm-box: counts mean something, times do not" if in_box else "KVM"
    return {"platform": f"{processor()}, {where}", "hardware": not in_box}


def with_peers(lines: list[dict]) -> list[dict]:
    """The project's own lines get the best peer of their case, and how many times its median is theirs."""
    for line in lines:
        peers = [other for other in lines if other["case"] == line["case"] and other["side"] == "peer"]
        best = min(peers, key=lambda other: other["median"], default=None)
        if line["side"] == "own" and best and min(line["median"], best["median"]) > 0:
            line |= {"best_peer": best["variant"], "ratio": best["median"] / line["median"]}
    return lines


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{processor()}, {os.cpu_count()} CPUs, {memory:.0f} GiB, {system.system()} {system.release()}"


def stamp(command: str, quick: bool) -> dict:
    """What tells a run from every other one."""
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"schema": SCHEMA, "commit": commit(), "date": date, "machine": machine(), "command": command, "quick": quick}


def append(target: Path, stamped: dict, lines: Iterable[dict]) -> int:
    """How many lines came to the file's end."""
    text = [json.dumps(stamped | line, ensure_ascii=False) + "\n" for line in lines]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "a", encoding="utf-8") as file:
            file.writelines(text)
    except OSError as error:
        raise Failure(f"cannot write {target}: {error.strerror}") from error
    return len(text)


def read(file: Path) -> Iterator[dict]:
    """JSON objects, a line each, whatever is in them."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {file}: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        try:
            told = json.loads(line)
        except ValueError as error:
            raise Failure(f"{file}:{number} is no JSON: {error}; delete that line, or the file to begin anew") from error
        if not isinstance(told, dict):
            raise Failure(f"{file}:{number} is no JSON object; delete that line, or the file to begin anew")
        yield told


def load(file: Path) -> list[dict]:
    """The results of a file that `tools/bench` has written."""
    found = list(read(file))
    for number, line in enumerate(found, 1):
        if line.get("schema") != SCHEMA:
            raise Failure(f"{file}:{number} is of schema {line.get('schema')}, not {SCHEMA}; measure again into another file")
        if missing := NEEDED - line.keys():
            raise Failure(f"{file}:{number} lacks {', '.join(sorted(missing))}")
    return found


class Latest:
    """Of each case the newest run, all of whose variants ran alternately. Of the commit that was measured last a full run counts more than a quick one."""

    def __init__(self, lines: Iterable[dict]):
        runs: dict[tuple, dict[tuple, dict[str, dict]]] = {}
        for line in lines:
            run = (line["date"], line["commit"], line.get("quick", False))
            runs.setdefault((line["suite"], line["case"]), {}).setdefault(run, {})[line["variant"]] = line
        self.cases: dict[tuple[str, str], dict[str, dict]] = {}
        for case, by_run in runs.items():
            newest = max(by_run)
            chosen = max((run for run in by_run if run[1] == newest[1]), key=lambda run: (not run[2], run[0]))
            self.cases[case] = by_run[chosen]

    def suites(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for suite, case in self.cases:
            found.setdefault(suite, []).append(case)
        return found


def command_for(suite: str, case: str) -> str:
    """What measures a case again; a filter is of the program that has the case."""
    if suite in ("ring", "alloc", "switch", "sched", "block"):
        return f"tools/bench {suite} --case '{case.split('/')[0]}'"
    return "vmm tune --json build/results/tune.json" if suite == "tune" else f"tools/bench {suite}"
