"""What lies in the results folder: benchmark lines, documents of `vmm tune`, metrics of runs, traces of disk requests."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import results
from report import Failure

MOMENTS = ("inputs_read", "machine_made", "vcpu_start", "firmware_done", "firmware_handover", "kernel_entry", "ready")


@dataclass
class Folder:
    lines: list[dict] = field(default_factory=list)
    tuned: list[dict] = field(default_factory=list)  # documents of `vmm tune --json`
    boots: dict[str, list[tuple[str, float]]] = field(default_factory=dict)  # by the metrics file's name
    io_traces: dict[str, dict] = field(default_factory=dict)  # of tools/io-trace, by the file's name

    @classmethod
    def read(cls, path: Path) -> "Folder":
        found = cls()
        for file in sorted(path.glob("*.jsonl")):
            found.lines += results.load(file)
        for file in sorted(path.glob("*.json")):
            found._take(file)
        if not found.lines and not found.tuned and not found.boots and not found.io_traces:
            raise Failure(f"there are no results in {path}; `tools/bench all` measures, `tools/bench all --quick` tries it in minutes")
        return found

    def _take(self, file: Path) -> None:
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Failure(f"cannot read {file}: {error}") from error
        try:
            if "boot_ms" in told:
                moments = [(moment, told["boot_ms"][moment]) for moment in MOMENTS if told["boot_ms"].get(moment) is not None]
                if moments:
                    self.boots[file.name.removesuffix(".json").removesuffix(".metrics")] = sorted(moments, key=lambda moment: moment[1])
            elif "traceEvents" in told:
                self.io_traces[file.name.removesuffix(".json")] = told
            elif "cells" in told:
                self.tuned.append(told)
                self.lines += tune_lines(told, file.stat().st_mtime)
        except (KeyError, TypeError) as error:
            raise Failure(f"{file} is nothing that `vmm run --metrics`, `vmm tune --json` or tools/io-trace writes: {error!r}") from error


def tune_lines(told: dict, when: float) -> Iterator[dict]:
    """A document of `vmm tune` in the schema of results.py: a case each depth, rate and figure; its samples are the rounds."""
    stamp = {"schema": results.SCHEMA, "commit": told.get("version", "unknown"), "date": f"{when:.0f}", "machine": told["processor"],
             "platform": f"{told['processor']}, {told['disk']}", "suite": "tune", "hardware": told["of_this_hardware"]}  # fmt: skip
    for cell in told["cells"]:
        if cell["compared"] != "modes" or not cell["rounds"]:
            continue
        adaptive = cell["price"] is not None
        variant = f"adaptive {cell['price']:g}" if adaptive else cell["mode"]
        for name, figure, unit in (("latency", "p50_ns", "ns of p50 latency"), ("cpu", "host_cpu_ns", "ns of host CPU an operation")):
            samples = results.distribution(each[figure] for each in cell["rounds"])
            case = f"depth-{cell['depth']}/{cell['asked_rate']}/{name}"
            yield stamp | {"case": case, "variant": variant, "side": "own" if adaptive else "peer", "unit": unit, **samples}
