"""`tools/run`: builds, then `vmm run`, directly or in the kvm-box."""

import os
import re
import sys

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


def named_disks(words: list[str]) -> list[str]:
    """The disks among the options of `vmm run`."""
    found = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--disk"]
    return found + [word.removeprefix("--disk=") for word in words if word.startswith("--disk=")]


def vmm_command(words: list[str], guest_command: list[str]) -> tuple[list[str], list[Disk]]:
    disks = [Disk.parse(text) for text in named_disks(words)]
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
    for text in named_disks(words):
        if re.match(r"nbds?(\+\w+)?://", text):
            raise Failure(f"{reason}, and the emulated machine that stands in has no network to reach {text} by")
    say(TOOL, f"{reason}: starting an emulated machine that has /dev/kvm (some seconds; firmware runs slowly in there)")
    announce = "starting the box…" if sys.stderr.isatty() else None
    return box.run(command, box.Options(disks=disks, time_limit=box.time_limit(DEFAULT_TIME_LIMIT), announce=announce))


if __name__ == "__main__":
    finish(TOOL, main)
