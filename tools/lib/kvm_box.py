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
        "firmware and what --writable names.",
        epilog="Environment: EXO_BOX_TIMEOUT seconds for the command (0: none; default 1800, none at a terminal), EXO_BOX_MEMORY MiB of the box, "
        "EXO_CACHE where fetched parts are kept. Status: the command's; 125 the box could not be had; 137 time limit.",
    )
    parser.add_argument("--disk", action="append", default=[], type=Disk.parse, metavar="FILE[,readonly]",
                        help="show this disk image at its own path as a block device, written through to the file")
    parser.add_argument("--writable", action="append", default=[], type=Path, metavar="FOLDER", help="what is written here reaches the host")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND…")
    return parser


def main() -> int:
    asked = options().parse_args()
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        options().error("which command?")
    if os.environ.get("EXO_BOX") and kvm.why_unusable() is None:  # we are in a box already
        os.execvp(command[0], command)
    return box.run(command, box.Options(disks=asked.disk, writable=asked.writable, time_limit=box.time_limit(DEFAULT_TIME_LIMIT)))


if __name__ == "__main__":
    finish(TOOL, main)
