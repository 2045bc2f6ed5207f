"""`tools/tune-chart`: latency and CPU time against load, for each way to wait that `vmm tune --json` has measured."""

import argparse
import json
from pathlib import Path

from command import finish
from report import Failure

TOOL = "tune-chart"
FIGURES = {"p50_ns": "p50 latency, µs", "host_cpu_ns": "host CPU an operation, µs"}


def curves(cells: list[dict], depth: int) -> dict[str, list[dict]]:
    """The medians of each way at one depth, by the rate that there was."""
    found: dict[str, list[dict]] = {}
    for cell in cells:
        if cell["compared"] == "modes" and cell["depth"] == depth:
            name = cell["mode"] if cell["price"] is None else f"{cell['mode']}, price {cell['price']:g}"
            found.setdefault(name, []).append(cell["median"])
    for medians in found.values():
        medians.sort(key=lambda median: median["rate"])
    return found


def draw(told: dict, target: Path) -> None:
    import matplotlib  # pylint: disable=import-outside-toplevel  # not for --help

    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    depths = sorted({cell["depth"] for cell in told["cells"] if cell["compared"] == "modes"})
    figure, rows = pyplot.subplots(len(FIGURES), len(depths), squeeze=False, figsize=(7 * len(depths), 9), layout="constrained")
    for row, (field, label) in zip(rows, FIGURES.items()):
        for axes, depth in zip(row, depths):
            for name, medians in curves(told["cells"], depth).items():
                # A logarithm has no place for a time below the clock's step.
                values = [max(median[field], 1) / 1000 for median in medians]
                style = "o--" if name.startswith("adaptive") else "s-"
                axes.loglog([median["rate"] for median in medians], values, style, label=name, markersize=4)
            axes.set(xlabel=f"operations a second, depth {depth}", ylabel=label)
            axes.grid(alpha=0.3, which="both")
    rows[0][0].legend()
    title = f"{told['pattern']} of {told['block']} bytes on {told['disk']}, {told['processor']}"
    if not told["of_this_hardware"]:
        title += f"\nNOT OF THIS HARDWARE: {told['why_not']}"
    figure.suptitle(title)
    figure.savefig(target)


def main() -> int:
    parser = argparse.ArgumentParser(prog=TOOL, description="Draws latency and CPU time against load, for each way to wait for a disk.")
    parser.add_argument("document", type=Path, metavar="FILE.json", help="what `vmm tune --json` has written")
    parser.add_argument("chart", type=Path, metavar="FILE.svg", help="the chart; .png and .pdf work as well")
    asked = parser.parse_args()
    try:
        told = json.loads(asked.document.read_text())
    except OSError as error:
        raise Failure(f"cannot read {asked.document}: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"{asked.document} is no JSON document: {error}") from error
    try:
        draw(told, asked.chart)
    except (KeyError, TypeError, IndexError) as error:
        raise Failure(f"{asked.document} is not what `vmm tune --json` writes: {error!r}") from error
    except (OSError, ValueError) as error:  # matplotlib tells by ValueError which formats it knows
        raise Failure(f"cannot write {asked.chart}: {error}") from error
    return 0


if __name__ == "__main__":
    finish(TOOL, main)
