"""`tools/report`: one page of all results, as HTML and as Markdown."""

import argparse
import os
from pathlib import Path

import charts
import claims
import report_html
import report_markdown
import results
from command import finish
from findings import ratios
from paths import BUILD
from report import Phase, say
from report_charts import Section, boot_section, cost_section, distribution_sections, history_section, ratio_section, trace_section
from result_folder import Folder
from results import Latest

TOOL = "report"


def heading(lines: list[dict]) -> list[str]:
    commits = sorted({line["commit"] for line in lines})
    dates = sorted(line["date"] for line in lines if "T" in line["date"])
    named = f"commit {commits[0]}" if len(commits) == 1 else f"{len(commits)} commits ({', '.join(commits[:6])}{'…' if len(commits) > 6 else ''})"
    told = ["A VMM and a guest kernel, held against the design’s claims and against the best peers, measured in the same runs."]
    told.append(f"{len(lines)} figures, {named}, {f'{dates[0]} to {dates[-1]}' if dates else 'no date'}")
    return told + sorted({line["machine"] for line in lines})


def notice(lines: list[dict]) -> str:
    quick = sum(bool(line.get("quick")) for line in lines)
    if not quick:
        return ""
    return (f"{quick} of {len(lines)} figures are of quick runs: they show that all of it works, and are not to be quoted. "
            "tools/bench all takes the ones that are.")  # fmt: skip


def save_charts(sections: list[Section], folder: Path) -> dict[str, list[str]]:
    """Files beside the Markdown, by section."""
    (folder / "charts").mkdir(parents=True, exist_ok=True)
    for old in (folder / "charts").glob("*.svg"):
        old.unlink()
    files: dict[str, list[str]] = {}
    for section in sections:
        for number, svg in enumerate(section.charts, 1):
            name = f"charts/{section.name}-{number}.svg"
            (folder / name).write_text(charts.for_file(svg), encoding="utf-8")
            files.setdefault(section.name, []).append(name)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=f"tools/{TOOL}", description="Makes one page of all results: the design's claims with their verdicts, the best peers, charts, and how to "
        "repeat each figure.",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, default=results.FOLDER, metavar="FOLDER",
                        help="what tools/bench has measured (*.jsonl), `vmm tune --json`, `vmm run --metrics` and tools/io-trace have written (*.json); default build/results")
    parser.add_argument("--output", type=Path, default=BUILD / "report", metavar="FOLDER", help="for report.html, report.md and its charts; default build/report")
    asked = parser.parse_args()
    folder = Folder.read(asked.results)
    latest = Latest(folder.lines)
    shown = [line for variants in latest.cases.values() for line in variants.values()]
    decided = [claims.decide(claim, latest) for claim in claims.load()]
    with Phase(TOOL, "drawing…"):
        sections = [ratio_section(ratios(latest)), cost_section(latest), trace_section(folder), boot_section(folder),
                    history_section(folder.lines), *distribution_sections(latest)]
    asked.output.mkdir(parents=True, exist_ok=True)
    files = save_charts(sections, asked.output)
    page = asked.output / "report.html"
    page.write_text(report_html.page(heading(shown), notice(shown), decided, latest, sections), encoding="utf-8")
    text = asked.output / "report.md"
    told = heading(shown) + [notice(shown)] * bool(notice(shown))
    text.write_text(report_markdown.page(told, decided, latest, sections, files), encoding="utf-8")
    say(TOOL, f"{os.path.relpath(page)} and {os.path.relpath(text)}")
    return 0


if __name__ == "__main__":
    finish(TOOL, main)
