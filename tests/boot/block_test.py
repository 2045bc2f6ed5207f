"""Loads on a scratch disk in every mode, on every platform: data that is true from inside and outside, and what it cost."""

import json
from pathlib import Path

import io_trace
from guest_test import PLATFORMS, Platform, digest, on_every_platform, plain
from harness import Context, case
from test_disks import scratch

# IDE is driven in two modes, and one request at a time.
MODES = {"bochs": ("interrupt", "polling", "adaptive")}
ALL_MODES = ("interrupt", "polling", "hybrid", "batch", "adaptive")


def bench(mode: str, *options: str) -> list[str]:
    return ["blk", "mode", "disk0", mode, ";", "blk", "bench", "disk0", "--json", *options, ";"]


def launch(platform: Platform, disk: Path, *guest_command: str) -> list[str]:
    """With two processors, so that disks have two queues; Bochs has one."""
    words = platform.launch([disk], *guest_command)
    place = len(platform.command)
    return words if platform.name == "bochs" else [*words[:place], "--cpus", "2", *words[place:]]


def results(text: str) -> list[dict]:
    lines = (line for line in plain(text).splitlines() if line.startswith('{"disk"'))
    return [told for told in map(json.loads, lines) if "operations" in told and "iops" in told]


@on_every_platform("loads with verification in every mode; the disk holds the same from outside")
def verified(test: Context, platform: Platform) -> None:
    disk = scratch(platform.name)
    before = digest(disk)
    modes = MODES.get(platform.name, ALL_MODES)
    words = []
    for number, mode in enumerate(modes):
        load = ("--rw", "mixed", "--verify", "--destroy-data", "--jobs", "2", "--depth", "4", "--count", "200", "--seed", str(number + 1))
        words += bench(mode, *load)
    done = test.run(launch(platform, disk, *words, "sum", "disk0"))
    told = results(done.text)
    test.note(json.dumps(told, indent=2))
    assert [result["mode"] for result in told] == list(modes), f"{len(told)} results"
    for result in told:
        assert result["error"] == "", f"{result['mode']}: {result['error']}"
        assert result["operations"] == 200, f"{result['mode']}: {result['operations']} operations"
        assert result["verified"] >= result["writes"] / 2 > 0, f"{result['mode']}: {result['verified']} blocks compared"
    assert done.status == 0, f"status {done.status}"
    assert digest(disk) != before, "nothing was written"
    assert f"{digest(disk)}  disk0" in plain(done.text), "the disk holds other data than the guest read"


@case("vmm: what a request costs in doorbells and interrupts", needs=("kvm", "vmm", "guest"), limit=300, group="vmm")
def costs(test: Context) -> None:
    disk = scratch("vmm")
    words = [
        *bench("polling", "--count", "2000"),
        *bench("interrupt", "--count", "1000"),
        *bench("batch", "--count", "4000", "--depth", "32"),
        "blk", "stats", "disk0",
    ]  # fmt: skip
    done = test.run(launch(PLATFORMS[0], disk, *words))
    polling, interrupt, batch = results(done.text)
    test.note(json.dumps([polling, interrupt, batch], indent=2))
    assert done.status == 0, f"status {done.status}"

    def each(result: dict, what: str) -> float:
        return result[what] / result["operations"]

    assert each(polling, "interrupts") < 0.01, f"polling: {each(polling, 'interrupts')} interrupts"
    assert "paravirtual EOI" in plain(done.text), "each end of an interrupt is an exit"
    for what in ("doorbells", "interrupts"):
        assert each(interrupt, what) <= 1, f"interrupt: {each(interrupt, what)} {what}"
        assert each(batch, what) <= 1 / 16, f"depth 32: {each(batch, what)} {what}"


@case("vmm: the steps of a request are known on both sides, in order", needs=("kvm", "vmm", "guest"), limit=300, group="vmm")
def traced(test: Context) -> None:
    words = [*bench("interrupt", "--count", "64"), "blk", "trace", "disk0", "--json"]
    done = test.run(launch(PLATFORMS[0], scratch("vmm"), *words))
    assert done.status == 0, f"status {done.status}"
    requests = io_trace.requests(io_trace.document(iter(plain(done.text).splitlines()))[0])
    assert len(requests) == 64, f"{len(requests)} requests"
    for about, steps in requests:
        # The device may pick it up before the doorbell's exit is over, and end it before the waiter sleeps.
        names = [step.name for step in steps if step.name not in ("pick-up", "interrupt")]
        assert names[0].startswith("submit") and names[1:] == ["device", "host storage", "wake-up"], f"{about}: {names}"
        starts = [step.start_us for step in steps if step.name != "submit and doorbell"]
        assert about["start_us"] <= starts[0] and starts == sorted(starts), f"{about}: {steps}"
    assert any(step.name == "interrupt" for _, steps in requests for step in steps)
    assert any(about["doorbell"] for about, _ in requests)
