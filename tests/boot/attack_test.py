"""A guest that attacks the VMM from inside (guest/apps/attack): the short form of tools/attack."""

import hashlib
import json
from pathlib import Path

import attack
from guest_test import digest, plain
from harness import LOGS, Context, Result, case
from test_disks import IN_BOX, noise

NEEDS = ("kvm", "vmm", "guest")
SECTORS = 2049
METRICS = LOGS / "attack-metrics.json"
GOES_ON = (attack.TERMINATED,)


def disks() -> list[Path]:
    return [noise(IN_BOX, SECTORS), noise(IN_BOX, 3)]


def run(test: Context, *words: str, seconds: float | None = None) -> Result:
    limit = ["timeout", "--preserve-status", "-s", "TERM", str(seconds)] if seconds else []
    return test.run([*limit, *attack.command(disks(), METRICS, list(words))])


def check(done: Result, expected: tuple[int, ...]) -> None:
    fault = attack.fault(done.status, done.output, done.errors, METRICS, expected)
    assert fault is None, fault


@case("attack: a guest attacks every feature, and survives; the next one finds the disks as they were", needs=NEEDS, limit=120, group="vmm")
def tame(test: Context) -> None:
    before = [hashlib.sha256(disk.read_bytes()).digest() for disk in disks()]
    done = run(test, "attack", "--rounds", "15", "--seed", "1")
    check(done, attack.EXPECTED[False])
    assert b"165 attacks of seed 1, 0 objections" in done.output, "the guest saw what no guest may see"
    told = json.loads(METRICS.read_text())["disks"]
    test.note(json.dumps(told))
    assert all(disk["resets"] > 10 and disk["bad_descriptors"] > 10 for disk in told), "the devices were not attacked"
    assert [hashlib.sha256(disk.read_bytes()).digest() for disk in disks()] == before, "a read-only disk was written to"
    after = run(test, "sum", "disk0", ";", "sum", "disk1")
    for number, disk in enumerate(disks()):
        assert f"{digest(disk)}  disk{number}" in plain(after.text), f"disk{number} is not what it was"
    assert after.status == 0, f"status {after.status}"


@case("attack: one that may end the guest ends it with a reason, or is ended from outside", needs=NEEDS, limit=120, group="vmm")
def wild(test: Context) -> None:
    for seed in ("1", "2"):
        check(run(test, "attack", "--wild", "--rounds", "20", "--seed", seed, seconds=5), attack.EXPECTED[True])
    done = run(test, "crash", "triple")
    check(done, (127,))
    assert b"the guest triple-faulted" in done.errors, "no reason was given"


@case("attack: endless resets neither fill the log nor take memory", needs=NEEDS, limit=60, group="vmm")
def resets(test: Context) -> None:
    done = run(test, "reboot", seconds=6)
    check(done, GOES_ON)
    restarts = json.loads(METRICS.read_text())["restarts"]
    assert restarts >= 3, f"{restarts} restarts"
    told = done.errors.count(b"the guest restarts")
    assert told == restarts.bit_length(), f"{told} lines for {restarts} restarts"
