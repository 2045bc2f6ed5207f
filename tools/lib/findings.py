"""What a report says of results, before it becomes HTML or Markdown: text and tables, no markup."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from claims import VERDICTS, Check, Decided, Figure
from results import Latest, command_for

ORDER = ("exceeded", "met", "depends", "false", "hardware", "missing")
SIGNS = {"exceeded": "▲", "met": "✓", "depends": "◐", "false": "✗", "hardware": "⚙", "missing": "–"}
SUITES = {
    "ring": "Fusion rings and channels", "switch": "Context switch", "alloc": "Allocator", "sched": "Scheduler", "block": "Block driver and device",
    "guest": "Inside the guest, in instructions", "block-vmm": "Block beside QEMU", "vmm": "Virtual machine monitor", "tune": "Ways to wait, by vmm tune",
}  # fmt: skip


def titles(suites: Iterable[str]) -> list[tuple[str, str]]:
    """The suites that are there, in the order of the report, with their titles."""
    there = dict.fromkeys(suites)
    return [(suite, SUITES.get(suite, suite)) for suite in dict.fromkeys([*SUITES, *there]) if suite in there]


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def claimed(figure: Figure) -> str:
    """The bounds, and what another document's would have made of the figure."""
    check = figure.check
    if not check.elsewhere:
        return bounds(check)
    return f"{bounds(check)}; elsewhere {check.elsewhere[0]:g} to {check.elsewhere[1]:g}: {figure.elsewhere}"


def bounds(check: Check) -> str:
    unit = {"times": "×", "saving": " %", "gain": " %", "percent": " %"}.get(check.figure, "")
    low, high = (None if bound is None else f"{bound:,g}" for bound in (check.low, check.high))
    if low and high:
        return f"{low} to {high}{unit}"
    return f"at least {low}{unit}" if low else f"at most {high}{unit}"


def spread(line: dict) -> str:
    return f"{number(line['median'])} ({number(line['q1'])} to {number(line['q3'])}) {line['unit']}"


def by_check(decided: Decided) -> list[tuple[Check, list[Figure]]]:
    return [(check, list(figures)) for check, figures in groupby(decided.figures, key=lambda figure: figure.check)]


def summary(check: Check, figures: list[Figure]) -> str:
    """One sentence of a check, however many cases it has: what was found, and in how many of them it holds."""
    values = sorted(figures, key=lambda figure: figure.value)
    found = values[0].text if len(values) == 1 else f"{values[0].text} to {values[-1].text}"
    right = sum(figure.verdict != "false" for figure in figures)
    held = "" if len(figures) == 1 else f", as claimed in {right} of {len(figures)}"
    return f"{check.says}: {found} (claimed {bounds(check)}{held})"


def on_what(decided: Decided) -> str:
    """What a verdict of 'depends' depends on."""
    right, wrong = [], []
    for check, figures in by_check(decided):
        holds = [figure for figure in figures if figure.verdict != "false"]
        if len(holds) == len(figures):
            right.append(check.says)
        elif not holds:
            wrong.append(check.says)
        else:
            right.append(f"{check.says} on {', '.join(short_case(figure.case) for figure in holds)}")
            wrong.append(f"{check.says} on {', '.join(short_case(figure.case) for figure in figures if figure.verdict == 'false')}")
    return f"Holds for: {'; '.join(right)}. Does not for: {'; '.join(wrong)}."


def short_case(case: str) -> str:
    return case.split("/")[0] if case.count("/") > 1 else case


def peer_sentence(decided: Decided) -> str:
    """The best peer of the first case that has one."""
    for figure in decided.figures:
        if "best_peer" in figure.own and figure.peer:
            return (f"Best peer of the same run in {figure.own['suite']} {figure.case}: {figure.own['best_peer']}, {number(figure.peer['median'])} "
                    f"against our {number(figure.own['median'])} {figure.own['unit']} ({figure.own['ratio']:.2f}×).")  # fmt: skip
    return ""


def commands(decided: Decided) -> list[str]:
    return list(dict.fromkeys(command_for(figure.own["suite"], figure.case) for figure in decided.figures))


def tally(all_decided: list[Decided]) -> dict[str, int]:
    counted = Counter(decided.verdict for decided in all_decided)
    return {verdict: counted[verdict] for verdict in ORDER if counted[verdict]}


def verdict_text(decided: Decided) -> str:
    return VERDICTS[decided.verdict] + (", hardware open" if decided.figures and decided.hardware else "")


def left_open(decided: Decided) -> str:
    counts = ((decided.missing, "not measured in this run"), (decided.hardware, "on KVM hardware only"))
    return "; ".join(f"{len(checks)} {what}" for checks, what in counts if checks)


@dataclass(frozen=True)
class Ratio:
    suite: str
    case: str
    variant: str
    value: float
    low: float  # by the quartiles that are nearest to each other's favour
    high: float
    own: dict
    peer: dict


def ratios(latest: Latest) -> list[Ratio]:
    found = []
    for (suite, case), variants in latest.cases.items():
        for own in variants.values():
            peer = variants.get(own.get("best_peer", ""))
            if peer is None or not own["q1"] or not own["q3"] or not own["median"]:
                continue
            found.append(Ratio(suite, case, own["variant"], own["ratio"], peer["q1"] / own["q3"], peer["q3"] / own["q1"], own, peer))
    return found


def standing(all_ratios: list[Ratio]) -> str:
    ahead = sum(ratio.value >= 1 for ratio in all_ratios)
    clearly = sum(ratio.low > 1 for ratio in all_ratios)
    behind = sum(ratio.high < 1 for ratio in all_ratios)
    return (f"Of {len(all_ratios)} figures that have a peer, {ahead} are ahead of the best one by the median; {clearly} of them by more than both sides' "
            f"quartiles, {behind} are as clearly behind.")  # fmt: skip


def circumstances(lines: list[dict]) -> list[tuple[str, str]]:
    """Platform and load of each suite's figures."""
    found = []
    for suite, of_suite in groupby(sorted(lines, key=lambda line: line["suite"]), key=lambda line: line["suite"]):
        of_suite = list(of_suite)
        loads = [line["load_average"] for line in of_suite if line.get("load_average")]
        load = f"; load average {min(loads):.1f} to {max(loads):.1f} before" if loads else ""
        moved = sum(bool(line.get("placement_moved")) for line in of_suite)
        warning = f"; CPUs moved during {moved} of {len(of_suite)} figures" if moved else ""
        found += [(suite, f"{platform}{load}{warning}") for platform in dict.fromkeys(line["platform"] for line in of_suite)]
    return found
