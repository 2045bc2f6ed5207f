"""The stock OVMF of this machine, found by the descriptors its package brings (QEMU's docs/interop/firmware.json)."""

import json
from dataclasses import dataclass
from pathlib import Path

from report import Failure

DESCRIPTORS = [Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware")]
UNIFIED = Path("/usr/share/ovmf/OVMF.fd")  # code and variables in one 2 MiB file, for Bochs
NOT_OURS = {"secure-boot", "enrolled-keys", "requires-smm"}


@dataclass(frozen=True)
class Firmware:
    code: Path
    variables: Path  # a template: to be copied


def split() -> Firmware:
    """Code and variables in two raw files, without secure boot."""
    descriptors = {file.name: file for folder in reversed(DESCRIPTORS) for file in sorted(folder.glob("*.json"))}
    for name in sorted(descriptors):
        found = _firmware(json.loads(descriptors[name].read_text()))
        if found:
            return found
    raise Failure("no OVMF without secure boot is described in /usr/share/qemu/firmware; `tools/setup run` installs one")


def _firmware(described: dict) -> Firmware | None:
    mapping = described.get("mapping", {})
    parts = [mapping.get("executable", {}), mapping.get("nvram-template", {})]
    suits = (
        "uefi" in described.get("interface-types", [])
        and any(target.get("architecture") == "x86_64" for target in described.get("targets", []))
        and not NOT_OURS & set(described.get("features", []))
        and mapping.get("device") == "flash"
        and all(part.get("format") == "raw" and Path(part["filename"]).exists() for part in parts)
    )
    return Firmware(*(Path(part["filename"]) for part in parts)) if suits else None


def unified() -> Path:
    if not UNIFIED.exists():
        raise Failure(f"{UNIFIED} is not there; `tools/setup run` installs it")
    return UNIFIED
