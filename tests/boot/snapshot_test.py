"""`vmm run --snapshot` and `--restore`: a guest goes on from a file where it was, with its disks under load."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import linux_test
from harness import LOGS, Context, case
from paths import GUEST, VMM
from test_disks import IN_BOX, linux_data, noise

NEEDS = ("kvm", "vmm", "guest")
SNAPSHOT = LOGS / "guest.snapshot"


def run(*options: str) -> list[str]:
    return [str(VMM), "run", "--kernel", str(GUEST), *options]


def start(test: Context, command: list[str], log: Path) -> subprocess.Popen:
    test.note(f"$ {' '.join(command)} &")
    with open(log, "wb") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)


def wait_for(test: Context, log: Path, pattern: str) -> str:
    while True:
        text = log.read_text(errors="replace")
        if re.search(pattern, text):
            return text
        test.left()
        time.sleep(0.05)


def big_disk() -> Path:
    """Enough that a guest is busy with it for some seconds; in memory, where the box has room."""
    target = Path("/dev/shm") / "exo-snapshot-disk.img"
    target.write_bytes(noise(IN_BOX, 2049).read_bytes()[: 1 << 20] * 64)
    return target


@case("snapshot: taken while the guest reads a disk on two vCPUs; it and the restored one find the right digest", needs=NEEDS, limit=240)
def under_load(test: Context) -> None:
    log, metrics, disk = LOGS / "snapshot-run.txt", LOGS / "snapshot-metrics.json", big_disk()
    digest = hashlib.sha256(disk.read_bytes()).hexdigest()
    SNAPSHOT.unlink(missing_ok=True)
    options = ["--disk", f"{disk},readonly", "--cpus", "2", "--log-level", "info", "--firmware-cache", "off"]
    guest = start(test, [*run(*options, "--snapshot", str(SNAPSHOT)), "--", "sum"], log)
    try:
        wait_for(test, log, "phase=ready")
        time.sleep(0.5)
        guest.send_signal(signal.SIGUSR1)
        wait_for(test, log, "a snapshot was taken")
        assert digest not in log.read_text(errors="replace"), "the guest was done before the snapshot"
        assert guest.wait(test.left()) == 0
        assert f"{digest}  disk0" in log.read_text(errors="replace"), "the guest that went on read something else"
        for _ in range(2):
            done = test.run([*run(*options, "--restore", str(SNAPSHOT), "--metrics", str(metrics)), "--", "sum"])
            assert done.status == 0, f"restored: status {done.status}"
            assert f"{digest}  disk0" in done.text, "the restored guest read something else"
            assert "Exo-OS" not in done.text, "it booted instead of going on"
            assert json.loads(metrics.read_text())["boot_ms"]["kernel_entry"] is None
    finally:
        guest.kill()
        disk.unlink()


@case("snapshot: what does not fit is refused with its reason", needs=NEEDS, limit=120)
def refused(test: Context) -> None:
    log, snapshot = LOGS / "snapshot-refused.txt", LOGS / "refused.snapshot"
    guest = start(test, [*run("--boot", "direct", "--log-level", "info", "--snapshot", str(snapshot)), "--", "sleep", "100"], log)
    try:
        wait_for(test, log, "phase=ready")
        guest.send_signal(signal.SIGUSR1)
        wait_for(test, log, "a snapshot was taken")
    finally:
        guest.kill()
        guest.wait()
    disk = noise(IN_BOX, 3)
    for options, reason in (
        (["--cpus", "2"], "its number of CPUs is 1, and this machine's is 2"),
        (["--memory", "512M"], "its memory is 256 MiB"),
        (["--disk", f"{disk},readonly"], "its list of devices is entropy"),
    ):
        done = test.run([*run("--boot", "direct", "--restore", str(snapshot), *options)])
        assert done.status == 125, f"status {done.status}"
        assert reason in done.errors.decode(), f"no reason: {done.errors.decode()}"
    os.truncate(snapshot, snapshot.stat().st_size - 4096)
    done = test.run([*run("--boot", "direct", "--restore", str(snapshot))])
    assert done.status == 125 and "cut off" in done.errors.decode(), done.errors.decode()


@case("snapshot: Ctrl-A s in the middle of a line at the shell; the line is finished in the restored guest", needs=NEEDS, limit=200)
def shell(test: Context) -> None:
    options = ["--boot", "direct", "--cpus", "2"]
    snapshot = LOGS / "shell.snapshot"
    snapshot.unlink(missing_ok=True)
    with test.type_at([*run(*options, "--log-level", "info", "--snapshot", str(snapshot))]) as keyboard:
        keyboard.expect("exo> ")
        keyboard.type("echo hal")
        keyboard.expect("echo hal")
        keyboard.type("\x01s")
        keyboard.expect("a snapshot was taken")
        keyboard.type("\x01x")
        assert keyboard.wait() == 128
    with test.type_at(run(*options, "--restore", str(snapshot))) as keyboard:
        keyboard.type("f-typed\r")
        keyboard.expect("half-typed")
        keyboard.type("exit 7\r")
        assert keyboard.wait() == 7


@case("snapshot: Linux on 2 vCPUs writes to a virtio disk; restored, it reads back what it wrote", needs=("kvm", "vmm", "linux"), limit=900)
def linux(test: Context) -> None:
    log, snapshot, disk = LOGS / "snapshot-linux.txt", LOGS / "linux.snapshot", linux_data()
    script = (
        "seq 1 200000 > /tmp/numbers; echo WRITING; i=0; while [ $i -lt 40 ]; do "
        "dd if=/tmp/numbers of=/dev/vdb bs=64k seek=$((i*20)) conv=fsync 2>/dev/null; i=$((i+1)); done; "
        "sha256sum /tmp/numbers; echo 3 > /proc/sys/vm/drop_caches; "
        "dd if=/dev/vdb bs=64k skip=$((39*20)) count=20 2>/dev/null | head -c $(stat -c %s /tmp/numbers) | sha256sum; poweroff -f"
    )
    command = linux_test.launch("snapshot", script, "--disk", f"{disk},type=virtio", "--log-level", "info", cpus=2)
    guest = start(test, [*command, "--snapshot", str(snapshot)], log)
    try:
        wait_for(test, log, "WRITING")
        time.sleep(1)
        guest.send_signal(signal.SIGUSR1)
        wait_for(test, log, "a snapshot was taken")
    finally:
        guest.kill()
        guest.wait()
    done = test.run([*command, "--restore", str(snapshot)])
    digests = re.findall(r"^([0-9a-f]{64})  ", done.text, re.MULTILINE)
    assert done.status == 0, f"status {done.status}"
    assert len(digests) == 2 and digests[0] == digests[1], f"digests {digests}"
