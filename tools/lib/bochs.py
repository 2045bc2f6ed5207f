"""`tools/bochs`: the guest on Bochs, from a disk, without ACPI, fw_cfg or virtio."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import bochs_machine
import firmware
from builder import build
from command import emulator_parser, finish, kernel_command_line, split_arguments
from console import EndedEarly, run_machine
from disks import Disk, checked, sample
from paths import GUEST
from report import Failure

TOOL = "bochs"
# After the boot disk. Bochs's own names.
DISK_PLACES = ("ata0-slave", "ata1-master", "ata1-slave")


def boot_disk(folder: Path, command_line: str) -> None:
    """A folder that Bochs shows as a FAT disk: the same exo.efi, and the command line beside it."""
    place = folder / "boot" / "EFI" / "BOOT"
    place.mkdir(parents=True)
    shutil.copyfile(GUEST, place / "BOOTX64.EFI")
    (place / "cmdline.txt").write_text(command_line + "\n")


def disk_line(place: str, disk: Disk, folder: Path) -> str:
    """Bochs tells the guest the image's true size, whatever the geometry, as long as the geometry fits: so the smallest one."""
    link = folder / f"{place}.img"  # Bochs leaves a lock file beside an image; here it goes with the folder
    link.symlink_to(disk.path.resolve())
    mode = f"volatile, journal={folder}/{place}.journal" if disk.readonly else "flat"
    return f"{place}: type=disk, mode={mode}, path={link}, cylinders=1, heads=1, spt=1"


def prepare(asked, guest_command: list[str], folder: Path, port: int) -> None:
    boot_disk(folder, kernel_command_line(asked.append, guest_command))
    devices = [
        "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15",
        f"ata0-master: type=disk, mode=vvfat, path=boot, journal={folder}/boot.journal",
        *(disk_line(place, disk, folder) for place, disk in zip(DISK_PLACES, asked.disk)),
        "boot: disk",
        f"com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}",
    ]
    bochs_machine.configure(folder, firmware=firmware.unified(), memory_mib=asked.memory, devices=devices, cpus=asked.cpus)


def main() -> int:
    words, guest_command = split_arguments(sys.argv[1:])
    parser = emulator_parser(TOOL, "Boots the guest on Bochs.")
    parser.add_argument("--cpus", type=int, default=1)
    asked = parser.parse_args(words)
    if len(asked.disk) > len(DISK_PLACES):
        raise Failure(f"Bochs has room for {len(DISK_PLACES)} disks beside the boot disk")
    build(TOOL, "release", ["guest"])
    asked.disk = checked(asked.disk) or [sample(TOOL)]
    with tempfile.TemporaryDirectory(prefix="exo-bochs-") as scratch, socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        folder = Path(scratch)
        prepare(asked, guest_command, folder, listener.getsockname()[1])
        os.chdir(folder)
        os.environ.update(bochs_machine.ENVIRONMENT)
        with open(folder / "said.log", "w", encoding="utf-8") as log:
            try:
                return run_machine(TOOL, [*bochs_machine.COMMAND], listener, log, asked.time_limit)
            except EndedEarly as failure:
                raise Failure(f"{failure}: {bochs_machine.complaint(folder) or 'no reason given'}") from failure


if __name__ == "__main__":
    finish(TOOL, main)
