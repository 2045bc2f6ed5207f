"""The box on an emulated Intel processor: Bochs has VMX, but no device by which it could show the host's files, so it brings copies."""

import shutil
import socket
import subprocess
from pathlib import Path

import bochs_machine
import brought_files
from box_machine import KERNEL_COMMAND_LINE, Box, Options
from box_parts import Kernel, KernelRecipe, kernel
from box_session import Channel
from report import Failure

MEMORY_MIB = 512
MOST_BROUGHT_MIB = 128  # which is in memory twice while Linux unpacks it
FIRMWARE = Path("/usr/share/bochs/BIOS-bochs-latest")
KERNEL = KernelRecipe("linux-image-cloud-amd64", ("kvm_intel",))
PROGRAMS = {"bochs": "bochs", "grub-mkrescue": "grub-common", "xorriso": "xorriso"}
GRUB = Path("/usr/lib/grub/i386-pc")
# The agent (tools/box) is told its way to the host by the kernel, which gives its first process what it does not know itself.
COMMAND_LINE = f"{KERNEL_COMMAND_LINE} 8250.nr_uarts=2 port=/dev/ttyS1"


def parts() -> Kernel:
    """Everything this box needs, fetched and built if it is not there yet."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    missing += [] if GRUB.exists() else ["grub-pc-bin"]
    if missing:
        raise Failure(f"the box with an Intel processor lacks {', '.join(missing)}; `tools/setup test` installs them")
    return kernel(KERNEL)


class BochsBox(Box):
    def __init__(self, options: Options, cpu: str):
        self._kernel = parts()
        self._cpu = cpu
        super().__init__(options)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)

    def __exit__(self, *why) -> None:
        self._listener.close()
        super().__exit__(*why)

    def request(self, command: list[str]) -> list[tuple[str, str]]:
        files = [*brought_files.named_in(command), *self._options.files, *(disk.path for disk in self._options.disks)]
        folders = [Path.cwd(), Path("/tmp"), *self._options.writable]
        ram_disk = self._kernel.initramfs.read_bytes() + brought_files.archive(files, folders, MOST_BROUGHT_MIB << 20)
        self._make_disc(ram_disk)
        return super().request(command)

    def _places(self) -> list[tuple[str, str]]:
        return []

    def _make_disc(self, ram_disk: bytes) -> None:
        """What a PC's firmware starts: GRUB, which loads Linux."""
        disc = self._folder / "disc"
        (disc / "boot" / "grub").mkdir(parents=True)
        shutil.copyfile(self._kernel.vmlinux, disc / "linux")
        (disc / "initrd").write_bytes(ram_disk)
        (disc / "boot" / "grub" / "grub.cfg").write_text(f"linux /linux {COMMAND_LINE}\ninitrd /initrd\nboot\n")
        modules = "--install-modules=biosdisk iso9660 normal linux boot"
        command = ["grub-mkrescue", "-d", GRUB, "--locales=", "--fonts=", "--themes=", modules, "-o", self._folder / "boot.iso", disc]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"the box's boot disc cannot be made: {done.stderr.strip()}")
        shutil.rmtree(disc)

    def _launch(self) -> None:
        port = self._listener.getsockname()[1]
        devices = [
            "ata0-master: type=cdrom, path=boot.iso, status=inserted",
            "boot: cdrom",
            "com1: enabled=1, mode=file, dev=console.log",
            f"com2: enabled=1, mode=socket-client, dev=127.0.0.1:{port}",
        ]
        bochs_machine.configure(self._folder, firmware=FIRMWARE, memory_mib=MEMORY_MIB, devices=devices, cpu=self._cpu, lesser="ignore")
        self._run([*bochs_machine.COMMAND], bochs_machine.ENVIRONMENT)
        self._listener.settimeout(0.2)
        while not self.channel:
            try:
                self.channel = Channel(self._listener.accept()[0])
            except TimeoutError:
                if self._emulator.poll() is not None:
                    raise self._stopped() from None

    def _complaint(self, log: str) -> str:
        return bochs_machine.complaint(self._folder, log)
