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
    shown when it fails."""
    folder = BUILD / preset
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    command = ["cmake", "--build", "--preset", preset]
    if targets:
        command += ["--target", *targets]
    with open(folder / "build.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "build.ninja").exists():
            with Phase(tool, f"configuring {preset}…"):
                _run(["cmake", "--preset", preset], log)
        if _up_to_date(folder, targets):
            return folder
        with Phase(tool, f"building {preset}…"):
            _run(command, log)
    return folder


def _up_to_date(folder: Path, targets: list[str] | None) -> bool:
    told = subprocess.run(["ninja", "-C", folder, "-n", *(targets or [])], capture_output=True, text=True, check=False)
    return "ninja: no work to do." in told.stdout


def _run(command: list[str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as out:
        status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
                                env=os.environ | {"NINJA_STATUS": "[%f/%t] "}).returncode
    if status != 0:
        said = [line for line in log.read_text(errors="replace").splitlines() if not PROGRESS.match(line)]
        tail = said[-30:]
        raise Failure("\n".join([f"`{' '.join(command)}` failed; the whole log is {log.relative_to(ROOT)}, its end:", *tail]))
