"""Counts tests, says each as it ends, and closes with one line."""

import json
import re
import sys
import threading
from pathlib import Path

from paths import ROOT

TAIL = 15  # lines of a failed test's log


def matches(pattern: str, name: str) -> bool:
    return re.search(pattern, name, re.IGNORECASE) is not None


class Verdict:
    def __init__(self, keep: Path | None = None):
        """`keep`: a JSON file that has, at any moment, what is known so far."""
        self._keep = keep
        self._passed: list[str] = []
        self._failed: list[str] = []
        self._skipped: list[str] = []
        self._one_at_a_time = threading.RLock()

    def take(self, name: str, seconds: float, failure: str | None, log: Path | None = None) -> None:
        """One test has ended."""
        self.explain(name, seconds, failure, log)
        self.count([] if failure else [name], [name] if failure else [])

    def explain(self, name: str, seconds: float, failure: str | None, log: Path | None = None) -> None:
        """Says how something ended, without counting it."""
        with self._one_at_a_time:
            print(f"{'FAIL' if failure else 'ok  '} {name} ({seconds:.1f} s)", flush=True)
            if failure:
                print(f"     {failure}")
                _show_end(log)

    def count(self, passed: list[str], failed: list[str]) -> None:
        with self._one_at_a_time:
            self._passed += passed
            self._failed += failed
            self._save()

    def skip(self, name: str, reason: str, count: int = 1) -> None:
        with self._one_at_a_time:
            self._skipped += [name] * count
            print(f"skip {name}: {reason}", flush=True)
            self._save()

    def knows(self, name: str) -> bool:
        return name in self._passed or name in self._failed or name in self._skipped

    def merge(self, saved: dict[str, list[str]]) -> None:
        self._passed += saved["passed"]
        self._failed += saved["failed"]
        self._skipped += saved["skipped"]
        self._save()

    def close(self) -> int:
        """The last line of a run, and its exit status: nothing run is a failure too."""
        if self._failed:
            print("failed:", *self._failed, sep="\n  ")
        skipped = f", {len(self._skipped)} skipped" if self._skipped else ""
        print(f"{len(self._passed)} passed, {len(self._failed)} failed{skipped}", flush=True)
        return self.status()

    def status(self) -> int:
        return 0 if self._passed and not self._failed else 1

    def _save(self) -> None:
        if self._keep:
            self._keep.write_text(json.dumps({"passed": self._passed, "failed": self._failed, "skipped": self._skipped}))


def _show_end(log: Path | None) -> None:
    if log and log.exists():
        where = log.relative_to(ROOT) if log.is_relative_to(ROOT) else log
        lines = log.read_text(errors="replace").replace("\r", "").splitlines()[-TAIL:]
        print(*(f"     | {line}" for line in lines), f"     the whole log: {where}", sep="\n")
    sys.stdout.flush()
