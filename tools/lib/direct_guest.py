"""The guest's kernel started directly, without firmware, on this project's VMM or on QEMU: the same image, and the same disk, a file."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from command import kernel_command_line
from paths import RELEASE, VMM

KERNEL = RELEASE / "guest" / "kernel.elf"  # both start it by its PVH entry


@dataclass(frozen=True)
class Machine:
    cpus: int = 1
    memory_mib: int = 256


def on_vmm(machine: Machine, disk: str, guest_command: list[str]) -> list[str]:
    """`disk` is FILE[,option…] as `vmm run --disk` takes it."""
    shape = ["--cpus", str(machine.cpus), "--memory", f"{machine.memory_mib}M"]
    return [str(VMM), "run", "--boot", "direct", "--kernel", str(KERNEL), *shape, "--disk", disk, "--", *guest_command]


def on_qemu(machine: Machine, disk: Path, guest_command: list[str], *, accel: str = "kvm", poll_ns: int | None = None) -> list[str]:
    """QEMU q35 with a read-only virtio-blk disk over io_uring, its console on standard output. `poll_ns`: an I/O thread of its own, which
    polls for so long; without it the disk is served by QEMU's main loop, as it is by default."""
    node = {"driver": "raw", "node-name": "disk0", "read-only": True, "file": {"driver": "file", "filename": os.fspath(disk), "aio": "io_uring"}}
    device = "virtio-blk-pci,drive=disk0,disable-legacy=on"
    thread: list[str] = []
    if poll_ns is not None:
        thread = ["-object", f"iothread,id=io,poll-max-ns={poll_ns}"]
        device += ",iothread=io"
    # For one emulated CPU alone, QEMU before 8.0 leaves memory barriers out: see qemu.py.
    cpus = f"{machine.cpus},maxcpus={max(machine.cpus, 2)}" if accel == "tcg" else str(machine.cpus)
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35", "-accel", accel,
        "-cpu", "host" if accel == "kvm" else "max", "-smp", cpus, "-m", f"{machine.memory_mib}M", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", str(KERNEL), "-append", kernel_command_line("", guest_command),
        *thread, "-blockdev", json.dumps(node), "-device", device,
    ]  # fmt: skip
