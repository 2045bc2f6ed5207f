"""Files of this machine for one that does not see them: programs with their libraries, each at its own path, as a cpio archive."""

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


def archive(files: Iterable[Path], folders: Iterable[Path]) -> bytes:
    """With the files, their libraries and the folders above them all; programs without what only a debugger wants."""
    wanted = {library: None for file in files for library in (_absolute(file), *_libraries(file))}
    above = {folder for path in [*wanted, *(_absolute(folder) / "." for folder in folders)] for folder in path.parents}
    above |= {_absolute(folder) for folder in folders}
    entries = [cpio.Entry(str(folder).lstrip("/"), cpio.DIRECTORY) for folder in sorted(above) if folder != Path("/")]
    entries += [cpio.Entry(str(path).lstrip("/"), data=_content(path)) for path in wanted]
    return cpio.archive(entries)


def _absolute(path: Path) -> Path:
    """As it is called, not where a link in it leads."""
    return Path.cwd() / path


def _libraries(file: Path) -> list[Path]:
    """None for what is no program."""
    with open(file, "rb") as start:
        if start.read(4) != ELF:
            return []
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    return [Path(path) for path in FOUND.findall(listed)]


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(ELF):
        return data
    with tempfile.NamedTemporaryFile() as stripped:
        done = subprocess.run(["strip", "--strip-debug", "-o", stripped.name, path], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{path} cannot be brought into the box: {done.stderr.strip()}")
        return Path(stripped.name).read_bytes()
