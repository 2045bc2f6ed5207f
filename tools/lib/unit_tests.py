"""Hosted unit tests: one ctest run a preset, counted by GoogleTest case."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from builder import build
from paths import BUILD, ROOT
from report import Failure, Phase
from verdict import Verdict

TOOL = "test"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Program:
    """What one test executable said."""

    name: str
    seconds: float
    ended_well: bool
    output: str
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def run_preset(preset: str, pattern: str, verdict: Verdict, logs: Path) -> None:
    try:
        folder = build(TOOL, preset)
    except Failure as failure:
        verdict.take(f"{preset}: build", 0, str(failure))
        return
    with Phase(TOOL, f"unit tests of {preset}…"):
        programs = _run_ctest(preset, folder, pattern)
    for program in programs:
        log = logs / f"unit-{preset}-{program.name}.log"
        log.write_text(program.output)
        _judge(preset, program, verdict, log)


def _run_ctest(preset: str, folder: Path, pattern: str) -> list[Program]:
    results = folder / "test-results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    report = results / "ctest.xml"
    command = ["ctest", "--test-dir", folder, "-j", str(os.cpu_count()), "--output-junit", report, "--no-tests=ignore"]
    command += ["--test-output-size-passed", "1000000", "--test-output-size-failed", "1000000"]
    if pattern:
        command += ["-R", pattern]
    environment = os.environ | SANITIZERS | {"GTEST_OUTPUT": f"json:{results}/", "GTEST_COLOR": "no"}
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not report.exists():
        return []
    return [_program(element, results) for element in ElementTree.parse(report).getroot().iter("testcase")]


def _program(element: ElementTree.Element, results: Path) -> Program:
    name = element.get("name")
    output = element.findtext("system-out") or ""
    program = Program(name, float(element.get("time") or 0), element.get("status") == "run", output)
    told = results / f"{name}.json"
    if told.exists():
        for suite in json.loads(told.read_text())["testsuites"]:
            for test in suite["testsuite"]:
                _sort(program, f"{suite['name']}.{test['name']}", test)
    return program


def _sort(program: Program, name: str, test: dict) -> None:
    if test.get("failures"):
        program.failed.append(name)
    elif test.get("result") == "SKIPPED":
        program.skipped.append(name)
    elif test.get("status") == "RUN":
        program.passed.append(name)


def _judge(preset: str, program: Program, verdict: Verdict, log: Path) -> None:
    counted = len(program.passed) + len(program.failed)
    title = f"{preset}: {program.name}" + (f", {counted} tests" if counted else "")
    if program.skipped:
        reason = f"{len(program.skipped)} tests that say why in {log.relative_to(ROOT)}"
        verdict.skip(f"{preset}: {program.name}", reason, len(program.skipped))
    if program.failed:
        verdict.explain(title, program.seconds, f"failed: {', '.join(program.failed)}", log)
    elif not program.ended_well:  # it crashed, ran out of time, or is no GoogleTest
        verdict.take(title, program.seconds, "it ended badly", log)
    elif not counted:
        verdict.take(title, program.seconds, None)
    else:
        verdict.explain(title, program.seconds, None, log)
    verdict.count([f"{preset}: {name}" for name in program.passed], [f"{preset}: {name}" for name in program.failed])
