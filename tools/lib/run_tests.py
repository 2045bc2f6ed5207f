"""`tools/test`: everything there is to test, and one line that says how it went."""

import argparse
import json
import subprocess
import sys

from builder import build
from command import finish
from paths import BUILD, ROOT
from report import say
from style import check_style
from test_coverage import report_coverage
from unit_tests import run_preset
from verdict import Verdict

TOOL = "test"
PRESETS = ("release", "asan", "tsan", "gcc")
GUEST_PRESETS = ("debug", "classic")  # further guests, for boot tests
LOGS = BUILD / "test-logs"


def boot_tests(pattern: str, verdict: Verdict) -> None:
    outcome = LOGS / "boot.json"
    outcome.unlink(missing_ok=True)
    command = [sys.executable, ROOT / "tests" / "boot" / "run.py", "--outcome", outcome, "--filter", pattern]
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
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
    for preset in PRESETS[:1] if asked.quick else PRESETS:
        run_preset(preset, asked.filter, verdict, LOGS)
    if not asked.quick:
        for preset in GUEST_PRESETS:
            build(TOOL, preset, ["guest"])
        say(TOOL, "boot tests…")
        boot_tests(asked.filter, verdict)
    return verdict.close()


if __name__ == "__main__":
    finish(TOOL, main)
