"""What tools/bench, tools/bench compare and tools/report make of figures."""

import dataclasses
import html.parser
import json
import random
import tempfile
from pathlib import Path

import bench_compare
import claims
import result_folder
import results
from harness import LOGS, Context, case
from paths import ROOT
from report import Failure


def line(suite: str, name: str, variant: str, samples: list[float], **further) -> dict:
    stamp = {"schema": results.SCHEMA, "commit": "0" * 12, "date": "2026-01-01T00:00:00+00:00", "machine": "a machine", "platform": "a platform", "quick": False}
    return stamp | {"suite": suite, "case": name, "variant": variant, "side": "own", "unit": "cycles", "core_per_tsc": 2.0, **results.distribution(samples)} | further


def claim(*checks: claims.Check) -> claims.Claim:
    return claims.Claim(1, "a claim", checks)


def verdict(asked: claims.Claim, lines: list[dict]) -> str:
    return claims.decide(asked, results.Latest(lines)).verdict


TIMES = claims.Check("twice to four times", "s", "c*", "own", "times", against=("a", "b"), low=2, high=4)
CYCLES = claims.Check("at most 20 cycles", "s", "c1", "own", "cycles", high=20, better="less")
MEASURED = ("ring", "switch", "alloc", "sched", "block")  # their names stand in the sources
HARDWARE = claims.Check("on hardware", "tune", "c1", "own", "value", high=20, better="less", hardware="vmm tune")


@case("tools: a claim's verdict follows from its figures", needs=(), limit=60)
def verdicts(_: Context) -> None:
    def of(times: float, name: str = "c1") -> list[dict]:
        return [line("s", name, "own", [10]), line("s", name, "a", [10 * times]), line("s", name, "b", [1000])]

    assert verdict(claim(TIMES), of(3)) == "met"
    assert verdict(claim(TIMES), of(5)) == "exceeded"
    assert verdict(claim(TIMES), of(1)) == "false"
    assert verdict(claim(TIMES), of(3) + of(1, "c2")) == "depends"
    assert verdict(claim(TIMES, CYCLES), of(5)) == "met", "20 core cycles are 10 of the time-stamp counter"
    assert verdict(claim(CYCLES), [line("s", "c1", "own", [10.5])]) == "false"
    assert verdict(claim(TIMES), []) == "missing"
    assert verdict(claim(HARDWARE), []) == "hardware"
    assert verdict(claim(HARDWARE), [line("tune", "c1", "own", [10], hardware=False)]) == "hardware", "an emulated machine decided it"
    assert verdict(claim(HARDWARE), [line("tune", "c1", "own", [10], hardware=True)]) == "met"
    elsewhere = dataclasses.replace(TIMES, elsewhere=(6, 8))
    assert [figure.elsewhere for figure in claims.decide(claim(elsewhere), results.Latest(of(5))).figures] == ["false"], "5 is less than 6"
    close = claims.decide(claim(CYCLES), results.Latest([line("s", "c1", "own", [9, 9, 10, 11, 11])])).figures[0]
    assert close.verdict == "met" and close.close, "quartiles on both sides of the bound"


@case("tools: the claims can all be decided by cases that there are", needs=(), limit=60)
def claims_name_cases(_: Context) -> None:
    """Against a spelling mistake, which would make a claim `not measured` for ever."""
    sources = "".join(file.read_text() for folder in ("bench", "sim") for file in (ROOT / "tests" / folder).rglob("*.[ch]*"))
    known = claims.load()
    assert [each.number for each in known] == list(range(1, 24))
    for check in (check for each in known for check in each.checks if check.suite in MEASURED):
        for variant in (check.variant, *check.against):
            assert f'"{variant}"' in sources, f"no variant '{variant}' is in tests/bench"
        for name in (check.case, check.against_case):
            if name and "/" not in name and "*" not in name:
                assert f'"{name}"' in sources, f"no case '{name}' is in tests/bench"


@case("tools: the newest run counts, a full one before a quick one of the same commit", needs=(), limit=60)
def newest(test: Context) -> None:
    days = [{"date": f"2026-01-0{day}T00:00:00+00:00", "commit": commit, "quick": quick} for day, commit, quick in ((1, "a", False), (2, "b", False), (3, "b", True))]
    lines = [line("s", "c", "own", [number], **day) for number, day in enumerate(days)]
    assert results.Latest(lines).cases["s", "c"]["own"]["median"] == 1
    with tempfile.TemporaryDirectory(dir=LOGS) as folder:
        file = Path(folder) / "r.jsonl"
        results.append(file, {}, lines[:2])
        results.append(file, {}, lines[2:])
        assert results.load(file) == lines
        for bad in ('{"schema": 0}', "no JSON", '{"schema": 1}'):
            file.write_text(bad + "\n")
            try:
                result_folder.Folder.read(Path(folder))
            except Failure as failure:
                assert f"{file}:1 " in str(failure), f"no place in: {failure}"
            else:
                raise AssertionError(f"{bad} was taken")
    test.note("read back")


