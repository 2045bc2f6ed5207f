"""The same guest on this project's VMM and on QEMU q35 with KVM, one vCPU, as commands whose console is standard output."""

import json
import os
from pathlib import Path

from command import kernel_command_line
from firmware import split
from paths import GUEST, RELEASE, VMM

KERNEL = RELEASE / "guest" / "kernel.elf"  # both start it by its PVH entry, without firmware
MEMORY_MIB = 256


def on_vmm(guest_command: list[str], *, uefi: bool = False, options: tuple[str, ...] = ()) -> list[str]:
    start = ["--kernel", str(GUEST)] if uefi else ["--boot", "direct", "--kernel", str(KERNEL)]
    return [str(VMM), "run", *start, "--cpus", "1", "--memory", f"{MEMORY_MIB}M", *options, "--", *guest_command]


def on_qemu(guest_command: list[str], *, variables: Path | None = None, options: tuple[str, ...] = ()) -> list[str]:
    """By the stock OVMF with the variable store `variables`; without one directly."""
    if variables is None:
        start = ["-kernel", str(KERNEL)]
    else:
        start = ["-kernel", str(GUEST), "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={split().code}",
                 "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]  # fmt: skip
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35", "-accel", "kvm",
        "-cpu", "host", "-smp", "1", "-m", f"{MEMORY_MIB}M", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        *start, "-append", kernel_command_line("", guest_command), *options,
    ]  # fmt: skip


def qemu_disk(disk: Path, *, poll_ns: int | None = None) -> tuple[str, ...]:
    """Options of QEMU for a read-only virtio-blk disk over io_uring. `poll_ns`: an I/O thread of its own, which polls for so long; without it
    the disk is served by QEMU's main loop, as it is by default."""
    node = {"driver": "raw", "node-name": "disk0", "read-only": True, "file": {"driver": "file", "filename": os.fspath(disk), "aio": "io_uring"}}
    device = "virtio-blk-pci,drive=disk0,disable-legacy=on"
    thread: list[str] = []
    if poll_ns is not None:
        thread = ["-object", f"iothread,id=io,poll-max-ns={poll_ns}"]
        device += ",iothread=io"
    return (*thread, "-blockdev", json.dumps(node), "-device", device)
