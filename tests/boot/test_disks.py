"""The disk images of the boot tests: made once in build/test-disks, the same bytes every time."""

import random
from pathlib import Path

import linux_guest
from disks import SECTOR, Disk, make_ext4
from paths import BUILD

FOLDER = BUILD / "test-disks"
IN_BOX = "vmm"
# Sizes in sectors of the images of plain noise: the smallest disk, odd counts, and more than one request's worth.
NOISE_SECTORS = (1, 3, 2049)


def noise(owner: str, sectors: int) -> Path:
    """An image of `owner`'s own: cases of different platforms run at the same time, and an emulator locks what it writes to."""
    target = FOLDER / owner / f"noise-{sectors}.img"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(random.Random(sectors).randbytes(sectors * SECTOR))
    return target


def ext4(owner: str) -> Path:
    """Real files on a real file system."""
    target = FOLDER / owner / "ext4.img"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        make_ext4(target, "6M")
    return target


def all_disks(owner: str) -> list[Path]:
    return [ext4(owner), *(noise(owner, sectors) for sectors in NOISE_SECTORS)]


def blank(target: Path, size: int) -> Path:
    """`size` bytes of zeroes to begin with."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            file.truncate(size)
    return target


def linux_data() -> Path:
    """A disk for a Linux guest to write to."""
    return blank(FOLDER / IN_BOX / "linux-data.img", 64 << 20)


def scratch(owner: str) -> Path:
    """8 MiB that the guest overwrites: another content after each run."""
    return blank(FOLDER / owner / "scratch.img", 8 << 20)


def disks_for_box(with_linux: bool) -> list[Disk]:
    """Every image of the cases that run in the box, as its devices: they use them by their paths."""
    disks = [Disk(path) for path in all_disks(IN_BOX)] + [Disk(scratch(IN_BOX))]
    if with_linux:
        disks += [Disk(linux_data()), Disk(linux_guest.guest().root, readonly=True)]
    return disks
