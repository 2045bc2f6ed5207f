"""Which charts a report has, in sections: a title, a sentence that says how to read them, and the charts' SVG."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import charts
import io_trace
from findings import Ratio, titles
from result_folder import Folder
from results import Latest

MODES = ("interrupt", "polling", "hybrid", "batch", "adaptive 0.1", "adaptive 1", "adaptive 10")
ROWS = 34  # of one chart
TRACED = 24  # requests in a chart


@dataclass
class Section:
    name: str
    title: str
    lead: str
    charts: list[str] = field(default_factory=list)
    folded: bool = False  # shown when asked for
    empty: str = "Nothing was measured for it in this run."


def of_load(case: str) -> tuple[str, float, str] | None:
    """Disk, operations a second and figure of a case of the sweep or of vmm tune."""
    parts = case.split("/")
    if len(parts) != 3:
        return None
    try:
        return parts[0], float(parts[1]), parts[2]
    except ValueError:
        return None


def ratio_section(all_ratios: list[Ratio]) -> Section:
    section = Section("peers", "Beside the best peers", "Each dot: how many times the best peer's median is ours; the line through it spans the quartiles of both. "
                      "Peer and project ran alternately in one process. Blue is ahead, red behind.")  # fmt: skip
    for suite, title in titles(ratio.suite for ratio in all_ratios):
        rows = [ratio for ratio in all_ratios if ratio.suite == suite and of_load(ratio.case) is None and ratio.value > 0]
        if suite == "alloc":
            rows = [row for row in rows if row.variant == "hybrid"]
            title += ", hybrid by call"
        named = list(ratio_rows(rows))
        parts = -(-len(named) // ROWS)
        for part in range(parts):
            size = -(-len(named) // parts)
            section.charts.append(charts.ratios(title, named[part * size : (part + 1) * size]))
    return section


def ratio_rows(rows: list[Ratio]) -> Iterator[tuple[str, tuple[float, float, float] | None]]:
    """A row a case; where the project has several variants a heading, and a row each."""
    for case in dict.fromkeys(row.case for row in rows):
        of_case = [row for row in rows if row.case == case]
        if len(of_case) > 1:
            yield case, None
        for row in of_case:
            yield f"   {row.variant}" if len(of_case) > 1 else case, (row.value, row.low, row.high)


def cost_section(latest: Latest) -> Section:
    section = Section("modes", "When to interrupt, when to poll", "Numbers in the maps: what the best way that is fixed by hand costs, by what the controller costs that "
                      "chooses by itself (p50 latency + price × CPU time of both sides). 1 is as good as knowing beforehand.")  # fmt: skip
    for price, label in enumerate(("0.1: CPU is cheap", "1", "10: CPU is dear")):
        values, disks, rates = {}, [], set()
        for (suite, case), variants in latest.cases.items():
            load = of_load(case)
            adaptive = variants.get(("adaptive 0.1", "adaptive 1", "adaptive 10")[price])
            fixed = [line["median"] for name, line in variants.items() if name in MODES[:4]]
            if suite == "block" and load and load[2].startswith("price-") and adaptive and fixed and adaptive["median"]:
                disk, rate, _ = load
                disks += [disk] if disk not in disks else []
                rates.add(rate)
                values[disk, f"{rate:.0f}"] = min(fixed) / adaptive["median"]
        if values:
            section.charts.append(charts.cost_map(f"Price {label}", disks, [f"{rate:.0f}" for rate in sorted(rates)], values))
    section.charts += list(load_charts(latest))
    return section


def load_charts(latest: Latest) -> Iterator[str]:
    found: dict[tuple[str, str, str], dict[str, list]] = {}
    for (suite, case), variants in latest.cases.items():
        load = of_load(case)
        if load is None or suite not in ("block", "tune") or load[2] not in ("latency", "guest-cpu", "cpu"):
            continue
        for mode in MODES:
            line = variants.get(mode)
            if line and line["median"] > 0:
                point = (load[1], *(max(line[at], 1) / 1000 for at in ("median", "q1", "q3")))
                found.setdefault((suite, load[0], load[2]), {}).setdefault(mode, []).append(point)
    for (suite, where, figure), curves in found.items():
        if max(map(len, curves.values())) > 1:
            label = "latency, µs" if figure == "latency" else "CPU an operation, µs" if figure == "cpu" else "driver's CPU an operation, µs"
            title = f"{where}{' (vmm tune)' if suite == 'tune' else ''}: {label}"
            yield charts.against_load(title, label, {mode: sorted(points) for mode, points in curves.items()})


def distribution_sections(latest: Latest) -> Iterator[Section]:
    for suite, title in titles(latest.suites()):
        cases = [(case, variants) for (of, case), variants in latest.cases.items() if of == suite and of_load(case) is None and len(variants) > 1]
        drawn = [charts.distributions(case, list(variants.values())) for case, variants in cases if max(line["n"] for line in variants.values()) > 1]
        if drawn:
            lead = "Box: quartiles, with the median as a bar; whiskers: minimum and 99th percentile; dot: maximum. The best is on top, the project's own in blue and bold."
            yield Section(f"distributions-{suite}", title, lead, drawn, folded=True)


def boot_section(folder: Folder) -> Section:
    lead = "From the metrics of runs: what passed between the program's start and the guest being ready; a piece ends with the moment that it is named after."
    empty = "No metrics of a run are there: `vmm run --metrics build/results/NAME.json …`."
    return Section("boots", "Boot timelines", lead, [charts.boot_timelines(folder.boots)] if folder.boots else [], empty=empty)


def trace_section(folder: Folder) -> Section:
    """The slowest of the traced requests with its neighbours: there the steps can be told apart."""
    lead = (f"{TRACED} requests around the slowest traced one, each from the driver's hand-over to its waiter going on, guest and VMM by one time-stamp "
            "counter; dashed: the controller changed its mode. The whole trace opens in Perfetto.")  # fmt: skip
    section = Section("requests", "Disk requests across guest and VMM", lead, empty="No trace is there: tools/io-trace.")
    for name, trace in folder.io_traces.items():
        requests = io_trace.requests(trace)
        slowest = max(range(len(requests)), key=lambda at: requests[at][1][-1].end_us - requests[at][0]["start_us"], default=0)
        first = max(0, min(slowest - TRACED // 2, len(requests) - TRACED))
        if requests:
            section.charts.append(charts.request_steps(name, requests[first : first + TRACED], io_trace.decisions(trace)))
    return section


def history_section(lines: list[dict]) -> Section:
    """Own variants of cases that were measured at several commits; runs of one kind only, full or quick."""
    section = Section("history", "History", "The project's own medians over the commits that were measured here, with their quartiles.",
                      empty="Results of one commit only: measure another one, into the same file.")  # fmt: skip
    full = [line for line in lines if not line.get("quick")]
    of_commits = {line["commit"] for line in full}
    chosen = [line for line in (full if len(of_commits) > 1 else lines) if line.get("side") == "own" and of_load(line["case"]) is None]
    commits: dict[str, str] = {}
    for line in sorted(chosen, key=lambda line: line["date"]):
        commits.setdefault(line["commit"], line["date"])
    order = list(commits)[-12:]
    cases: dict[tuple[str, str], dict[str, dict[str, dict]]] = {}
    for line in sorted(chosen, key=lambda line: line["date"]):
        if line["commit"] in order:
            cases.setdefault((line["suite"], line["case"]), {}).setdefault(line["variant"], {})[line["commit"]] = line
    for (suite, case), variants in cases.items():
        curves = {name: [(place, by[commit]) for place, commit in enumerate(order) if commit in by] for name, by in variants.items() if len(by) > 1}
        if curves:
            unit = next(iter(curves.values()))[0][1]["unit"]
            section.charts.append(charts.history(f"{suite}: {case}", unit, order, curves))
    section.folded = len(section.charts) > 8
    return section
