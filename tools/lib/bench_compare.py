"""`tools/bench compare`: whether a commit is slower than another. Both are built, their benchmarks run in turn on the same machine, and each figure
is judged by a rank test: no assumption of how times are distributed, and one number a process, so that samples are independent."""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import results
from bench import PROGRAMS, Program
from command import finish, positive
from paths import BUILD, ROOT
from report import Failure, Phase, say

TOOL = "bench compare"
# The two live at paths of equal length, which moves neither's stack.
FOLDERS = {"old": BUILD / "compare" / "old", "new": BUILD / "compare" / "new"}
REGRESSION, ERROR = 1, 2
COMPARED = [program for program in PROGRAMS if program.target]
SUITES = [suite for program in COMPARED for suite in program.suites]
Runs = dict[tuple[str, str, str], list[float]]  # a variant's medians, one of each process


@lru_cache(maxsize=None)
def arrangements(first: int, second: int, wins: int) -> int:
    """In how many orders of so many samples those of the first win so many of all pairs."""
    if wins < 0 or wins > first * second:
        return 0
    if first == 0 or second == 0:
        return 1
    return arrangements(first - 1, second, wins - second) + arrangements(first, second - 1, wins)


def mann_whitney(old: list[float], new: list[float]) -> tuple[float, float]:
    """The share of pairs in which the new one is slower (ties count half), and how likely it would be as high if there were no difference
    (one-sided; exact without ties, else by the normal distribution with their correction)."""
    n, m = len(old), len(new)
    wins = sum((b > a) + 0.5 * (b == a) for a in old for b in new)
    values = sorted(old + new)
    ties = [values.count(value) for value in dict.fromkeys(values)]
    if max(ties) == 1:
        all_orders = math.comb(n + m, n)
        return wins / (n * m), sum(arrangements(m, n, at) for at in range(int(wins), n * m + 1)) / all_orders
    total = n + m
    variance = n * m / 12 * (total + 1 - sum(tied**3 - tied for tied in ties) / (total * (total - 1)))
    if variance <= 0:
        return wins / (n * m), 1.0
    return wins / (n * m), 0.5 * math.erfc((wins - n * m / 2 - 0.5) / math.sqrt(2 * variance))


def shift(old: list[float], new: list[float]) -> float:
    """How many times slower the new one is: the median over all pairs (Hodges and Lehmann, of the logarithms)."""
    return math.exp(statistics.median(math.log(max(b, 1e-9) / max(a, 1e-9)) for a in old for b in new))


@dataclass(frozen=True)
class Compared:
    name: tuple[str, str, str]  # suite, case, variant
    old: float
    new: float
    times: float  # as long as the old one
    slower_pairs: float
    p_slower: float  # corrected for the number of figures
    p_faster: float

    def verdict(self, threshold: float, alpha: float) -> str:
        if self.p_slower < alpha and self.times > 1 + threshold:
            return "slower"
        return "faster" if self.p_faster < alpha and self.times < 1 / (1 + threshold) else ""


def holm(chances: list[float]) -> list[float]:
    """Holm's correction: so many figures, and none of them wrong by chance but with the chance asked for."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, highest = [0.0] * len(chances), 0.0
    for place, at in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - place) * chances[at]))
        corrected[at] = highest
    return corrected


def judge(old: Runs, new: Runs, own: set[tuple]) -> list[Compared]:
    """Of the project's own figures that both have."""
    names = [name for name in old if name in new and name in own]
    tests = [(mann_whitney(old[name], new[name]), mann_whitney(new[name], old[name])) for name in names]
    slower, faster = holm([test[0][1] for test in tests]), holm([test[1][1] for test in tests])
    return [Compared(name, statistics.median(old[name]), statistics.median(new[name]), shift(old[name], new[name]), tests[at][0][0], slower[at], faster[at])
            for at, name in enumerate(names)]  # fmt: skip


def least_chance(runs: int) -> float:
    """Of a test by so many runs of each: no difference can be less likely to be by chance."""
    return 1 / math.comb(2 * runs, runs)


def check_out(side: str, commit: str) -> str:
    """Brings the side's folder to the commit; its full name."""
    full = results.git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    if not full:
        raise Failure(f"there is no commit '{commit}', nor a suite of that name ({', '.join(SUITES)})")
    folder = FOLDERS[side]
    subprocess.run(["git", "-C", str(ROOT), "worktree", "prune"], check=True)
    words = ["-C", str(folder), "checkout", "--quiet", "--force", "--detach", full]
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        words = ["-C", str(ROOT), "worktree", "add", "--quiet", "--force", "--detach", str(folder), full]
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"git cannot check {commit} out to {folder}: {done.stderr.strip()}")
    return full


def build_side(side: str, commit: str, program: Program) -> Path:
    """The built program of a commit."""
    folder = FOLDERS[side]
    log = folder.parent / f"{side}.log"
    with Phase(TOOL, f"building {commit[:12]} ({side})…"), open(log, "w", encoding="utf-8") as out:
        for command in (["cmake", "--preset", "bench"], ["cmake", "--build", "build/bench", "--target", program.target, "-j", str(os.cpu_count())]):
            if subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode:
                raise Failure(f"{commit[:12]} does not build: {os.path.relpath(log)}")
    return folder / Path(program.command[0]).relative_to(ROOT)


