"""Charts of results, by matplotlib, as SVG that takes its colours from the page around it: light or dark, whichever is asked for."""

import io
import math
import re
from collections.abc import Callable, Iterable
from itertools import count

from io_trace import Step

# Colours that no chart means: each stands for a variable of the page's style sheet.
INK, MUTED, GRID, OWN, PEER, BOUND, SURFACE = (f"#0b0b{number:02x}" for number in range(1, 8))
SERIES = tuple(f"#0b0c{number:02x}" for number in range(1, 9))
PLAIN = {INK: "#1d2125", MUTED: "#626b74", GRID: "#dfe3e6", OWN: "#1f6feb", PEER: "#7d8790", BOUND: "#c3cad0", SURFACE: "#ffffff"}
PLAIN |= dict(zip(SERIES, ("#d1495b", "#1f6feb", "#8a5cc4", "#c77d0a", "#138a72", "#a0522d", "#5b7083", "#111111")))
VARIABLES = dict(zip(PLAIN, ("ink", "muted", "grid", "own", "peer", "bound", "surface", *(f"s{number}" for number in range(1, 9)))))
SIDES = {"own": OWN, "peer": PEER, "bound": BOUND}
WIDTH = 4.5  # inches: a column of the page, and the width of a telephone
LABEL = 31  # characters
numbers = count()


def for_page(svg: str) -> str:
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    # A document has an id but once, and groups need none.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    prefix = f"c{next(numbers)}-"
    return re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}", svg)


def for_file(svg: str) -> str:
    for colour, plain in PLAIN.items():
        svg = svg.replace(colour, plain)
    return svg.replace("<svg ", f'<svg style="background:{PLAIN[SURFACE]}" ', 1)


def draw(height: float, paint: Callable, title: str, columns: int = 1) -> str:
    """An SVG element; `paint` gets the figure's axes."""
    import matplotlib  # pylint: disable=import-outside-toplevel  # not for --help

    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    settings = {
        "svg.fonttype": "none", "svg.hashsalt": "exo", "font.size": 8.5, "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID,
        "xtick.color": MUTED, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "grid.color": GRID,
        "legend.frameon": False, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.titlecolor": INK, "xtick.labelsize": 8, "axes.labelsize": 8,
        "figure.constrained_layout.use": True, "ytick.major.size": 0, "ytick.labelcolor": INK,
    }  # fmt: skip
    with pyplot.rc_context(settings):
        figure, axes = pyplot.subplots(1, columns, figsize=(WIDTH, height), squeeze=False)
        paint(axes[0] if columns > 1 else axes[0][0])
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def shortened(text: str) -> str:
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"


def plain_ticks(axis) -> None:
    """1,000 rather than 10^3, and few of them."""
    from matplotlib import ticker  # pylint: disable=import-outside-toplevel

    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def log_scale(axes, values: Iterable[float], along: str = "x") -> None:
    """Logarithmic where values are far apart, with ticks that can be read."""
    from matplotlib import ticker  # pylint: disable=import-outside-toplevel

    positive = [value for value in values if value > 0]
    axis = axes.xaxis if along == "x" else axes.yaxis
    if positive and max(positive) > 12 * min(positive):
        (axes.set_xscale if along == "x" else axes.set_yscale)("log")
        decades = math.log10(max(positive) / min(positive))
        axis.set_major_locator(ticker.LogLocator(subs=(1.0,) if decades > 2 else (1.0, 3.0), numticks=7))
    else:
        axis.set_major_locator(ticker.MaxNLocator(6))
    plain_ticks(axis)


