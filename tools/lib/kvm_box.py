"""`tools/kvm-box [options] COMMAND…`: see --help."""

import argparse
import os
import signal
import sys
from pathlib import Path

import box
import kvm
from box_parts import TOOL
from report import Failure, say

DEFAULT_TIME_LIMIT = 1800  # seconds, for a command nobody watches


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=TOOL,
        description="Runs any command of this machine where /dev/kvm works: inside a Linux machine that QEMU emulates. The command sees this "
        "machine's files at their places, read-only except for the current folder, the project's build folder, /tmp and what --writable names.",
        epilog="Environment: EXO_BOX_TIMEOUT seconds for the command (0: none; default 1800, none at a terminal), EXO_BOX_MEMORY MiB of the box, "
        "EXO_CACHE where fetched parts are kept. Status: the command's; 124 time limit; 125 the box could not be had.",
    )
    parser.add_argument("--disk", action="append", default=[], type=box.Disk.parse, metavar="FILE[,readonly]",
                        help="show this disk image at its own path as a block device, written through to the file")
    parser.add_argument("--writable", action="append", default=[], type=Path, metavar="FOLDER", help="what is written here reaches the host")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND…")
    return parser


def time_limit() -> float | None:
    text = os.environ.get("EXO_BOX_TIMEOUT")
    if text is None:
        return None if os.isatty(0) and os.isatty(1) else DEFAULT_TIME_LIMIT
    try:
        return float(text) or None
    except ValueError:
        raise Failure(f"EXO_BOX_TIMEOUT={text} is no number of seconds") from None


def main() -> int:
    asked = options().parse_args()
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        options().error("which command?")
    if os.environ.get("EXO_BOX") and kvm.why_unusable() is None:  # we are in a box already
        os.execvp(command[0], command)
    for number in (signal.SIGTERM, signal.SIGHUP):
        box.stop_on(number)
    return box.run(command, box.Options(disks=asked.disk, writable=asked.writable, time_limit=time_limit()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        say(TOOL, str(failure))
        sys.exit(125)
    except box.Stopped as stopped:
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        sys.exit(130)
