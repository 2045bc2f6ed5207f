"""`tools/kvm-box [options] COMMAND…`: see --help."""

import argparse
import os
from pathlib import Path

import box
import kvm
from box_parts import TOOL
from command import finish
from disks import Disk

DEFAULT_TIME_LIMIT = 1800  # seconds, for a command nobody watches


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=TOOL,
        description="Runs any command of this machine where /dev/kvm works: inside a Linux machine that QEMU emulates. The command sees this "
        "machine's files at their places, read-only except for the current folder, the project's build folder, /tmp, the cache of warm "
        "firmware and what --writable names. With --cpu intel Bochs emulates the machine, which has one processor and little else: the command "
        "sees copies of itself, of the files that its arguments name, and of those that --file adds; what it writes is lost.",
        epilog="Environment: EXO_BOX_TIMEOUT seconds for the command (0: none; default 1800, none at a terminal), EXO_BOX_MEMORY MiB of the box on AMD, "
        "EXO_CACHE where fetched parts are kept. Status: the command's; 125 the box could not be had; 137 time limit.",
    )
    parser.add_argument("--disk", action="append", default=[], type=Disk.parse, metavar="FILE[,readonly]",
                        help="show this disk image at its own path as a block device, written through to the file")
    parser.add_argument("--writable", action="append", default=[], type=Path, metavar="FOLDER", help="what is written here reaches the host")
    parser.add_argument("--cpu", choices=box.KINDS, default="amd", help="whose KVM the command gets: AMD's, Intel's, or that of an Intel without EPT")
    parser.add_argument("--file", action="append", default=[], type=Path, metavar="FILE", help="a further file that a command on Intel needs")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND…")
    return parser


def main() -> int:
    asked = options().parse_args()
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        options().error("which command?")
    if asked.cpu == "amd" and os.environ.get("EXO_BOX") and kvm.why_unusable() is None:  # we are in a box already
        os.execvp(command[0], command)
    wanted = box.Options(
        disks=asked.disk, writable=asked.writable, files=asked.file, cpu=asked.cpu, time_limit=box.time_limit(DEFAULT_TIME_LIMIT)
    )
    return box.run(command, wanted)


if __name__ == "__main__":
    finish(TOOL, main)
