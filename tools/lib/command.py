"""What every tool's command line shares: how it ends, and the options of those that launch the guest."""

import argparse
import math
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from disks import Disk
from report import Failure, say
from terminal import Stopped, interactive, stop_on_signals

FAILED = 125  # shared/platform/exit_status.h: nothing ran
DEFAULT_TIME_LIMIT = 600  # seconds, for a guest nobody watches


def finish(tool: str, main: Callable[[], int]) -> NoReturn:
    """Runs `main` and exits with its status; a failure is said in a sentence."""
    stop_on_signals()
    try:
        sys.exit(main())
    except Failure as failure:
        say(tool, str(failure))
        sys.exit(FAILED)
    except Stopped as stopped:
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        sys.exit(130)


def positive(number: type[int] | type[float]) -> Callable[[str], int | float]:
    """What argparse makes of the text of an option that takes a number above 0."""

    def parse(text: str) -> int | float:
        try:
            value = number(text)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"'{text}' is no {'whole ' if number is int else ''}number above 0")
        return value

    return parse


def emulator_parser(tool: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=tool, description=description, usage=f"{tool} [options] [-- GUEST COMMAND…]", formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Without a guest command the guest shows its shell; Ctrl-A x leaves.\n"
        "Status: the guest command's; 125 nothing ran; 126 the guest panicked; 127 it ended without a status; 128 Ctrl-A x; 137 time limit.",
    )
    parser.add_argument("--disk", action="append", default=[], type=Disk.parse, metavar="FILE[,readonly]",
                        help="a disk image (default: a small ext4 image of this machine's documentation, made in build/)")
    parser.add_argument("--memory", type=int, default=256, metavar="MIB", help="memory of the guest (default 256)")
    parser.add_argument("--append", default="", metavar="OPTIONS", help="options of the guest's kernel, such as scheduler=round-robin or cpus=1")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS",
                        default=None if interactive() else DEFAULT_TIME_LIMIT,
                        help=f"end the machine after so long (default: none at a terminal, otherwise {DEFAULT_TIME_LIMIT})")
    return parser


def split_arguments(words: list[str]) -> tuple[list[str], list[str]]:
    """Our options, and the guest's command after `--`."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def kernel_command_line(options: str, guest_command: list[str]) -> str:
    """As vmm/cli/guest_command.h says: `options -- word word`, words quoted where they must be; no `--` without a command."""
    command = " ".join(["--", *map(_quoted, guest_command)]) if guest_command else ""
    return " ".join(filter(None, [options, command]))


def _quoted(word: str) -> str:
    if word and not re.search(r'[ \t\n"\\]', word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'
