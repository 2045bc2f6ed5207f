"""What the tools say to a person, on standard error."""

import sys
import threading
import time


class Failure(Exception):
    """Something a person can act on: what failed, why, what to do. Tools print it and exit with 125."""


def say(tool: str, text: str) -> None:
    print(f"{tool}: {text}", file=sys.stderr, flush=True)


class Phase:
    """`with Phase(tool, "building…"):` one line while the work goes on: on a terminal a running clock that leaves nothing behind, elsewhere
    one plain line."""

    def __init__(self, tool: str, text: str):
        self._text = f"{tool}: {text}"
        self._over = threading.Event()
        self._clock = None

    def __enter__(self):
        if sys.stderr.isatty():
            self._clock = threading.Thread(target=self._tick, daemon=True)
            self._clock.start()
        else:
            print(self._text, file=sys.stderr, flush=True)
        return self

    def __exit__(self, *_):
        self._over.set()
        if self._clock:
            self._clock.join()
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tick(self):
        start = time.monotonic()
        while True:
            sys.stderr.write(f"\r{self._text} {time.monotonic() - start:.0f} s\x1b[K")
            sys.stderr.flush()
            if self._over.wait(0.5):
                return