def distributions(title: str, lines: list[dict]) -> str:
    """Box: quartiles and median; whiskers: minimum and 99th percentile; dot: maximum. The best on top."""
    ordered = sorted(lines, key=lambda line: -line["median"])

    def paint(axes) -> None:
        for at, line in enumerate(ordered):
            colour = SIDES.get(line.get("side", "peer"), PEER)
            box = {"whislo": line["min"], "q1": line["q1"], "med": line["median"], "q3": line["q3"], "whishi": line["p99"], "fliers": [line["max"]]}
            axes.bxp(
                [box], positions=[at], vert=False, widths=0.56, patch_artist=True, manage_ticks=False,
                boxprops={"facecolor": colour, "edgecolor": colour, "alpha": 0.55}, medianprops={"color": INK, "linewidth": 1.6},
                whiskerprops={"color": colour}, capprops={"color": colour}, flierprops={"marker": ".", "markersize": 4, "markeredgecolor": colour},
            )  # fmt: skip
        axes.set_yticks(range(len(ordered)), [shortened(line["variant"]) for line in ordered])
        for label, line in zip(axes.get_yticklabels(), ordered):
            label.set_fontweight("bold" if line.get("side") == "own" else "normal")
        log_scale(axes, [line[at] for line in lines for at in ("min", "max")])
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set(title=title, xlabel=lines[0]["unit"], ylim=(-0.6, len(ordered) - 0.4))

    return draw(0.75 + 0.21 * len(ordered), paint, f"{title}: distributions")


def ratios(title: str, rows: list[tuple[str, tuple[float, float, float] | None]]) -> str:
    """Rows of label, ratio of the medians, and its bounds by the quartiles; without numbers a heading. Right of 1 the project is ahead."""
    numbers_of = [row[1] for row in rows if row[1]]
    low, high = min(each[1] for each in numbers_of), max(each[2] for each in numbers_of)

    def paint(axes) -> None:
        for at, (_, told) in enumerate(reversed(rows)):
            if told:
                colour = OWN if told[0] >= 1 else SERIES[0]
                axes.plot(told[1:], [at, at], color=colour, linewidth=3, alpha=0.35, solid_capstyle="round")
                axes.plot(told[:1], [at], "o", color=colour, markersize=4.5)
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_xscale("log")
        steps = (0.25, 0.5, 1, 2, 4, 8, 16) if high < 24 * low else (0.03, 0.1, 0.3, 1, 3, 10, 30) if high < 1000 * low else (0.001, 0.01, 0.1, 1, 10, 100, 1000)
        axes.set_xticks([step for step in steps if low * 0.8 <= step <= high * 1.25 or step == 1])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.minorticks_off()
        axes.set_yticks(range(len(rows)), [shortened(row[0]) for row in reversed(rows)])
        for label, (_, told) in zip(axes.get_yticklabels(), reversed(rows)):
            label.set_color(INK if told else MUTED)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set(title=title, xlabel="best peer's median by ours", ylim=(-0.7, len(rows) - 0.3))

    return draw(0.7 + 0.185 * len(rows), paint, f"{title}: ratio to the best peer")


def against_load(title: str, ylabel: str, curves: dict[str, list[tuple[float, float, float, float]]]) -> str:
    """Curves of (operations a second, value, quartiles)."""

    def paint(axes) -> None:
        for at, (name, points) in enumerate(curves.items()):
            own = name.startswith("adaptive")
            colour = SERIES[at % len(SERIES)]
            rates, values, lows, highs = zip(*points)
            axes.plot(rates, values, "o--" if own else "s-", color=colour, markersize=3.2, linewidth=1.8 if own else 1.2, label=name)
            axes.fill_between(rates, lows, highs, color=colour, alpha=0.13, linewidth=0)
        log_scale(axes, [value for points in curves.values() for point in points for value in point[1:]], "y")
        axes.set_xscale("log")
        axes.set_xticks(sorted({point[0] for points in curves.values() for point in points}))
        plain_ticks(axes.xaxis)
        axes.minorticks_off()
        axes.grid()
        axes.set(title=title, xlabel="operations a second", ylabel=ylabel)
        axes.legend(ncols=3, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.45, -0.24), handlelength=1.6, columnspacing=1.1)

    return draw(3.1, paint, title)


def cost_map(title: str, disks: list[str], rates: list[str], values: dict[tuple[str, str], float]) -> str:
    """The best static way's cost by adaptive's, a cell each device and rate."""

    def paint(axes) -> None:
        for (disk, rate), value in values.items():
            x, y = rates.index(rate), len(disks) - 1 - disks.index(disk)
            strength = min(abs(math.log2(value)), 2) / 2
            colour = OWN if value >= 1 else SERIES[0]
            axes.fill_between([x - 0.47, x + 0.47], y - 0.45, y + 0.45, color=colour, alpha=0.1 + 0.5 * strength, linewidth=0)
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(rates)), [f"{float(rate):,.0f}" for rate in rates])
        axes.set_yticks(range(len(disks)), list(reversed(disks)))
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set(title=title, xlabel="operations a second", xlim=(-0.5, len(rates) - 0.5), ylim=(-0.5, len(disks) - 0.5))

    return draw(0.75 + 0.27 * len(disks), paint, title)


