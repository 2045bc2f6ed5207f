"""The box on an emulated Intel processor: Bochs has VMX, but no device by which it could show the host's files, so it brings copies."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import brought_files
from box_machine import KERNEL_COMMAND_LINE, Box, Options
from box_parts import Kernel, KernelRecipe, kernel
from box_session import Channel
from report import Failure

WITH_EPT, WITHOUT_EPT = "corei7_haswell_4770", "core2_penryn_t9600"  # Bochs's names of processors
MEMORY_MIB = 512
KERNEL = KernelRecipe("linux-image-cloud-amd64", ("kvm_intel",))
PROGRAMS = {"bochs": "bochs", "grub-mkrescue": "grub-common", "xorriso": "xorriso"}
GRUB = Path("/usr/lib/grub/i386-pc")
CONFIGURATION = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, serial=1, iodebug=1
config_interface: textconfig
display_library: sdl2
memory: guest={memory}, host={memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model={cpu}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=1700000000
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=console.log
com2: enabled=1, mode=socket-client, dev=127.0.0.1:{port}
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""
# This Bochs starts in its debugger.
DEBUGGER_COMMANDS = "c\nq\n"
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
        ram_disk = self._kernel.initramfs.read_bytes() + brought_files.archive(files, [Path.cwd(), Path("/tmp"), *self._options.writable])
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
        (self._folder / "bochsrc").write_text(CONFIGURATION.format(memory=MEMORY_MIB, cpu=self._cpu, port=port))
        (self._folder / "commands").write_text(DEBUGGER_COMMANDS)
        self._run(["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], {"SDL_VIDEODRIVER": "dummy"})
        self._listener.settimeout(0.2)
        while not self.channel:
            try:
                self.channel = Channel(self._listener.accept()[0])
            except TimeoutError:
                if self._emulator.poll() is not None:
                    raise self._stopped() from None

    def _complaint(self, log: str) -> str:
        """Bochs's own last complaint, in its log or, before it has one, on its output."""
        file = self._folder / "bochs.log"
        found = re.findall(r">>PANIC<< (.*)", (file.read_text(errors="replace") if file.exists() else "") + log)
        return found[-1] if found else ""
