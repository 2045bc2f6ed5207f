"""What a machine can offer to a boot test, and the reason when it cannot."""

import functools
import shutil
import subprocess
from collections.abc import Callable

import bochs_box
import box_parts
import firmware
import kvm
import linux_guest
from paths import GUEST, VMM, guest
from report import Failure


def _said(check: Callable[[], object]) -> str | None:
    try:
        check()
    except Failure as failure:
        return str(failure)
    return None


def _program(name: str) -> str | None:
    return None if shutil.which(name) else f"{name} is not installed"


def _guest(preset: str) -> str | None:
    return None if guest(preset).exists() else f"{guest(preset)} is not built (tools/qemu --preset {preset} does)"


def _chart() -> str | None:
    found = subprocess.run(["/usr/bin/python3", "-c", "import matplotlib"], capture_output=True, check=False)
    return "python3-matplotlib is not installed (tools/setup chart does)" if found.returncode else None


CHECKS: dict[str, Callable[[], str | None]] = {
    "kvm": kvm.why_unusable,
    "box": lambda: _said(box_parts.parts),
    "intel box": lambda: _said(bochs_box.parts),
    "vmm": lambda: None if VMM.exists() else f"{VMM} is not built",
    "guest": lambda: None if GUEST.exists() else f"{GUEST} is not built",
    "debug guest": lambda: _guest("debug"),
    "classic guest": lambda: _guest("classic"),
    "linux": linux_guest.why_missing,
    "nbdkit": lambda: _program("nbdkit"),
    "qemu": lambda: _program("qemu-system-x86_64") or _said(firmware.split),
    "chart": _chart,
    "bochs": lambda: _program("bochs") or _said(firmware.unified),
}


@functools.cache
def why_missing(need: str) -> str | None:
    return CHECKS[need]()
