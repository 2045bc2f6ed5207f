"""`tools/bench vmm`: what it takes to start the same guest on this project's VMM and on QEMU: time, exits, CPU and memory."""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import box
import firmware
import kvm
from builder import build
from command import finish, positive
from paths import BUILD
from report import Failure, say
from results import FOLDER, distribution, of_guests, with_peers
from same_guest import MEMORY_MIB, on_qemu, on_vmm
from watched_process import STATISTICS, WatchedProcess

TOOL = "bench vmm"
MARK = "the-guest-is-ready"
COMMAND = ["echo", MARK, ";", "sleep", "1"]  # it stays for as long as looking at it takes
BOOT_LIMIT = 300  # seconds; QEMU needs 40 in the box
BOX_LIMIT = 3600
# Of a boot up to the guest command's first line, but for the first two.
FIGURES = {
    "entry": ("first instruction", "ms"), "kernel": ("kernel entry", "ms"), "ready": ("guest command", "ms"), "cpu": ("CPU", "ms"),
    "exits": ("exits", "exits"), "memory": ("private memory", "KiB"),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    name: str
    way: str  # machines that start in the same way are peers
    own: bool

    def command(self, folder: Path) -> list[str]:
        if not self.own:
            return on_qemu(COMMAND, variables=self.store(folder) if self.way == "by firmware" else None)
        options = ["--metrics", str(self.metrics(folder))]
        if self.way == "by firmware":
            options += ["--firmware-cache", str(folder / "cache") if "warm" in self.name else "off"]
        return on_vmm(COMMAND, uefi=self.way == "by firmware", options=tuple(options))

    def metrics(self, folder: Path) -> Path:
        return folder / f"{self.name.replace(', ', '-')}-{self.way.replace(' ', '-')}.json"

    def store(self, folder: Path) -> Path:
        return folder / ("saved.fd" if "saved" in self.name else "fresh.fd")

    def prepare(self, folder: Path) -> None:
        """QEMU keeps what the firmware writes: `saved` begins with what its boot before has left, `fresh` with the distribution's template."""
        store = self.store(folder)
        if not self.own and self.way == "by firmware" and not ("saved" in self.name and store.exists()):
            shutil.copyfile(firmware.split().variables, store)


SETTINGS = (
    Setting("exo, cold", "by firmware", own=True),
    Setting("exo, warm", "by firmware", own=True),
    Setting("QEMU q35, fresh variables", "by firmware", own=False),
    Setting("QEMU q35, saved variables", "by firmware", own=False),
    Setting("exo", "directly", own=True),
    Setting("QEMU q35", "directly", own=False),
)


def start(setting: Setting, folder: Path) -> dict[str, float]:
    """The figures of one boot."""
    setting.prepare(folder)
    entry: list[float | None] = []
    figures: dict[str, float] = {}
    with WatchedProcess(setting.command(folder), time_limit=BOOT_LIMIT) as machine:
        looking = threading.Thread(target=lambda: entry.append(machine.wait_for_entry()))
        looking.start()
        for line in machine.lines():
            if line == MARK:
                usage = machine.usage()
                figures = {"ready": machine.age() * 1000, "cpu": usage.cpu_ns / 1e6, "exits": usage.exits,
                           "memory": machine.private_kib(MEMORY_MIB << 20)}  # fmt: skip
        looking.join()
    if not figures or entry[0] is None:
        raise Failure(f"{setting.name}, {setting.way}: the guest ended before its command ran")
    figures["entry"] = entry[0] * 1000
    if setting.own:
        figures["kernel"] = json.loads(setting.metrics(folder).read_text())["boot_ms"]["kernel_entry"]
    return figures


def samples(rows: list[dict]) -> dict[tuple[str, str], dict[Setting, list[float]]]:
    """Of each way to start and figure, what each machine needed."""
    found: dict[tuple[str, str], dict[Setting, list[float]]] = {}
    for row in rows:
        for name, value in row["figures"].items():
            found.setdefault((row["setting"].way, name), {}).setdefault(row["setting"], []).append(value)
    return found


def lines(rows: list[dict]) -> list[dict]:
    """In the schema of results.py."""
    return with_peers([
        {"suite": "vmm", "case": f"{way}/{FIGURES[figure][0]}", "variant": setting.name, "side": "own" if setting.own else "peer",
         "unit": FIGURES[figure][1], **distribution(values), **of_guests()}
        for (way, figure), by_setting in samples(rows).items() for setting, values in by_setting.items()
    ])  # fmt: skip


def table(rows: list[dict]) -> str:
    found = samples(rows)
    text = f"{'start':<13}{'machine':<28}" + "".join(f"{f'{label}, {unit}' if unit != label else label:>22}" for label, unit in FIGURES.values()) + "\n"
    for setting in dict.fromkeys(row["setting"] for row in rows):
        values = [found.get((setting.way, figure), {}).get(setting) for figure in FIGURES]
        text += f"{setting.way:<13}{setting.name:<28}" + "".join(f"{statistics.median(value):>22,.0f}" if value else f"{'-':>22}" for value in values) + "\n"
    return text


def keep_timelines(settings: list[Setting], folder: Path) -> None:
    """The last boots of this project's, for the report."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for setting in settings:
        if setting.own:
            shutil.copyfile(setting.metrics(folder), FOLDER / setting.metrics(folder).name)


def compare(asked) -> None:
    if not STATISTICS.is_dir():
        raise Failure(f"{STATISTICS} cannot be read: run as root, with debugfs mounted")
    settings = [setting for setting in SETTINGS if asked.case in f"{setting.name} {setting.way}"]
    rows: list[dict] = []
    # Under build/, which the box can write to.
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-vmm-") as scratch:
        for setting in settings:
            start(setting, Path(scratch))  # leaves files in the page cache, warm firmware and saved variables behind
        for number in range(asked.rounds):
            for setting in settings[number % len(settings) :] + settings[: number % len(settings)]:
                rows.append({"setting": setting, "figures": start(setting, Path(scratch))})
                asked.json.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(rows)), encoding="utf-8")
            say(TOOL, f"round {number + 1} of {asked.rounds}")
        keep_timelines(settings, Path(scratch))
    print(f"medians of {asked.rounds} boots each, 1 vCPU, {MEMORY_MIB} MiB, from the program's start\n{table(rows)}", end="")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=f"tools/{TOOL}", description="Starts the same guest on this project's VMM and on QEMU (q35, KVM) in turn, by the same stock OVMF and "
        "directly; where this machine has no KVM, in the kvm-box: counts and sizes are true there, times are not.",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive(int), default=5, metavar="N", help="how often each machine is started (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--case", default="", metavar="PART", help="only machines whose name and way to start contain this: " +
                        ", ".join(f"{setting.name} {setting.way}" for setting in SETTINGS))
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="file for the figures")
    asked = parser.parse_args()
    asked.rounds = 1 if asked.quick else asked.rounds
    if not any(asked.case in f"{setting.name} {setting.way}" for setting in SETTINGS):
        raise Failure(f"no machine is called '{asked.case}'")
    build(TOOL, "release", ["vmm", "guest"])
    reason = kvm.why_unusable()
    if reason is None:
        compare(asked)
        return 0
    say(TOOL, f"{reason}: in the kvm-box, where counts mean something and times do not")
    return box.run(["python3", __file__, *sys.argv[1:]], box.Options(time_limit=box.time_limit(BOX_LIMIT)))


if __name__ == "__main__":
    finish(TOOL, main)
