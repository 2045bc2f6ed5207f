"""`vmm run --firmware-cache`: a boot that begins where the firmware of an earlier one had done its work."""

import hashlib
import json
import re
import shutil
import tempfile
import time

import linux_test
from harness import LOGS, Context, case
from paths import GUEST, ROOT, VMM, cache
from test_disks import IN_BOX, ext4, noise
from variables_test import boot_counter

NEEDS = ("kvm", "vmm", "guest")
CACHE = LOGS / "firmware-cache"
METRICS = LOGS / "warm-metrics.json"


def boot(test: Context, command: list[str], *options: str, cache: str = str(CACHE), status: int = 0):
    """What the guest said, and the metrics."""
    done = test.run([str(VMM), "run", "--kernel", str(GUEST), "--firmware-cache", cache, "--metrics", str(METRICS), *options, "--", *command])
    assert done.status == status, f"status {done.status}"
    document = json.loads(METRICS.read_text())
    test.note(f"{document['firmware']}: {document['boot_ms']}, {document['kvm']['exits']} exits")
    return done.text, document


@case("warm firmware: the second boot begins after the firmware, with its own command, disks and vCPUs", needs=NEEDS, limit=300)
def second_boot(test: Context) -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
    first, second = noise(IN_BOX, 2049), ext4(IN_BOX)
    for disk, firmware in ((first, "cold"), (second, "warm"), (first, "warm")):
        digest = hashlib.sha256(disk.read_bytes()).hexdigest()
        text, document = boot(test, ["sum"], "--disk", f"{disk},readonly", "--cpus", "2")
        assert document["firmware"] == firmware, f"a {document['firmware']} boot instead of a {firmware} one"
        assert f"{digest}  disk0" in text, f"{firmware}: not the digest of this run's disk"
        assert "2 of 2 in use" in text
    warm = document["boot_ms"]
    assert warm["firmware_done"] is None and warm["firmware_handover"] is not None
    _, document = boot(test, ["exit", "4"], "--disk", f"{first},readonly", "--cpus", "2", status=4)
    assert document["firmware"] == "warm"


@case("warm firmware: virtio disks, which the firmware drives itself, may be others in the next boot", needs=NEEDS, limit=300)
def virtio_disks(test: Context) -> None:
    for disk in (noise(IN_BOX, 2049), ext4(IN_BOX)):
        digest = hashlib.sha256(disk.read_bytes()).hexdigest()
        text, document = boot(test, ["sum"], "--disk", f"{disk},type=virtio")
        assert f"{digest}  disk0" in text, f"{document['firmware']}: not the digest of this run's disk"
    assert document["firmware"] == "warm"


@case("warm firmware: another shape, a used variable store or 'off' boots cold; a damaged cache too", needs=NEEDS, limit=400)
def invalidation(test: Context) -> None:
    _, document = boot(test, ["echo"])
    _, document = boot(test, ["echo"])
    assert document["firmware"] == "warm"
    _, document = boot(test, ["echo"], "--memory", "192M")
    assert document["firmware"] == "cold", "a machine of another size began with this one's firmware"
    _, document = boot(test, ["echo"], cache="off")
    assert document["firmware"] == "cold"
    for snapshot in CACHE.iterdir():
        with open(snapshot, "r+b") as file:
            file.seek(200)
            file.write(b"damage")
    _, document = boot(test, ["echo"])
    assert document["firmware"] == "cold", "it used a damaged file"
    _, document = boot(test, ["echo"])
    assert document["firmware"] == "warm", "the damaged file was not replaced"


@case("warm firmware: variables are as after a cold boot, and a store that was used boots cold", needs=NEEDS, limit=400)
def variables(test: Context) -> None:
    store, again = LOGS / "warm-cold.vars", LOGS / "warm-warm.vars"
    for file in (store, again):
        file.unlink(missing_ok=True)
    _, cold = boot(test, ["echo"], "--variables", str(store))
    _, warm = boot(test, ["echo"], "--variables", str(again))
    assert (cold["firmware"], warm["firmware"]) == ("cold", "warm")
    assert boot_counter(store) == boot_counter(again) == 1
    assert store.read_bytes() == again.read_bytes(), "a warm boot leaves other variables than a cold one"
    _, third = boot(test, ["echo"], "--variables", str(again))
    assert third["firmware"] == "cold" and boot_counter(again) == 2


@case("warm firmware: Linux gets its initial RAM disk and command line, and reads the right date", needs=("kvm", "vmm", "linux"), limit=600)
def linux(test: Context) -> None:
    folder = LOGS / "firmware-cache-linux"
    shutil.rmtree(folder, ignore_errors=True)
    for firmware in ("cold", "warm"):
        script = f"echo clock $(date +%s) {firmware}; cat /proc/cmdline; poweroff -f"
        command = linux_test.launch("warm", script, "--firmware-cache", str(folder), "--metrics", str(METRICS), words=f"exo.boot={firmware}")
        before = time.time()
        done = test.run(command)
        assert done.status == 0, f"{firmware}: status {done.status}"
        told = re.search(rf"clock (\d+) {firmware}", done.text)
        assert told, f"{firmware}: the script of this run's initial RAM disk did not run"
        assert before - 2 <= int(told[1]) <= time.time() + 2, f"{firmware}: the clock is {int(told[1]) - before:.0f} s off"
        assert f"exo.boot={firmware}" in done.text, "this run's command line did not arrive"
        document = json.loads(METRICS.read_text())
        test.note(f"{document['firmware']}: {document['boot_ms']}")
        assert document["firmware"] == firmware, f"a {document['firmware']} boot instead of a {firmware} one"


@case("tools/run: the second box begins after the firmware of the first", needs=("box", "vmm", "guest"), limit=300)
def boxes(test: Context) -> None:
    metrics = LOGS / "box-warm-metrics.json"
    # Beside what the tools keep, which the box cannot write to otherwise.
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        for firmware in ("cold", "warm"):
            environment = {"XDG_CACHE_HOME": folder, "EXO_CACHE": str(cache())}
            done = test.run([str(ROOT / "tools" / "run"), "--metrics", str(metrics), "--", "echo", firmware], env=environment)
            assert done.status == 0 and firmware in done.text, f"{firmware}: status {done.status}"
            document = json.loads(metrics.read_text())
            test.note(f"{document['firmware']}: {document['boot_ms']}")
            assert document["firmware"] == firmware, f"a {document['firmware']} boot instead of a {firmware} one"
