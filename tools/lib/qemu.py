"""`tools/qemu`: the guest on QEMU, by the same stock OVMF."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import firmware
import kvm
from builder import build
from command import emulator_parser, finish, kernel_command_line, split_arguments
from console import EndedEarly, run_machine
from disks import checked, qemu_arguments, sample
from paths import guest
from report import Failure

TOOL = "qemu"


def machine(asked, guest_command: list[str], folder: Path) -> list[str]:
    found = firmware.split()
    shutil.copyfile(found.variables, folder / "variables.fd")
    # For one CPU alone, emulation by QEMU before 8.0 leaves memory barriers out, although devices run beside it: a doorbell that the driver
    # leaves out then, because the device had seemed awake, is lost. Room for a second CPU brings them back.
    cpus = f"{asked.cpus},maxcpus={max(asked.cpus, 2)}"
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-machine", asked.machine, "-accel", asked.accel, "-cpu", "max", "-smp", cpus, "-m", f"{asked.memory}M",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={found.code}",
        "-drive", f"if=pflash,unit=1,format=raw,file={folder}/variables.fd",
        "-chardev", f"socket,id=console,path={folder}/console", "-serial", "chardev:console",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", str(guest(asked.preset)),
    ]
    line = kernel_command_line(asked.append, guest_command)
    if line:
        command += ["-append", line]
    if asked.icount:
        command += ["-icount", "shift=0,sleep=off"]
    if asked.gdb:
        command += ["-S", "-gdb", "tcp:127.0.0.1:1234"]
    for number, disk in enumerate(asked.disk):
        command += qemu_arguments(number, disk, "disable-legacy=on")
    return command


def main() -> int:
    words, guest_command = split_arguments(sys.argv[1:])
    parser = emulator_parser(TOOL, "Boots the guest on QEMU.")
    parser.add_argument("--machine", choices=["pc", "q35"], default="pc")
    parser.add_argument("--accel", choices=["tcg", "kvm"], default="tcg")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--preset", choices=["release", "debug", "classic"], default="release", help="debug: not optimised, and the heap checks its use; classic: every feature switch off")
    parser.add_argument("--icount", action="store_true", help="the guest's clocks count instructions, one a nanosecond: times are then work, and the same "
                        "in every run, whatever the host is busy with")
    parser.add_argument("--gdb", action="store_true", help="wait for a debugger on 127.0.0.1:1234 before the first instruction")
    asked = parser.parse_args(words)
    if asked.accel == "kvm" and (reason := kvm.why_unusable()):
        raise Failure(f"{reason}; `tools/kvm-box tools/qemu --accel kvm …` has it")
    build(TOOL, asked.preset, ["guest"])
    asked.disk = checked(asked.disk) or [sample(TOOL)]
    with tempfile.TemporaryDirectory(prefix="exo-qemu-") as scratch, socket.socket(socket.AF_UNIX) as listener:
        folder = Path(scratch)
        listener.bind(os.fspath(folder / "console"))
        listener.listen(1)
        with open(folder / "qemu.log", "w+", encoding="utf-8", errors="replace") as log:
            try:
                return run_machine(TOOL, machine(asked, guest_command, folder), listener, log, asked.time_limit)
            except EndedEarly as failure:
                log.seek(0)
                raise Failure(f"{failure}: {log.read().strip()}") from failure


if __name__ == "__main__":
    finish(TOOL, main)
