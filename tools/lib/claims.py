"""The original design's claims (tests/bench/claims.toml), each decided by figures: nothing here knows how a claim ends."""

import tomllib
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from paths import ROOT
from report import Failure
from results import Latest

FILE = ROOT / "tests" / "bench" / "claims.toml"
# How a figure is made of the variant's value and, but for the last three, that of `against`; and how it is written.
FIGURES = {
    "times": (lambda own, other: other / own, "{:.2f}×"),
    "saving": (lambda own, other: 100 * (1 - own / other), "{:.0f} % less"),
    "gain": (lambda own, other: 100 * (other / own - 1), "{:+.0f} %"),
    "more": (lambda own, other: own - other, "{:+.1f}"),
    "value": (lambda own, _: own, "{:,.1f}"),
    "cycles": (lambda own, _: own, "{:,.1f} core cycles"),
    "percent": (lambda own, _: own, "{:.1f} %"),
}
ALONE = ("value", "cycles", "percent")
VERDICTS = {
    "met": "met", "exceeded": "exceeded", "false": "false", "depends": "depends on what", "hardware": "needs KVM hardware",
    "missing": "not measured in this run",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One bound of a claim, held against one figure of each case that `case` (a pattern) names."""

    says: str
    suite: str
    case: str
    variant: str
    figure: str
    against: tuple[str, ...] = ()  # the best of them
    against_case: str = ""  # where `against` is of another case
    low: float | None = None
    high: float | None = None
    elsewhere: tuple[float, ...] = ()  # the bounds that another of the design's documents has; told, and not part of the verdict
    better: str = "more"  # more, less, or neither: then only inside of the bounds is right
    scale: float = 1
    unit: str = ""
    hardware: str = ""  # the command, where only a run on KVM hardware counts


@dataclass(frozen=True)
class Claim:
    number: int
    title: str
    checks: tuple[Check, ...]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """What a check found in one case."""

    check: Check
    case: str
    value: float
    verdict: str
    close: bool  # the quartiles do not all give the same verdict
    own: dict
    other: dict | None
    peer: dict | None  # the case's best peer

    @property
    def elsewhere(self) -> str:
        """The verdict by the bounds of another document."""
        return judge(replace(self.check, low=self.check.elsewhere[0], high=self.check.elsewhere[1]), self.value)

    @property
    def text(self) -> str:
        if self.check.figure == "saving" and self.value < 0:
            return f"{-self.value:.0f} % more"
        return FIGURES[self.check.figure][1].format(self.value) + (f" {self.check.unit}" if self.check.unit else "")


@dataclass
class Decided:
    claim: Claim
    figures: list[Figure] = field(default_factory=list)
    missing: list[Check] = field(default_factory=list)  # what could be measured here
    hardware: list[Check] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        found = {figure.verdict for figure in self.figures}
        if not found:
            return "missing" if self.missing or not self.hardware else "hardware"
        if found <= {"met", "exceeded"}:
            return "met" if "met" in found else "exceeded"
        return "false" if found == {"false"} else "depends"


def load(file: Path = FILE) -> list[Claim]:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        return [_claim(entry) for entry in told["claim"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{file}: {error}") from error


def _claim(entry: dict) -> Claim:
    checks = []
    for words in entry["check"]:
        against = words.pop("against", [])
        check = Check(**words | {"elsewhere": tuple(words.get("elsewhere", ()))}, against=(against,) if isinstance(against, str) else tuple(against))
        if check.figure not in FIGURES or check.better not in ("more", "less", "neither") or (check.low is None and check.high is None):
            raise ValueError(f"claim {entry['number']}: '{check.says}' has no figure and bounds that can be judged")
        if (check.figure in ALONE) == bool(check.against):
            raise ValueError(f"claim {entry['number']}: '{check.says}' has `against` where it has no use, or none where it has")
        checks.append(check)
    return Claim(entry["number"], entry["title"], tuple(checks), entry.get("note", ""))


def judge(check: Check, value: float) -> str:
    """met, exceeded or false."""
    below = check.low is not None and value < check.low
    above = check.high is not None and value > check.high
    if not below and not above:
        return "met"
    if check.better == "neither":
        return "false"
    return "exceeded" if above == (check.better == "more") else "false"


def decide(claim: Claim, latest: Latest) -> Decided:
    decided = Decided(claim)
    for check in claim.checks:
        figures = [figure for suite, case in latest.cases if suite == check.suite and fnmatchcase(case, check.case)
                   if (figure := _figure(check, case, latest))]  # fmt: skip
        decided.figures += figures
        if not figures:
            (decided.hardware if check.hardware else decided.missing).append(check)
    return decided


def _figure(check: Check, case: str, latest: Latest) -> Figure | None:
    variants = latest.cases[check.suite, case]
    own = variants.get(check.variant)
    others = latest.cases.get((check.suite, check.against_case), {}) if check.against_case else variants
    other = min((others[name] for name in check.against if name in others), key=lambda line: line["median"], default=None)
    if own is None or (check.against and other is None) or (check.hardware and not own.get("hardware")):
        return None
    if check.figure == "percent" and "least_hit_rate_percent" not in own:
        return None
    value = _value(check, own, other, "median", "median")
    verdict = judge(check, value)
    close = any(judge(check, _value(check, own, other, *at)) != verdict for at in (("q1", "q3"), ("q3", "q1")))
    peers = [line for line in variants.values() if line.get("side") == "peer" and line is not own]
    return Figure(check, case, value, verdict, close, own, other, min(peers, key=lambda line: line["median"], default=None))


def _value(check: Check, own: dict, other: dict | None, own_at: str, other_at: str) -> float:
    if check.figure == "percent":
        return own["least_hit_rate_percent"]
    scale = own.get("core_per_tsc", 1) if check.figure == "cycles" else check.scale
    # A time below the clock's step is no reason to divide by it.
    return FIGURES[check.figure][0](max(own[own_at], 1e-3) * scale, max(other[other_at], 1e-3) * scale if other else 0)