def run_once(program: Path, words: list[str]) -> list[dict]:
    lines = program.parent / "compare.jsonl"
    done = subprocess.run([str(program), *words, "--json", str(lines)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failure(f"{os.path.relpath(program)} {' '.join(words)}: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return list(results.read(lines))


def measure(programs: dict[str, Path], words: list[str], asked) -> tuple[dict[str, Runs], set[tuple]]:
    """Both in turn, each time in another order; and which figures are the project's own, of which less is better."""
    told: dict[str, Runs] = {"old": {}, "new": {}}
    own = set()
    order = random.Random(1)
    for number in range(asked.runs):
        if number == 1 and least_chance(asked.runs) * len(own) > asked.alpha:
            raise Failure(f"{asked.runs} runs cannot tell for {len(own)} figures at once: take more --runs, or fewer figures by --case")
        with Phase(TOOL, f"run {number + 1} of {asked.runs}…"):
            for side in order.sample(list(programs), 2):
                for line in run_once(programs[side], words):
                    name = (line["suite"], line["case"], line["variant"])
                    told[side].setdefault(name, []).append(line["median"])
                    if line.get("side") == "own" or "ratio" in line:
                        own.add(name)
    return told, own


def report(compared: list[Compared], peers: list[float], asked) -> int:
    """Says what differs, and the status. Peers are the same code in both: how far they moved is how far anything may."""
    slower = 0
    for each in sorted(compared, key=lambda each: -each.times):
        verdict = each.verdict(asked.threshold / 100, asked.alpha)
        slower += verdict == "slower"
        if verdict or asked.all:
            chance = each.p_faster if verdict == "faster" else each.p_slower
            told = f"{verdict or 'same':<8}{each.times:>7.3f}x  {each.old:>10.1f} -> {each.new:<10.1f} p {chance:<9.2g}"
            print(f"{told}slower in {100 * each.slower_pairs:>3.0f} % of pairs  {' / '.join(each.name)}")
    if peers:
        print(f"peers, the same code in both: {min(peers):.3f} to {max(peers):.3f} times, median {statistics.median(peers):.3f}")
    print(f"{slower} of {len(compared)} figures slower by more than {asked.threshold:g} % (chance that any is so by accident: at most {asked.alpha:g})")
    if asked.json:
        verdicts = ({**asdict(each), "verdict": each.verdict(asked.threshold / 100, asked.alpha)} for each in compared)
        asked.json.write_text("".join(json.dumps(each) + "\n" for each in verdicts), encoding="utf-8")
    return REGRESSION if slower else 0


def parse(words: list[str]):
    parser = argparse.ArgumentParser(
        prog=f"tools/{TOOL}", usage=f"tools/{TOOL} OLD [NEW] [SUITE…] [options]", description="Builds two commits in folders of their own (build/compare), runs the benchmarks of both in turn, and says which of the project's "
        "figures are slower. Status: 0 none, 1 some, 2 it could not be told.",
    )  # fmt: skip
    parser.add_argument("words", nargs="+", metavar="OLD, NEW, SUITE",
                        help=f"commits (NEW: HEAD), and suites of {', '.join(SUITES)} (default: {' '.join(COMPARED[0].suites)})")
    parser.add_argument("--case", default="", metavar="PART", help="only cases whose name contains this")
    parser.add_argument("--runs", type=positive(int), default=10, metavar="N", help="processes of each commit, one sample each (default 10)")
    parser.add_argument("--rounds", type=positive(int), default=7, metavar="N", help="within a process, of which the median counts (default 7)")
    parser.add_argument("--threshold", type=positive(float), default=5, metavar="PERCENT", help="how much slower is worth a word (default 5)")
    parser.add_argument("--alpha", type=positive(float), default=0.01, metavar="P", help="chance of a false alarm in the whole comparison (default 0.01)")
    parser.add_argument("--all", action="store_true", help="also show what did not change")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for a line a figure")
    asked = parser.parse_args(words)
    asked.suites = [word for word in asked.words if word in SUITES]
    asked.commits = [word for word in asked.words if word not in SUITES]
    if not 1 <= len(asked.commits) <= 2:
        raise Failure(f"one or two commits are compared, and {' '.join(asked.commits) or 'none'} was given; suites are {', '.join(SUITES)}")
    return asked


def compare(asked) -> int:
    commits = {side: check_out(side, commit) for side, commit in zip(FOLDERS, [*asked.commits, "HEAD"])}
    suites = asked.suites or list(COMPARED[0].suites)
    told: dict[str, Runs] = {"old": {}, "new": {}}
    own: set[tuple] = set()
    for program in COMPARED:
        if wanted := [suite for suite in program.suites if suite in suites]:
            programs = {side: build_side(side, commit, program) for side, commit in commits.items()}
            found, more = measure(programs, [*wanted, "--case", asked.case, "--rounds", str(asked.rounds)], asked)
            own |= more
            for side in told:
                told[side] |= found[side]
    compared = judge(told["old"], told["new"], own)
    if not compared:
        raise Failure("no figure of the project's own is in both commits")
    for side, other in (("old", "new"), ("new", "old")):
        if missing := sorted({" / ".join(name) for name in told[side].keys() - told[other].keys()}):
            say(TOOL, f"only in the {side} commit: {', '.join(missing)}")
    peers = [shift(runs, told["new"][name]) for name, runs in told["old"].items() if name in told["new"] and name not in own]
    return report(compared, peers, asked)


def main() -> int:
    try:
        return compare(parse(sys.argv[1:]))
    except Failure as failure:
        say(TOOL, str(failure))
        return ERROR


if __name__ == "__main__":
    finish(TOOL, main)
