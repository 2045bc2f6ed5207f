"""Channels between threads, on every platform."""

import re

from guest_test import Platform, on_every_platform, plain
from harness import Context
from threads_test import json_lines


@on_every_platform("channels on 1 and 2 processors")
def channels(test: Context, platform: Platform) -> None:
    for cpus in (1, 2):
        done = test.run([*platform.command, "--cpus", str(cpus), "--", "selftest", "channels", ";", "ipc", "--json"])
        assert re.search(r"^[1-9]\d* passed, 0 failed", plain(done.text), re.MULTILINE), f"{cpus} processors: not all tests passed"
        assert done.status == 0, f"{cpus} processors: status {done.status}"
        measured = [(line["pattern"], line["variant"]) for line in json_lines(done.text) if "pattern" in line]
        wanted = [(pattern, variant) for pattern in ("round trip", "stream") for variant in ("fusion", "classic")]
        assert measured == wanted, f"{cpus} processors: measured {measured}"
