"""What the tools say to a person, on standard error."""

import sys
import threading
import time


class Failure(Exception):
    """Something a person can act on: what failed, why, what to do. Tools print it and exit with 125."""


def say(tool: str, text: str) -> None:
    print(f"{tool}: {text}", file=sys.stderr, flush=True)


class Phase:
    """`with Phase(tool, "building…"):` says what goes on while it goes on, unless it is over at once: on a terminal one line with a running
    clock that leaves nothing behind, elsewhere one plain line."""

    DELAY = 0.4  # seconds

    def __init__(self, tool: str, text: str):
        self._text = f"{tool}: {text}"
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self):
        self._teller.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._teller.join()

    def _tell(self):
        start = time.monotonic()
        if self._over.wait(self.DELAY):
            return
        if not sys.stderr.isatty():
            print(self._text, file=sys.stderr, flush=True)
            return
        while not self._over.wait(0.5):
            sys.stderr.write(f"\r{self._text} {time.monotonic() - start:.0f} s\x1b[K")
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
