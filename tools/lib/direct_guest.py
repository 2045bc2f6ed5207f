"""The guest's kernel started directly, without firmware, on this project's VMM or on QEMU: the same image, and the same disk, a file."""

import json
import os
from pathlib import Path

from command import kernel_command_line
from paths import RELEASE, VMM

KERNEL = RELEASE / "guest" / "kernel.elf"  # both start it by its PVH entry
MEMORY = "256M"


def on_vmm(disk: str, guest_command: list[str]) -> list[str]:
    """`disk` is FILE[,option…] as `vmm run --disk` takes it."""
    return [str(VMM), "run", "--boot", "direct", "--kernel", str(KERNEL), "--cpus", "1", "--memory", MEMORY, "--disk", disk, "--", *guest_command]


def on_qemu(disk: Path, guest_command: list[str], *, poll_ns: int | None = None) -> list[str]:
    """QEMU q35 with KVM and a read-only virtio-blk disk over io_uring, its console on standard output. `poll_ns`: an I/O thread of its own, which
    polls for so long; without it the disk is served by QEMU's main loop, as it is by default."""
    node = {"driver": "raw", "node-name": "disk0", "read-only": True, "file": {"driver": "file", "filename": os.fspath(disk), "aio": "io_uring"}}
    device = "virtio-blk-pci,drive=disk0,disable-legacy=on"
    thread: list[str] = []
    if poll_ns is not None:
        thread = ["-object", f"iothread,id=io,poll-max-ns={poll_ns}"]
        device += ",iothread=io"
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35", "-accel", "kvm",
        "-cpu", "host", "-smp", "1", "-m", MEMORY, "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", str(KERNEL), "-append", kernel_command_line("", guest_command),
        *thread, "-blockdev", json.dumps(node), "-device", device,
    ]  # fmt: skip
