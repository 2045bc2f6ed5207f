"""`tools/test`: everything there is to test, and one line that says how it went."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

from builder import build
from command import finish
from paths import BUILD, ROOT
from report import say
from style import check_style
from test_coverage import report_coverage
from unit_tests import run_preset
from verdict import Verdict

TOOL = "test"
FURTHER_PRESETS = ("asan", "tsan", "gcc")  # of unit tests, after release
GUEST_PRESETS = ("debug", "classic")  # further guests, for boot tests
LOGS = BUILD / "test-logs"
BESIDE_BOOTS = 10  # the niceness of what runs beside boot tests, which have time limits; mostly they use one processor


@contextlib.contextmanager
def boot_tests(pattern: str, verdict: Verdict) -> Iterator[None]:
    """They run beside what the body does."""
    outcome = LOGS / "boot.json"
    outcome.unlink(missing_ok=True)
    command = [sys.executable, ROOT / "tests" / "boot" / "run.py", "--outcome", outcome, "--filter", pattern]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as runner:
        try:
            yield
            say(TOOL, "the rest of the boot tests…")
            status = runner.wait()
        except BaseException:
            runner.terminate()
            raise
    if outcome.exists():
        verdict.merge(json.loads(outcome.read_text()))
    elif status not in (0, 1) or not pattern:
        verdict.take("boot tests", 0, f"their runner ended early (status {status})")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="test", description="Builds everything and runs every test. Logs: build/test-logs. The last line counts; the status is 0 only if "
        "at least one test ran and none failed.",
    )
    parser.add_argument("--filter", default="", metavar="PATTERN",
                        help="only unit test programs and boot tests whose name matches this regular expression")
    parser.add_argument("--coverage", action="store_true", help="only lines and branches that the unit tests run, by folder")
    parser.add_argument("--quick", action="store_true", help="only the unit tests of the release preset")
    asked = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    if asked.coverage:
        return report_coverage()
    verdict = Verdict()
    check_style(asked.filter, verdict)
    run_preset("release", asked.filter, verdict, LOGS)
    if asked.quick:
        return verdict.close()
    for preset in GUEST_PRESETS:
        build(TOOL, preset, ["guest"])
    say(TOOL, "boot tests, and beside them…")
    with boot_tests(asked.filter, verdict):
        os.nice(BESIDE_BOOTS)
        for preset in FURTHER_PRESETS:
            run_preset(preset, asked.filter, verdict, LOGS)
    return verdict.close()


if __name__ == "__main__":
    finish(TOOL, main)
