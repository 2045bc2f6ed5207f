"""Several processors: all come up on every platform, and what they do together holds."""

import json
import re

from guest_test import PLATFORMS, Platform, plain
from harness import Context, case
from paths import ROOT
from test_disks import IN_BOX, noise

# More virtual processors than the machine below has, too. One processor is what all other cases run on.
COUNTS = {IN_BOX: (2, 4, 8), "qemu-pc": (4,), "qemu-q35": (2, 8), "bochs": (2, 4)}


def launch(platform: Platform, cpus: int, *guest_command: str) -> list[str]:
    return [*platform.command, "--cpus", str(cpus), "--disk", str(noise(platform.name, 1)), "--", *guest_command]


def check_reports(text: str, cpus: int) -> None:
    reports = [json.loads(line) for line in text.splitlines() if line.startswith('{"cpu":')]
    assert [report["cpu"] for report in reports] == list(range(cpus)), f"reports of {reports}"
    assert len({report["apic_id"] for report in reports}) == cpus, "two processors have one APIC id"
    assert all(report["interrupts"] > 0 and report["timer"] for report in reports), "a processor had no interrupt"
    assert cpus == 1 or all(report["ipis"] > 0 for report in reports), "a processor was never interrupted by another"


def check_all_in_use(test: Context, platform: Platform, cpus: int) -> None:
    done = test.run(launch(platform, cpus, "selftest", "cpus", ";", "cpus", "--json"))
    text = plain(done.text)
    assert f"{cpus} of {cpus} in use" in text, "not all processors are in use"
    assert re.search(r"^[1-9]\d* passed, 0 failed", text, re.MULTILINE), "the self-tests did not all pass"
    assert done.status == 0, f"status {done.status}"
    check_reports(text, cpus)


def check_panic(test: Context, platform: Platform) -> None:
    done = test.run(launch(platform, 2, "crash", "elsewhere"))
    text = plain(done.text)
    assert done.status == 126, f"status {done.status}"
    told = re.search(r"KERNEL PANIC on cpu ([01]): asked for", text)
    assert told, "the panic does not say on which processor"
    assert re.search(rf"^cpu {1 - int(told[1])} was in\n.*exo::guest", text, re.MULTILINE), "the other processor was not stopped"


def register(platform: Platform) -> None:
    for cpus in COUNTS[platform.name]:
        case(f"{platform.name}: {cpus} processors", needs=platform.needs, limit=240, group=platform.name)(
            lambda test, cpus=cpus: check_all_in_use(test, platform, cpus)
        )
    case(f"{platform.name}: a panic stops the other processor", needs=platform.needs, limit=240, group=platform.name)(
        lambda test: check_panic(test, platform)
    )


@case("qemu-q35: the debug guest finds locks in both orders, and one that is never given back", needs=("qemu", "debug guest"), limit=300,
      group="qemu-q35")
def lock_checks(test: Context) -> None:
    debug = [str(ROOT / "tools" / "qemu"), "--machine", "q35", "--preset", "debug", "--cpus", "2", "--"]
    for way, said in (
        ("order", r"the spin lock of .*crash.cpp:\d+ is taken by who holds the spin lock of .*crash.cpp:\d+; elsewhere it is the other order"),
        ("spin", r"the spin lock of .*crash.cpp:\d+: waited for it for \d+ ms; cpu [01] has held it for \d+ ms, taken by"),
    ):
        done = test.run([*debug, "crash", way])
        assert done.status == 126, f"status {done.status}"
        assert re.search(said, plain(done.text)), f"`crash {way}` was not reported"


for each in PLATFORMS:
    register(each)