def boot_timelines(runs: dict[str, list[tuple[str, float]]]) -> str:
    """Runs of (moment, milliseconds since the start): from one moment to the next is a phase of the later one's name."""
    phases = list(dict.fromkeys(moment for moments in runs.values() for moment, _ in moments))

    def paint(axes) -> None:
        names = list(runs)[::-1]
        for at, name in enumerate(names):
            before = 0.0
            for moment, when in runs[name]:
                colour = SERIES[phases.index(moment) % len(SERIES)]
                axes.barh(at, when - before, left=before, height=0.6, color=colour, alpha=0.75, label=moment)
                before = when
            axes.text(before, at, f" {before:,.0f} ms", va="center", fontsize=8)
        axes.set_yticks(range(len(names)), [shortened(name) for name in names])
        axes.set(xlabel="ms since the program began", title="Boot timelines")
        plain_ticks(axes.xaxis)
        axes.margins(x=0.16)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        told = dict(zip(*axes.get_legend_handles_labels()[::-1]))
        axes.legend(told.values(), [name.replace("_", " ") for name in told], ncols=3, fontsize=7.5, loc="upper center",
                    bbox_to_anchor=(0.4, -0.36 if len(names) < 4 else -0.2), handlelength=1)  # fmt: skip

    return draw(1.6 + 0.3 * len(runs), paint, "Boot timelines")


def request_steps(name: str, requests: list[tuple[dict, list[Step]]], decisions: list[tuple[float, str]]) -> str:
    """A row a request, the eldest on top; `requests` as io_trace.requests tells them."""
    start = requests[0][0]["start_us"]
    end = max(steps[-1].end_us for _, steps in requests)
    order = ("submit", "submit and doorbell", "pick-up", "device", "host storage", "interrupt", "wake-up")
    title = f"{name}: disk requests, step by step"

    def paint(axes) -> None:
        for at, (_, steps) in enumerate(requests):
            for step in steps:
                colour = SERIES[order.index(step.name)]
                axes.barh(-at, step.end_us - step.start_us, left=step.start_us - start, height=0.72, color=colour, label=step.name)
        for when, mode in decisions:
            if start <= when <= end:
                axes.axvline(when - start, color=MUTED, linestyle="--", linewidth=0.8)
                axes.text(when - start, 0.7, f" {mode}", fontsize=7, color=MUTED)
        axes.set_yticks([-at for at in range(len(requests))], [f"{about['name']}, {about['mode']}" for about, _ in requests], fontsize=6.5)
        axes.set(xlabel="µs", title=title)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        told = dict(zip(*axes.get_legend_handles_labels()[::-1]))
        axes.legend([told[step] for step in order if step in told], [step for step in order if step in told], ncols=3, fontsize=7.5,
                    loc="upper center", bbox_to_anchor=(0.4, -0.14), handlelength=1)  # fmt: skip

    return draw(1.3 + 0.14 * len(requests), paint, title)


def history(title: str, unit: str, commits: list[str], curves: dict[str, list[tuple[int, dict]]]) -> str:
    """Curves of (place of the commit, line): medians, with the quartiles as a band."""

    def paint(axes) -> None:
        for at, (name, points) in enumerate(curves.items()):
            places, lines = zip(*points)
            colour = SERIES[(at + 1) % len(SERIES)]
            axes.plot(places, [line["median"] for line in lines], "o-", color=colour, markersize=3.5, label=shortened(name))
            axes.fill_between(places, [line["q1"] for line in lines], [line["q3"] for line in lines], color=colour, alpha=0.15, linewidth=0)
        axes.set_xticks(range(len(commits)), [commit[:7] + "+" * commit.endswith("+") for commit in commits], rotation=45, ha="right")
        log_scale(axes, [line[at] for points in curves.values() for _, line in points for at in ("q1", "q3")], "y")
        axes.grid(axis="y")
        axes.set(title=title, ylabel=unit)
        axes.legend(fontsize=7.5)

    return draw(2.4, paint, f"{title}: history")
