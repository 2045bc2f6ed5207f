"""`tools/run`: builds, then `vmm run`, directly or in the kvm-box."""

import contextlib
import os
import re
import sys
from pathlib import Path

import box
import kvm
from builder import build
from command import DEFAULT_TIME_LIMIT, finish, split_arguments
from disks import Disk, sample
from paths import GUEST, VMM
from report import Failure, say
from terminal import interactive

TOOL = "run"
HELP = """\
usage: tools/run [options of `vmm run`] [-- GUEST COMMAND…]

Builds what is needed and boots the guest on this project's VMM: directly where /dev/kvm works, elsewhere inside a box that has it
(tools/kvm-box). Without --disk the guest gets a small ext4 disk of this machine's documentation. Without a guest command it shows its
shell; Ctrl-A x leaves. Status: the guest command's; 125 nothing ran; 126 the guest panicked; 127 it ended without a status; 137 time limit.
Environment: EXO_BOX_TIMEOUT, EXO_BOX_MEMORY, EXO_CACHE as for tools/kvm-box.

Options of `vmm run`:
"""


def values_of(option: str, words: list[str]) -> list[str]:
    """What an option of `vmm run` is given, each time that it is there."""
    found = [words[at + 1] for at, word in enumerate(words[:-1]) if word == option]
    return found + [word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}=")]


def cache_folders(words: list[str]) -> list[Path]:
    """Where warm firmware is to be kept, if that is not the default; made here, since the box cannot."""
    folders = [Path(text) for text in values_of("--firmware-cache", words) if text not in ("auto", "off")]
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return folders


def vmm_command(words: list[str], guest_command: list[str]) -> tuple[list[str], list[Disk]]:
    disks = [Disk.parse(text) for text in values_of("--disk", words)]
    extra: list[str] = []
    if not any(word.split("=")[0] == "--kernel" for word in words):
        extra += ["--kernel", str(GUEST)]
    if not disks:
        disks = [sample(TOOL)]
        extra += ["--disk", f"{disks[0].path},readonly"]
    return [str(VMM), "run", *extra, *words, *(["--", *guest_command] if guest_command else [])], disks


def main() -> int:
    words, guest_command = split_arguments(sys.argv[1:])
    build(TOOL, "release", ["vmm", "guest"])
    if {"-h", "--help"} & set(words):
        print(HELP, flush=True)
        os.execv(VMM, [str(VMM), "run", "--help"])
    command, disks = vmm_command(words, guest_command)
    reason = kvm.why_unusable()
    if reason is None:
        os.execv(VMM, command)
    for text in values_of("--disk", words):
        if re.match(r"nbds?(\+\w+)?://", text):
            raise Failure(f"{reason}, and the emulated machine that stands in has no network to reach {text} by")
    say(TOOL, f"{reason}: starting an emulated machine that has /dev/kvm (some seconds; firmware runs slowly in there)")
    announce = "starting the box…" if sys.stderr.isatty() else None
    limit = box.time_limit(DEFAULT_TIME_LIMIT)
    return box.run(command, box.Options(disks=disks, writable=cache_folders(words), time_limit=limit, announce=announce))


if __name__ == "__main__":
    finish(TOOL, main)
