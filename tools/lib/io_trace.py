"""`tools/io-trace`: one disk load in a guest on this project's VMM, and its requests step by step on both sides, in the format of Perfetto."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import box
import kvm
from builder import build
from command import finish
from disks import Disk, checked, sample
from report import Failure, say
from results import FOLDER
from same_guest import on_vmm
from watched_process import WatchedProcess

TOOL = "io-trace"
FILE = FOLDER / "io-trace.json"
BOOT_LIMIT = 120  # seconds, with the load
LOAD = ["--depth", "4", "--time", "1"]


def document(lines: Iterator[str]) -> tuple[dict, str]:
    """The trace that a guest prints, and what it says besides."""
    trace: list[str] = []
    other: list[str] = []
    for line in lines:
        inside = line.startswith('{"traceEvents"') or (trace and trace[-1] != "]}")
        (trace if inside else other).append(line)
    try:
        return json.loads("\n".join(trace)), "\n".join(other)
    except ValueError:
        raise Failure("the guest told no trace:\n" + "\n".join(other[-12:])) from None


def record(disk: str, load: list[str], *, pass_fds: tuple[int, ...] = ()) -> tuple[dict, str]:
    """What a guest traced of a load, and what it said of it.
    @param disk: as the option --disk of vmm takes it
    @param load: options of the guest's command `blk bench`"""
    words = ["blk", "bench", "disk0", *load, ";", "blk", "trace", "disk0", "--json"]
    with WatchedProcess(on_vmm(words, options=("--disk", disk)), time_limit=BOOT_LIMIT, pass_fds=pass_fds) as machine:
        told, said = document(machine.lines())
    if not told["traceEvents"]:
        raise Failure(f"the guest has traced no request:\n{said}")
    return told, said


@dataclass(frozen=True)
class Step:
    name: str
    start_us: float
    end_us: float


def requests(trace: dict) -> list[tuple[dict, list[Step]]]:
    """Of each request what is known of it, and its steps in order; the eldest request first."""
    found: dict[tuple, tuple[dict, list[Step]]] = {}
    begun: dict[tuple, float] = {}
    for event in trace["traceEvents"]:
        if event["ph"] not in "be":
            continue
        who = (event["tid"], event["id"])
        if event["ph"] == "b" and "args" in event:
            found[who] = ({"name": event["name"], "start_us": event["ts"], **event["args"]}, [])
        elif event["ph"] == "b":
            begun[*who, event["name"]] = event["ts"]
        elif (start := begun.pop((*who, event["name"]), None)) is not None:
            found[who][1].append(Step(event["name"], start, event["ts"]))
    return sorted((request for request in found.values() if request[1]), key=lambda request: request[0]["start_us"])


def decisions(trace: dict) -> list[tuple[float, str]]:
    """When the controller took to another plan, in microseconds, and its mode."""
    return [(event["ts"], event["name"]) for event in trace["traceEvents"] if event["ph"] == "i"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=f"tools/{TOOL}", usage=f"tools/{TOOL} [--output FILE] [--disk FILE[,readonly]] [-- LOAD]", description="Puts a load on a disk of a guest, and keeps "
        "when each of the latest requests was handed over, rung for, picked up, given to the host's storage, ended, told of and waited for, on one "
        "time-stamp counter, with the controller's decisions between them. https://ui.perfetto.dev draws it, and so does tools/report.",
        epilog=f"LOAD: options of the guest's command `blk bench` (default {' '.join(LOAD)}).",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=FILE, metavar="FILE", help="default build/results/io-trace.json")
    parser.add_argument("--disk", type=Disk.parse, metavar="FILE[,readonly]", help="default the one that tools/run takes")
    parser.add_argument("load", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    disk = checked([asked.disk])[0] if asked.disk else sample(TOOL)
    build(TOOL, "release", ["vmm", "guest"])
    if (reason := kvm.why_unusable()) is not None:
        say(TOOL, f"{reason}: in the kvm-box, whose times are not those of hardware")
        asked.output.resolve().parent.mkdir(parents=True, exist_ok=True)
        return box.run(["python3", __file__, *sys.argv[1:]], box.Options(time_limit=box.time_limit(BOOT_LIMIT + 60)))
    told, said = record(f"{disk.path}{',readonly' * disk.readonly}", asked.load or LOAD)
    try:
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(json.dumps(told), encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {asked.output}: {error.strerror}") from error
    print(said[said.rfind("disk0, ") :])
    say(TOOL, f"{len(requests(told))} requests in {asked.output}: open it at https://ui.perfetto.dev")
    return 0


if __name__ == "__main__":
    finish(TOOL, main)
