"""Builds, quietly."""

import fcntl
import os
import re
import subprocess
from pathlib import Path

from paths import BUILD, ROOT
from report import Failure, Phase


PROGRESS = re.compile(r"\[\d+/\d+\] ")


def build(tool: str, preset: str, targets: list[str] | None = None) -> Path:
    """Brings the targets (all when None) of a CMake preset up to date; returns the build folder. What the compiler says goes to a log, and is
    shown when it fails. With EXO_NO_BUILD set, what is there must do: tests build once, then launch often."""
    folder = BUILD / preset
    if os.environ.get("EXO_NO_BUILD"):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    with open(folder / "build.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "build.ninja").exists():
            with Phase(tool, f"configuring {preset}…"):
                _run(["cmake", "--preset", preset], log)
        with Phase(tool, f"building {preset}…"):
            _run(["ninja", "-C", str(folder), *(targets or [])], log)
    return folder


def _run(command: list[str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            status = process.wait()
        except BaseException:
            process.terminate()  # ninja takes its compilers with it
            process.wait()
            raise
    if status != 0:
        said = [line for line in log.read_text(errors="replace").splitlines() if not PROGRESS.match(line)]
        raise Failure("\n".join([f"`{' '.join(command)}` failed; the whole log is {log.relative_to(ROOT)}, its end:", *said[-30:]]))
