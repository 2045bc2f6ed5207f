"""Disk images: named on a command line, checked, shown to a QEMU, and the one a newcomer gets."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from paths import BUILD
from report import Failure, Phase

SECTOR = 512
PAGE = 4096
SAMPLE = BUILD / "sample-disk.img"
SAMPLE_SIZE = "6M"
SAMPLE_FILES = 4 << 20  # bytes of documentation on it


@dataclass(frozen=True)
class Disk:
    path: Path
    readonly: bool = False

    @staticmethod
    def parse(text: str) -> "Disk":
        """FILE[,option…]; of the options only `readonly` concerns the tools."""
        path, *options = [text] if Path(text).exists() else text.split(",")
        return Disk(Path(path), "readonly" in options)

    def size(self) -> int:
        with open(self.path, "rb") as file:
            return file.seek(0, os.SEEK_END)

    def why_unusable(self) -> str | None:
        """Why no machine can have it as a disk, as the rest of a sentence, or None."""
        try:
            size = self.size()
        except OSError as error:
            return f"it cannot be opened ({error.strerror})"
        if size == 0:
            return "it is empty"
        if size % SECTOR:
            return f"its size, {size} bytes, is no multiple of {SECTOR}"
        return None

    def bypasses_cache(self) -> bool:
        """O_DIRECT needs a file system that has it, and QEMU wants whole pages then."""
        if self.size() % PAGE:
            return False
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_DIRECT))
        except OSError:
            return False
        return True


def checked(disks: list[Disk]) -> list[Disk]:
    for disk in disks:
        reason = disk.why_unusable()
        if reason:
            raise Failure(f"the disk {disk.path} cannot be used: {reason}")
    return disks


def qemu_arguments(number: int, disk: Disk, properties: str) -> list[str]:
    """Shows `disk` to a QEMU machine as a virtio-blk function."""
    readonly = disk.readonly or not os.access(disk.path, os.W_OK)
    cache = {"direct": disk.bypasses_cache(), "no-flush": False}
    driver = "host_device" if disk.path.is_block_device() else "file"
    file = {"driver": driver, "filename": str(disk.path), "cache": cache}
    node = {"driver": "raw", "node-name": f"disk{number}", "read-only": readonly, "discard": "unmap", "cache": cache, "file": file}
    return ["-blockdev", json.dumps(node), "-device", f"virtio-blk-pci,drive=disk{number},{properties}"]


def sample(tool: str) -> Disk:
    """An ext4 disk with real files, the machine's own documentation: what a first boot reads when no disk was named. Read-only, so that
    several machines can have it at once."""
    if not SAMPLE.exists():
        with Phase(tool, "making a small disk of this machine's documentation…"):
            SAMPLE.parent.mkdir(parents=True, exist_ok=True)
            make_ext4(SAMPLE, SAMPLE_SIZE)
    return Disk(SAMPLE, readonly=True)


def make_ext4(target: Path, size: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder, image = Path(scratch) / "files", Path(scratch) / "image"
        _gather_documentation(folder)
        command = ["mke2fs", "-q", "-t", "ext4", "-L", "exo-sample", "-d", str(folder), str(image), size]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"mke2fs could not make a disk: {done.stderr.strip()}")
        image.rename(target)


def _gather_documentation(folder: Path) -> None:
    folder.mkdir()
    room = SAMPLE_FILES
    for file in sorted(Path("/usr/share/doc").glob("*/*")):
        if not file.is_file() or file.is_symlink() or not 0 < file.stat().st_size <= room:
            continue
        (folder / file.parent.name).mkdir(exist_ok=True)
        shutil.copyfile(file, folder / file.parent.name / file.name)
        room -= file.stat().st_size
        if room < 4096:
            return
