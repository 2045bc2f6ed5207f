"""The report as one HTML page that needs nothing else: no network, no script."""

from html import escape
from pathlib import Path

import charts
from claims import VERDICTS, Decided
from findings import SIGNS, SUITES, by_check, circumstances, claimed, commands, left_open, number, on_what, peer_sentence, ratios, spread, standing, summary, tally, verdict_text
from report_charts import Section
from results import Latest, command_for

STYLE = Path(__file__).with_name("report.css")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Cells are HTML. On narrow screens each row becomes a block."""
    top = "".join(f"<th>{escape(label)}</th>" for label in head)
    body = "".join("<tr>" + "".join(f'<td data-label="{escape(label)}">{words and f"<div>{words}</div>"}</td>' for label, words in zip(head, row)) + "</tr>\n" for row in rows)
    return f'<table class="stacks"><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>\n'


def badge(verdict: str, text: str = "") -> str:
    return f'<span class="badge {verdict}">{SIGNS[verdict]} {escape(text or verdict)}</span>'


def found(decided: Decided) -> str:
    """The line under a claim while it is folded: the first figure, and how many there are."""
    checks = by_check(decided)
    if not checks:
        return decided.hardware[0].hardware if decided.hardware else "no result of its cases is there"
    rest = f"; and {len(checks) - 1} more" if len(checks) > 1 else ""
    return "; ".join(filter(None, (summary(*checks[0]) + rest, left_open(decided))))


def signs(decided: Decided) -> str:
    """A sign a figure, so that a folded claim shows how they spread."""
    if len(decided.figures) < 2:
        return ""
    return "<span class=signs>" + "".join(f'<span class="badge {figure.verdict}">{SIGNS[figure.verdict]}</span>' for figure in decided.figures) + "</span>"


def claim(decided: Decided) -> str:
    text = [f"<p class=lead>{escape(decided.claim.note)}</p>"] * bool(decided.claim.note)
    text += [f"<p>{escape(on_what(decided))}</p>"] * (decided.verdict == "depends")
    sentences = [escape(summary(check, figures)) for check, figures in by_check(decided)]
    sentences += [f"{escape(check.says)}: not measured in this run" for check in decided.missing]
    sentences += [f"{escape(check.says)}: needs KVM hardware, by <code>{escape(check.hardware)}</code>" for check in decided.hardware]
    text.append(f"<ul>{''.join(f'<li>{sentence}</li>' for sentence in sentences)}</ul>")
    text += [f"<p>{escape(peer_sentence(decided))}</p>"] * bool(peer_sentence(decided))
    if decided.figures:
        rows = [[escape(f"{figure.own['suite']} {figure.case}"), escape(figure.own["variant"]), escape(spread(figure.own)),
                 escape(f"{figure.other['variant']}: {spread(figure.other)}") if figure.other else "", escape(figure.text), escape(claimed(figure)),
                 badge(figure.verdict, figure.verdict + (", close" if figure.close else ""))] for figure in decided.figures]  # fmt: skip
        text.append(table(["case", "variant", "median", "beside", "figure", "claimed", ""], rows))
        text.append(f"<p>Again: {' '.join(f'<code>{escape(command)}</code>' for command in commands(decided))}</p>")
    head = (f'<span class=number>{decided.claim.number}</span><span>{escape(decided.claim.title)}</span>'
            f"{badge(decided.verdict, verdict_text(decided))}<span class=found>{escape(found(decided))} {signs(decided)}</span>")  # fmt: skip
    return f'<details class="claim {decided.verdict}"><summary>{head}</summary><div class=inside>{"".join(text)}</div></details>\n'


def drawings(section: Section) -> str:
    if not section.charts:
        return f"<p>{escape(section.empty)}</p>"
    return f"<div class=charts>{''.join(f'<figure>{charts.for_page(svg)}</figure>' for svg in section.charts)}</div>"


def section_text(section: Section) -> str:
    if not section.folded:
        return f'<h2 id="{section.name}">{escape(section.title)}</h2><p class=lead>{escape(section.lead)}</p>{drawings(section)}'
    inside = f"<div class=inside><p class=lead>{escape(section.lead)}</p>{drawings(section)}</div>"
    return f"<details><summary>{escape(section.title)}, {len(section.charts)} charts</summary>{inside}</details>"


def all_figures(latest: Latest) -> str:
    text = []
    for suite, cases in latest.suites().items():
        rows = [[escape(case), escape(line["variant"]), *(number(line[at]) for at in ("min", "q1", "median", "q3", "p99", "max")), str(line["n"]),
                 escape(line["unit"]), f"{line['ratio']:.2f} ({escape(line['best_peer'])})" if "ratio" in line else "", f"<code>{escape(line['commit'])}</code>"]
                for case in cases for line in latest.cases[suite, case].values()]  # fmt: skip
        head = ["case", "variant", "min", "q1", "median", "q3", "p99", "max", "n", "unit", "best peer by ours", "commit"]
        text.append(f"<details><summary>{escape(SUITES.get(suite, suite))}, {len(rows)} figures</summary><div class=inside>{table(head, rows)}</div></details>")
    return "\n".join(text)


def repeat(latest: Latest) -> str:
    rows = []
    for suite, cases in latest.suites().items():
        lines = [line for case in cases for line in latest.cases[suite, case].values()]
        command = f"tools/bench {suite}" if suite != "tune" else command_for(suite, cases[0])
        where = "<br>".join(escape(text) for _, text in circumstances(lines))
        taken = sorted({line.get("command", "") for line in lines} - {""})
        rows.append([escape(SUITES.get(suite, suite)), f"<code>{escape(command)}</code>", "<br>".join(f"<code>{escape(text)}</code>" for text in taken), where])
    return table(["suite", "all of it", "as it was run here", "platform"], rows)


def page(heading: list[str], notice: str, all_decided: list[Decided], latest: Latest, sections: list[Section]) -> str:
    counts = "".join(f'<div class="{verdict}"><b>{count}</b>{SIGNS[verdict]} {escape(VERDICTS[verdict])}</div>' for verdict, count in tally(all_decided).items())
    shown = [section for section in sections if not section.folded]
    links = [("claims", "Claims"), *((section.name, section.title) for section in shown), ("distributions", "Distributions"), ("figures", "All figures"), ("repeat", "Repeat")]
    told = [f"<p>{escape(line)}</p>" for line in heading[:1]] + [f"<p class=muted>{'<br>'.join(map(escape, heading[1:]))}</p>"]
    folded = [section for section in sections if section.folded]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Exo-OS, measured</title><link rel="icon" href="data:,"><style>
{STYLE.read_text(encoding="utf-8")}</style></head><body>
<header><h1>Exo-OS, measured</h1>{"".join(told)}{f"<p class=notice>{escape(notice)}</p>" if notice else ""}</header>
<nav>{"".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in links)}</nav>
<main>
<h2 id="claims">The design’s claims</h2>
<p class=lead>Each verdict is computed from the figures behind it. “Close” marks those whose quartiles would not all give the same one.</p>
<div class=tally>{counts}</div>
{"".join(map(claim, all_decided))}
<p>{escape(standing(ratios(latest)))}</p>
{"".join(map(section_text, shown))}
<h2 id="distributions">Distributions</h2>
<p class=lead>Every case with all of its variants, which ran alternately in one process.</p>
{"".join(map(section_text, folded))}
<h2 id="figures">All figures</h2>
{all_figures(latest)}
<h2 id="repeat">How to repeat them</h2>
<p>All: <code>tools/bench all &amp;&amp; tools/report</code>. One case: <code>tools/bench SUITE --case PART</code>; each claim names its own.</p>
{repeat(latest)}
</main></body></html>
"""
