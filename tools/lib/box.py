"""The kvm-box: one Linux machine under software emulation, whose /dev/kvm is real: on an emulated AMD processor, or on Intel's."""

import os

from bochs_box import BochsBox
from bochs_machine import HASWELL, PENRYN
from box_machine import DidNotStart, Options
from box_parts import TOOL
from box_session import Session
from qemu_box import QemuBox
from report import Failure, say
from terminal import Stopped, interactive

__all__ = ["KINDS", "Options", "run", "time_limit"]
ATTEMPTS = 3
KINDS = {
    "amd": QemuBox,
    "intel": lambda options: BochsBox(options, HASWELL),
    "intel-no-ept": lambda options: BochsBox(options, PENRYN),
}


def time_limit(default: float) -> float | None:
    """Seconds for a command: EXO_BOX_TIMEOUT (0: none); without it none at a terminal, else `default`."""
    text = os.environ.get("EXO_BOX_TIMEOUT")
    if text is None:
        return None if interactive() else default
    try:
        return float(text) or None
    except ValueError:
        raise Failure(f"EXO_BOX_TIMEOUT={text} is no number of seconds") from None


def run(command: list[str], options: Options) -> int:
    """The command's exit status. Its input, output and signals are ours."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with KINDS[options.cpu](options) as box:
                try:
                    request = box.request(command)
                    box.start()
                except DidNotStart as failure:
                    if attempt == ATTEMPTS:
                        raise Failure(f"{failure}; tried {ATTEMPTS} times") from failure
                    say(TOOL, f"{failure}; trying again")
                    continue
                try:
                    return Session(box.channel, request, options.time_limit).run()
                except ConnectionError as error:
                    raise Failure(f"the box died while it ran the command: {box.death()}; its console: {box.kept_console}") from error
        except Stopped as stopped:
            return stopped.status
    raise AssertionError
