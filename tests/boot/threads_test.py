"""Threads on several processors, on every platform."""

import json
import re

from guest_test import PROMPT, Platform, on_every_platform, plain
from harness import Context, case
from paths import ROOT


def json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in plain(text).splitlines() if line.startswith("{")]


@on_every_platform("threads on 1, 2 and 4 processors")
def threads(test: Context, platform: Platform) -> None:
    for cpus in (1, 2, 4):
        done = test.run([*platform.command, "--cpus", str(cpus), "--", "selftest", "threads", ";", "sched", "--json", ";", "ps", "--json"])
        assert re.search(r"^[1-9]\d* passed, 0 failed", plain(done.text), re.MULTILINE), f"{cpus} processors: not all tests passed"
        assert done.status == 0, f"{cpus} processors: status {done.status}"
        told = json_lines(done.text)
        counted = [line for line in told if "switches" in line and "wake_ups" in line]
        assert len(counted) == cpus, f"{len(counted)} processors schedule, not {cpus}"
        assert all(line["switches"] > 0 for line in counted), "a processor never switched"
        listed = [line["name"] for line in told if "stack_bytes" in line]
        assert "main" in listed and listed.count("idle/0") == 1, f"unexpected threads: {listed}"


@on_every_platform("round robin; a command in the background; an unknown policy")
def policies(test: Context, platform: Platform) -> None:
    done = test.run([*platform.command, "--append", "scheduler=round-robin", "--", "sched", ";", "selftest", "threads: a mutex", "&", ";", "sleep", "3"])
    text = plain(done.text)
    assert "policy: round-robin" in text
    assert len(re.findall(r"^[1-9]\d* passed, 0 failed", text, re.MULTILINE)) == 1, "the tests did not all pass"
    assert re.search(r"^\[\d+\] selftest: ended with status 0", text, re.MULTILINE), "the background command did not end"
    assert done.status == 0, f"status {done.status}"
    done = test.run([*platform.command, "--append", "scheduler=best", "--", "sched"])
    assert "warning: scheduler=best: there is no such policy" in plain(done.text) and "policy: predictive" in plain(done.text)


@case("qemu-q35: latencies of wake-ups by both policies, which then is as before", needs=("qemu", "guest"), limit=240, group="qemu-q35")
def wakeups(test: Context) -> None:
    done = test.run([str(ROOT / "tools" / "qemu"), "--machine", "q35", "--cpus", "2", "--", "wakeups", "--json", ";", "sched"])
    told = json_lines(done.text)
    measured = {line["policy"]: line for line in told if "wake_ups" in line}
    assert set(measured) == {"predictive", "round-robin"}, f"measured {list(measured)}"
    assert all(line["wake_ups"] > 0 and line["p50_ns"] <= line["p99_ns"] for line in measured.values()), f"odd latencies: {measured}"
    assert any("p99_ratio_thousandths" in line for line in told), "no ratio"
    assert "policy: predictive" in plain(done.text) and done.status == 0, f"status {done.status}"


@on_every_platform("top at a terminal, beside a command in the background")
def top(test: Context, platform: Platform) -> None:
    with test.type_at(platform.launch([])) as keyboard:
        keyboard.expect(PROMPT)
        keyboard.type("sleep 600 &\r")
        keyboard.expect(r"\[\d+\] sleep")
        keyboard.type("top\r")
        for _ in range(3):
            keyboard.expect(r"\d+ threads, up ")
            keyboard.expect(r"main")
        keyboard.type("q")
        keyboard.expect(PROMPT)
        keyboard.type("exit 9\r")
        assert keyboard.wait() == 9
