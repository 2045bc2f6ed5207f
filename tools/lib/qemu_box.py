"""The box on an emulated AMD processor: QEMU's software emulation has SVM, and shows the host's files at their places."""

import contextlib
import os
import socket
from pathlib import Path

from box_machine import KERNEL_COMMAND_LINE, Box, Options
from box_parts import parts
from box_session import Channel
from disks import Disk, qemu_arguments
from paths import ROOT, firmware_cache
from report import Failure


class QemuBox(Box):
    def __init__(self, options: Options):
        self._parts = parts()
        super().__init__(options)
        # What QEMU could not show exactly as it is reaches the command as the file it is, for the command to refuse it in its own words.
        disks = _unique(options.disks)
        self._disks = [disk for disk in disks if disk.why_unusable() is None]
        others = [disk.path.parent for disk in disks if disk not in self._disks]
        self._writable = _writable_folders([*options.writable, *others, *_warm_firmware()])

    def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.channel = Channel(ours)
            self._run(self._command(theirs.fileno()), self._parts.qemu.environment, (theirs.fileno(),))

    def _command(self, descriptor: int) -> list[str]:
        qemu = self._parts.qemu
        memory = self._options.memory_mib or _default_memory_mib()
        threads = "multi" if qemu.repaired else "single"
        command = [
            str(qemu.binary), *qemu.arguments, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35,hpet=off,vmport=off", "-accel", f"tcg,thread={threads}", "-cpu", "max,la57=off",
            "-smp", str(min(4, len(os.sched_getaffinity(0)))), "-m", f"{memory}M",
            "-kernel", str(self._parts.kernel.vmlinux), "-initrd", str(self._parts.kernel.initramfs), "-append", f"{KERNEL_COMMAND_LINE} 8250.nr_uarts=1",
            "-serial", f"file:{self._console}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=port,fd={descriptor}", "-device", "virtserialport,chardev=port",
            *_export("root", Path("/"), readonly=True),
        ]
        for number, folder in enumerate(self._writable):
            command += _export(f"writable{number}", folder, readonly=False)
        for number, disk in enumerate(self._disks):
            command += qemu_arguments(number, disk, f"serial={_serial(number)}")
        return command

    def _places(self) -> list[tuple[str, str]]:
        writable = [("writable", f"writable{number}:{folder}") for number, folder in enumerate(self._writable)]
        return writable + [("disk", f"{_serial(number)}:{disk.path}") for number, disk in enumerate(self._disks)]


def _unique(disks: list[Disk]) -> list[Disk]:
    """A file named twice is one device; it is read-only only if every mention says so."""
    found: dict[Path, Disk] = {}
    for disk in disks:
        path = disk.path.resolve()
        other = found.get(path)
        found[path] = Disk(path, disk.readonly and (other is None or other.readonly))
    return list(found.values())


def _serial(number: int) -> str:
    return f"exo-disk-{number}"


def _export(tag: str, folder: Path, readonly: bool) -> list[str]:
    path = str(folder).replace(",", ",,")
    mode = ",readonly=on" if readonly else ""
    return [
        "-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{mode}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]


def _writable_folders(asked: list[Path]) -> list[Path]:
    """The folders where what the command writes reaches the host: those asked for, the current one, the project's build folder, and /tmp.
    Never the root itself; a folder inside another one needs no mention."""
    candidates = [*asked, Path.cwd(), ROOT / "build", Path("/tmp"), Path(os.environ.get("TMPDIR") or "/tmp")]
    chosen: list[Path] = []
    for folder in sorted({folder.resolve() for folder in candidates}):
        usable = folder != Path("/") and folder.is_dir() and os.access(folder, os.W_OK)
        if usable and not any(folder.is_relative_to(other) for other in chosen):
            chosen.append(folder)
    return chosen


def _warm_firmware() -> list[Path]:
    """What `vmm run` keeps of the firmware outlives the box, so that the next one need not start from nothing."""
    folder = firmware_cache()
    if folder is None:
        return []
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return [folder]


def _default_memory_mib() -> int:
    asked = os.environ.get("EXO_BOX_MEMORY", "")
    if asked:
        if not asked.isdecimal() or int(asked) < 256:
            raise Failure(f"EXO_BOX_MEMORY={asked} is no number of MiB from 256 up")
        return int(asked)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return min(4096, whole // 2)
