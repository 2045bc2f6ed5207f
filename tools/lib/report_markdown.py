"""The report as Markdown: the synthesis of all figures, for those who read text."""

from claims import Decided
from findings import SIGNS, SUITES, by_check, circumstances, claimed, commands, on_what, peer_sentence, ratios, spread, standing, summary, tally, verdict_text
from report_charts import Section
from results import Latest


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def claim(decided: Decided) -> str:
    text = [f"### {decided.claim.number}. {decided.claim.title}", "", f"**{SIGNS[decided.verdict]} {verdict_text(decided)}**", ""]
    text += [decided.claim.note, ""] * bool(decided.claim.note)
    text += [on_what(decided), ""] * (decided.verdict == "depends")
    text += [f"- {summary(check, figures)}" for check, figures in by_check(decided)]
    text += [f"- {check.says}: not measured in this run" for check in decided.missing]
    text += [f"- {check.says}: needs KVM hardware, by `{check.hardware}`" for check in decided.hardware]
    text += ["", peer_sentence(decided)] * bool(peer_sentence(decided))
    if decided.figures:
        text += ["", "| case | variant | median (quartiles) | beside | | claimed | |", "| --- | --- | --- | --- | --- | --- | --- |"]
        for figure in decided.figures:
            beside = f"{figure.other['variant']}, {spread(figure.other)}" if figure.other else ""
            close = ", close" if figure.close else ""
            words = (f"{figure.own['suite']} {figure.case}", figure.own["variant"], spread(figure.own), beside, figure.text, claimed(figure))
            text.append(f"| {' | '.join(map(cell, words))} | {SIGNS[figure.verdict]} {figure.verdict}{close} |")
        text += ["", f"Again: {', '.join(f'`{command}`' for command in commands(decided))}"]
    return "\n".join(text) + "\n"


def page(heading: list[str], all_decided: list[Decided], latest: Latest, sections: list[Section], files: dict[str, list[str]]) -> str:
    shown = [line for variants in latest.cases.values() for line in variants.values()]
    text = ["# Exo-OS, measured", "", *(f"{line}  " for line in heading), "", "## Verdicts", ""]
    text += ["| | claim | verdict |", "| --- | --- | --- |"]
    text += [f"| {each.claim.number} | {cell(each.claim.title)} | {SIGNS[each.verdict]} {verdict_text(each)} |" for each in all_decided]
    text += ["", "; ".join(f"{SIGNS[verdict]} {count} {verdict}" for verdict, count in tally(all_decided).items()), "", "## Claims", ""]
    text += [claim(each) for each in all_decided]
    every = sorted(ratios(latest), key=lambda ratio: ratio.value)
    text += ["## Beside the best peers", "", standing(every), ""]
    if every:
        text += ["| suite | case | variant | ours | best peer | its median | ratio |", "| --- | --- | --- | --- | --- | --- | --- |"]
        text += [f"| {each.suite} | {cell(each.case)} | {cell(each.variant)} | {spread(each.own)} | {cell(each.peer['variant'])} | {spread(each.peer)} | {each.value:.2f} |"
                 for each in every]  # fmt: skip
    for section in sections:
        text += ["", f"## {section.title}", "", section.lead, ""]
        text += [f"![{section.title}]({name})" for name in files.get(section.name, [])] or [section.empty]
    text += ["", "## Where the figures are from", "", "| suite | platform |", "| --- | --- |"]
    text += [f"| {SUITES.get(suite, suite)} | {cell(where)} |" for suite, where in circumstances(shown)]
    return "\n".join(text) + "\n"
