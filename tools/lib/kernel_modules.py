"""Modules out of a Debian kernel package, with all that they need, in the order in which they load."""

import lzma
import re
import struct
from collections.abc import Iterable
from pathlib import Path

SIGNATURE_MARK = b"~Module signature appended~\n"


def take(library: Path, target: Path, names: Iterable[str]) -> None:
    """`library` is the package's lib/modules/<version>; `target` gets the modules and their order in `order`."""
    known = {file.name.split(".")[0].replace("-", "_"): file for file in library.rglob("*.ko*")}
    order: list[str] = []

    def take_one(name: str) -> None:
        if name not in known or name in order:  # what is not there is built into the kernel
            return
        code = _module(known[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", code)
        for other in filter(None, needs.group(1).decode().replace("-", "_").split(",") if needs else []):
            take_one(other)
        order.append(name)
        (target / f"{name}.ko").write_bytes(code)

    for name in names:
        take_one(name)
    (target / "order").write_text("".join(f"{name}.ko\n" for name in order))


def _module(file: Path) -> bytes:
    """The module without its signature: checking signatures takes 0.7 s of the box's start, and the package's was checked already."""
    data = lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
    if not data.endswith(SIGNATURE_MARK):
        return data
    end = len(data) - len(SIGNATURE_MARK)
    return data[: end - 12 - struct.unpack(">I", data[end - 4 : end])[0]]