@case("tools/bench compare: a rank test finds a planted slowdown and is quiet on equal commits", needs=(), limit=60)
def rank_test(_: Context) -> None:
    # By scipy.stats.mannwhitneyu, alternative="greater".
    for old, new, expected in (
        ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 0.003968253968253968), ([1, 3, 5, 7], [2, 4, 6, 8], 0.34285714285714286),
        ([1, 2, 2, 3, 5], [2, 2, 3, 4, 6], 0.22458860080514506),
    ):  # fmt: skip
        assert abs(bench_compare.mann_whitney(old, new)[1] - expected) < 1e-9
    assert bench_compare.mann_whitney([1] * 9, [1] * 9)[1] == 1
    noise = random.Random(7)

    def runs(times: float) -> bench_compare.Runs:
        """Sixteen processes of 12 figures, one of them disturbed."""
        return {("s", str(name), "own"): [times * 100 * (1 + abs(noise.gauss(0, 0.02))) * (3 if at == name else 1) for at in range(16)] for name in range(12)}

    def found(old: bench_compare.Runs, new: bench_compare.Runs) -> list[str]:
        return [each.verdict(0.05, 0.01) for each in bench_compare.judge(old, new, set(old))]

    assert not any(found(runs(1), runs(1))), "equal commits differ"
    planted = runs(1.2)
    assert found(runs(1), planted | {("s", "0", "own"): runs(1)["s", "0", "own"]}) == ["", *["slower"] * 11]
    assert set(found(planted, runs(1))) == {"faster"}
    assert not any(found(runs(1), runs(1.03))), "less than the threshold"


@case("tools/bench: refuses what it cannot measure or compare", needs=(), limit=60)
def refusals(test: Context) -> None:
    for words, status, expected in (
        (["no-such-suite"], 125, "there is no suite"), (["ring", "--rounds", "0"], 2, "above 0"), (["compare", "no-such-commit"], 2, "no commit"),
        (["compare", "HEAD", "HEAD", "HEAD"], 2, "one or two commits"), (["compare", "ring"], 2, "none was given"),
    ):  # fmt: skip
        done = test.run(["python3", str(ROOT / "tools" / "lib" / ("bench_compare.py" if words[0] == "compare" else "bench.py")), *words[words[0] == "compare" :]])
        assert done.status == status and expected in (said := done.errors.decode()), f"{words}: status {done.status}, {said}"


class Page(html.parser.HTMLParser):
    """What a page loads, and which ids it has."""

    def __init__(self):
        super().__init__()
        self.loads, self.ids = [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and value and not value.startswith(("#", "data:")):
                self.loads.append(value)


@case("tools/report: one page without network, from results that are there", needs=("chart",), limit=120)
def page(test: Context) -> None:
    boot = {"boot_ms": {"inputs_read": 1.5, "machine_made": 2, "firmware_done": None, "ready": 700}}
    lines = [line("ring", "two-cpus-56", "fusion", [9, 10, 11], best_peer="mutex + deque", ratio=15.0)]
    lines += [line("ring", "two-cpus-56", "mutex + deque", [140, 150, 160], side="peer")]
    lines += [line("ring", "two-cpus-56", "fusion", [11, 12, 13], commit="1" * 12, date="2025-01-01T00:00:00+00:00")]
    lines += [line("block", f"memory-5us/{rate}/{figure}", mode, [1000, 2000]) for rate in (100, 1000) for figure in ("latency", "guest-cpu", "price-1")
              for mode in ("interrupt", "polling", "adaptive 1")]  # fmt: skip
    about = {"cat": "io", "pid": 1, "tid": 0, "id": 1}
    events = [{"ph": "b", "name": "read", "ts": 1.5, "args": {"mode": "polling"}}, {"ph": "b", "name": "device", "ts": 2}, {"ph": "e", "name": "device", "ts": 7}]
    with tempfile.TemporaryDirectory(dir=LOGS) as folder:
        (Path(folder) / "cold.json").write_text(json.dumps(boot))
        (Path(folder) / "trace.json").write_text(json.dumps({"traceEvents": [event | about for event in events]}))
        results.append(Path(folder) / "results.jsonl", {}, lines)
        done = test.run(["/usr/bin/python3", str(ROOT / "tools" / "lib" / "report_tool.py"), "--results", folder, "--output", folder])
        assert done.status == 0, f"status {done.status}"
        text = (Path(folder) / "report.html").read_text()
        words = (Path(folder) / "report.md").read_text()
        assert all((Path(folder) / name).exists() for name in ("charts/boots-1.svg", "charts/history-1.svg", "charts/modes-1.svg", "charts/peers-1.svg", "charts/requests-1.svg"))
    parsed = Page()
    parsed.feed(text)
    assert not parsed.loads, f"the page loads {parsed.loads}"
    assert len(parsed.ids) == len(set(parsed.ids)), "an id is there twice"
    assert "15.00×" in text and "15.00×" in words
    assert words.count("not measured in this run") > 20, "a figure was invented"
