"""Runs the boot tests: `python3 tests/boot/run.py [--filter PATTERN]`; tools/test does it after the unit tests."""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "lib"), str(Path(__file__).resolve().parent)]

# pylint: disable=wrong-import-position
import box  # noqa: E402
import kvm  # noqa: E402
import platforms  # noqa: E402
from disks import Disk  # noqa: E402
from harness import CASES, LOGS, Case, run_case  # noqa: E402
from report import Failure  # noqa: E402
from test_disks import disks_for_box  # noqa: E402
from verdict import Verdict, matches  # noqa: E402

IN_BOX_TIME_LIMIT = 2400  # seconds, for all cases of the box together


def load_cases() -> None:
    """Every *_test.py registers its cases when imported."""
    for file in sorted(Path(__file__).parent.glob("*_test.py")):
        __import__(file.stem)


def run_here(cases: list[Case], verdict: Verdict, at_once: int = 1) -> None:
    """Emulators use one processor each, so groups run beside each other."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda group: run_group(group, verdict), grouped(cases)))


def grouped(cases: list[Case]) -> list[list[Case]]:
    groups: dict[str, list[Case]] = {}
    for running in cases:
        groups.setdefault(running.group, []).append(running)
    return list(groups.values())


def run_group(cases: list[Case], verdict: Verdict) -> None:
    for running in cases:
        reason = next(filter(None, map(platforms.why_missing, running.needs)), None)
        if reason:
            verdict.skip(running.name, reason)
            continue
        start = time.monotonic()
        failure = run_case(running)
        verdict.take(running.name, time.monotonic() - start, failure, running.log)


def run_in_box(cases: list[Case], verdict: Verdict) -> None:
    """All cases that need KVM, in one box: starting it once is cheaper, and the box is the same for all. When it dies, the case that ran
    has failed, and the others get another one."""
    reason = platforms.why_missing("box")
    if reason:
        for running in cases:
            verdict.skip(running.name, reason)
        return
    disks = disks_for_box(with_linux=any("linux" in running.needs for running in cases))
    waiting = [running for group in grouped(cases) for running in group]
    while waiting:
        why = run_one_box(waiting, disks, verdict)
        left = [running for running in waiting if not verdict.knows(running.name)]
        lost = left[:1] if len(left) < len(waiting) else left  # a box in which nothing ran is not worth another one
        for running in lost:
            verdict.take(running.name, 0, why, running.log)
        waiting = left[len(lost) :]


def run_one_box(cases: list[Case], disks: list[Disk], verdict: Verdict) -> str:
    """Why cases were left out, if any were."""
    names = LOGS / "in-box.json"
    names.parent.mkdir(parents=True, exist_ok=True)
    names.write_text(json.dumps([running.name for running in cases]))
    outcome = LOGS / "in-box-outcome.json"
    outcome.unlink(missing_ok=True)
    try:
        options = box.Options(disks=disks, writable=[LOGS], time_limit=IN_BOX_TIME_LIMIT)
        status = box.run(["python3", __file__, "--exactly", str(names), "--outcome", str(outcome)], options)
        why = f"the box ended early (status {status})"
    except Failure as failure:
        why = str(failure)
    if outcome.exists():
        verdict.merge(json.loads(outcome.read_text()))
    return why


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", default="", metavar="PATTERN", help="only cases whose name matches this regular expression")
    parser.add_argument("--outcome", type=Path, help="write what happened to this JSON file, after every case")
    parser.add_argument("--exactly", type=Path, help=argparse.SUPPRESS)  # a JSON list of names, for the run inside the box
    asked = parser.parse_args()
    load_cases()
    verdict = Verdict(asked.outcome)
    if asked.exactly:
        wanted = set(json.loads(asked.exactly.read_text()))
        run_here([running for running in CASES if running.name in wanted], verdict)
    else:
        cases = [running for running in CASES if matches(asked.filter, running.name)]
        boxed = [running for running in cases if "kvm" in running.needs and kvm.why_unusable()]
        run_here([running for running in cases if running not in boxed], verdict, at_once=os.cpu_count() or 1)
        if boxed:
            run_in_box(boxed, verdict)
    return verdict.status() if asked.outcome else verdict.close()


if __name__ == "__main__":
    sys.exit(main())
