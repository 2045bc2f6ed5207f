"""`vmm run --variables`: the guest's UEFI variables in a file."""

import json
import signal
import struct
import subprocess
import time
from pathlib import Path

from harness import LOGS, Context, case
from paths import GUEST, VMM

NEEDS = ("kvm", "vmm", "guest")
ADDED = 0x3F  # state of a variable that is whole and not deleted
HEADER = struct.Struct("<HBBIQ16sIII16s")  # AUTHENTICATED_VARIABLE_HEADER of EDK II


def variable(store: Path, name: str) -> list[bytes]:
    """The values of all valid variables of this name; there should be one at most."""
    content = store.read_bytes()
    wanted = name.encode("utf-16-le") + b"\0\0"
    found = []
    at = content.find(b"\xaa\x55")
    while at >= 0:
        if at + HEADER.size <= len(content):
            _, state, _, _, _, _, _, name_size, data_size, _ = HEADER.unpack_from(content, at)
            start = at + HEADER.size
            if state == ADDED and name_size == len(wanted) and content[start : start + name_size] == wanted:
                found.append(content[start + name_size : start + name_size + data_size])
        at = content.find(b"\xaa\x55", at + 1)
    return found


def boot_counter(store: Path) -> int:
    """The firmware counts its boots in the variable MTC: upper half of the monotonic counter."""
    values = variable(store, "MTC")
    assert len(values) == 1, f"{len(values)} variables MTC"
    return int.from_bytes(values[0], "little")


def run(store: Path, metrics: Path) -> list[str]:
    options = ["--firmware-cache", "off", "--variables", str(store), "--metrics", str(metrics)]
    return [str(VMM), "run", "--kernel", str(GUEST), *options, "--", "echo", "well"]


@case("variables: what one boot sets is there in the next", needs=NEEDS, limit=300)
def kept(test: Context) -> None:
    store, metrics = LOGS / "guest.vars", LOGS / "variables-metrics.json"
    store.unlink(missing_ok=True)
    writes = []
    for boot in (1, 2, 3):
        done = test.run(run(store, metrics))
        assert done.status == 0, f"boot {boot}: status {done.status}"
        assert boot_counter(store) == boot, f"boot {boot}: the firmware counts {boot_counter(store)}"
        document = json.loads(metrics.read_text())
        writes.append(document["mmio"]["flash variables"]["writes"])
        test.note(f"boot {boot}: {writes[-1]} writes to the flash, {document['kvm']['exits']} exits")
    assert writes[1] < writes[0] / 4, f"a boot with saved variables writes as much as the first: {writes}"


@case("variables: killed at any moment, the file is whole and the next boot goes on with it", needs=NEEDS, limit=300)
def killed(test: Context) -> None:
    store, metrics = LOGS / "killed.vars", LOGS / "variables-metrics.json"
    store.unlink(missing_ok=True)
    for delay in (0.3, 0.7, 1.2):  # seconds after the file is there: while the firmware writes its first variables
        process = subprocess.Popen(run(store, metrics), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not store.exists():
            test.left()
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.stat().st_size == 0x84000, "the file is not whole"
    done = test.run(run(store, metrics))
    assert done.status == 0, f"status {done.status}"
    assert boot_counter(store) >= 1
