"""The disk images of the boot tests: made once in build/test-disks, the same bytes every time."""

import random
from pathlib import Path

from disks import Disk, make_ext4
from paths import BUILD

FOLDER = BUILD / "test-disks"
# Sizes in sectors of the images of plain noise: the smallest disk, odd counts, and more than one request's worth.
NOISE_SECTORS = (1, 3, 2049)


def noise(sectors: int) -> Path:
    target = FOLDER / f"noise-{sectors}.img"
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        target.write_bytes(random.Random(sectors).randbytes(sectors * 512))
    return target


def ext4() -> Path:
    """Real files on a real file system."""
    target = FOLDER / "ext4.img"
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        make_ext4(target, "6M")
    return target


def disks_for_box() -> list[Disk]:
    """Every image, as a device of the box: cases in there use them by their paths."""
    return [Disk(path) for path in (ext4(), *map(noise, NOISE_SECTORS))]
