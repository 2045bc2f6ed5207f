"""Files of this machine for one that does not see them: programs with their libraries, each at its own path, as a cpio archive."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cpio
from report import Failure

ELF = b"\x7fELF"
FOUND = re.compile(r"(?:=> )?(/\S+) \(0x")


def named_in(command: list[str]) -> list[Path]:
    """The program, and what of its arguments are files here: FILE or FILE,option."""
    program = shutil.which(command[0])
    words = [text for word in command[1:] for text in (word, word.split(",")[0])]
    return [Path(text) for text in dict.fromkeys([*([program] if program else []), *words]) if text and Path(text).is_file()]


def archive(files: Iterable[Path], folders: Iterable[Path], most_bytes: int) -> bytes:
    """With the files, their libraries and the folders above them all; programs without what only a debugger wants."""
    files = [_checked(file) for file in files]
    wanted = {library: None for file in files for library in (_absolute(file), *_libraries(file))}
    above = {folder for path in [*wanted, *(_absolute(folder) / "." for folder in folders)] for folder in path.parents}
    above |= {_absolute(folder) for folder in folders}
    entries = [cpio.Entry(str(folder).lstrip("/"), cpio.DIRECTORY) for folder in sorted(above) if folder != Path("/")]
    room = most_bytes
    for path in wanted:
        data = _content(path, room)
        room -= len(data)
        entries.append(cpio.Entry(str(path).lstrip("/"), data=data))
    return cpio.archive(entries)


def _cannot(path: Path, why: str) -> Failure:
    return Failure(f"{path} cannot be brought into the box: {why}")


def _checked(file: Path) -> Path:
    if not file.exists():
        raise _cannot(file, "there is no such file")
    if not file.is_file():
        raise _cannot(file, "it is no regular file")
    if not os.access(file, os.R_OK):
        raise _cannot(file, "it may not be read")
    return file


def _absolute(path: Path) -> Path:
    """As it is called, not where a link in it leads."""
    return Path.cwd() / path


def _is_program(file: Path) -> bool:
    with open(file, "rb") as start:
        return start.read(len(ELF)) == ELF


def _libraries(file: Path) -> list[Path]:
    """None for what is no program."""
    if not _is_program(file):
        return []
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    return [Path(path) for path in FOUND.findall(listed)]


def _content(path: Path, room: int) -> bytes:
    data = _stripped(path) if _is_program(path) else None
    size = path.stat().st_size if data is None else len(data)
    if size > room:
        raise _cannot(path, f"it has {size >> 20} MiB, and there is room for {room >> 20} MiB more")
    return path.read_bytes() if data is None else data


def _stripped(program: Path) -> bytes:
    with tempfile.NamedTemporaryFile() as stripped:
        done = subprocess.run(["strip", "--strip-debug", "-o", stripped.name, program], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise _cannot(program, done.stderr.strip())
        return Path(stripped.name).read_bytes()
