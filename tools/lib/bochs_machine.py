"""What Bochs is told of any machine here, how it is started, and what it complains of."""

import re
from pathlib import Path

HASWELL, PENRYN = "corei7_haswell_4770", "core2_penryn_t9600"  # Bochs's names of processors: with EPT, and with VMX but no EPT
COMMAND = ("bochs", "-q", "-f", "bochsrc", "-rc", "commands")  # in the folder that `configure` has filled
ENVIRONMENT = {"SDL_VIDEODRIVER": "dummy"}  # SDL's name of the driver that needs no screen
CONFIGURATION = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, serial=1, iodebug=1
config_interface: textconfig
display_library: sdl2
memory: guest={memory}, host={memory}
romimage: file={firmware}
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model={cpu}, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=1700000000
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
{devices}
log: bochs.log
panic: action=fatal
error: action={lesser}
info: action={lesser}
debug: action=ignore
"""
# This Bochs starts in its debugger: continue, and quit when the guest has ended.
DEBUGGER_COMMANDS = "c\nq\n"


def configure(folder: Path, *, firmware: Path, memory_mib: int, devices: list[str], cpu: str = HASWELL, cpus: int = 1, lesser: str = "report") -> None:
    """`lesser`: what Bochs does with errors and notes that do not end the machine, `report` or `ignore`."""
    text = CONFIGURATION.format(memory=memory_mib, firmware=firmware, cpu=cpu, cpus=cpus, devices="\n".join(devices), lesser=lesser)
    (folder / "bochsrc").write_text(text)
    (folder / "commands").write_text(DEBUGGER_COMMANDS)


def complaint(folder: Path, said: str = "") -> str:
    """Bochs's own last complaint, in its log or, before it has one, in what it `said` on its output; nothing if there is none."""
    log = folder / "bochs.log"
    found = re.findall(r">>PANIC<< (.*)", (log.read_text(errors="replace") if log.exists() else "") + said)
    return found[-1] if found else ""
