"""cpio archives in the format that Linux reads as an initial RAM disk ("newc")."""

from dataclasses import dataclass
from pathlib import Path

DIRECTORY, FILE, LINK, DEVICE = 0o040755, 0o100755, 0o120777, 0o020600


@dataclass(frozen=True)
class Entry:
    name: str
    mode: int = FILE
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


CONSOLE = [Entry("dev", DIRECTORY), Entry("dev/console", DEVICE, device=(5, 1))]


def modules(folder: Path) -> list[Entry]:
    """The modules of `folder` (kernel_modules.take), with their loading order."""
    files = [folder / "order", *sorted(folder.glob("*.ko"))]
    return [Entry("modules", DIRECTORY), *(Entry(f"modules/{file.name}", data=file.read_bytes()) for file in files)]


def archive(entries: list[Entry]) -> bytes:
    result = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1):
        name = entry.name
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name) + 1, 0)
        result += b"070701" + b"".join(b"%08x" % value for value in fields) + name.encode() + b"\0"
        result += b"\0" * (-len(result) % 4) + entry.data
        result += b"\0" * (-len(result) % 4)
    return bytes(result)
