"""`vmm run` where it differs from other platforms: firmware builds, sizes, restarts, signals."""

import hashlib
import re
from pathlib import Path

from harness import Context, case
from paths import GUEST, VMM
from test_disks import IN_BOX, ext4, noise

NEEDS = ("kvm", "vmm", "guest")
RUN = [str(VMM), "run", "--kernel", str(GUEST)]
COLD = [*RUN, "--firmware-cache", "off"]
PROMPT = r"exo> "


@case("vmm: OVMF's 2 MiB build, and code and variables in one file", needs=NEEDS, limit=300)
def firmware_builds(test: Context) -> None:
    builds = [path for path in ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/ovmf/OVMF.fd") if Path(path).exists()]
    assert builds, "this machine has neither build"
    for build in builds:
        done = test.run([*COLD, "--firmware", build, "--", "exit", "5"])
        assert done.status == 5, f"{build}: status {done.status}"


@case("vmm: the least memory and many vCPUs", needs=NEEDS, limit=240)
def sizes(test: Context) -> None:
    done = test.run([*COLD, "--memory", "64M", "--cpus", "8", "--", "mem"])
    assert done.status == 0, f"status {done.status}"
    total = re.search(r"^total +([\d.]+) MiB", done.text, re.MULTILINE)
    assert total and 56 <= float(total[1]) <= 64, "the guest does not see its 64 MiB, less what the firmware keeps"


@case("vmm: the guest's reboot starts it afresh", needs=NEEDS, limit=300)
def reboot(test: Context) -> None:
    with test.type_at(RUN) as keyboard:
        before = keyboard.flags()
        keyboard.expect(PROMPT)
        keyboard.type("reboot\r")
        keyboard.expect("vmm: the guest restarts")
        keyboard.expect(PROMPT)
        keyboard.type("exit 3\r")
        assert keyboard.wait() == 3
        assert keyboard.flags() == before, "the terminal was not left as it was"


@case("vmm: virtio disks beside fusion disks, by the same driver as on QEMU", needs=NEEDS, limit=300)
def virtio_disks(test: Context) -> None:
    virtio, readonly, fusion = ext4(IN_BOX), noise(IN_BOX, 2049), noise(IN_BOX, 3)
    options = ["--cpus", "2", "--disk", f"{virtio},type=virtio", "--disk", f"{readonly},type=virtio,readonly", "--disk", str(fusion)]
    done = test.run([*RUN, *options, "--", "disks", ";", "sum", "disk0", ";", "sum", "disk1", ";", "sum", "disk2", ";", "selftest"])
    for number, disk in enumerate((virtio, readonly, fusion)):
        digest = hashlib.sha256(disk.read_bytes()).hexdigest()
        assert f"{digest}  disk{number}" in done.text, f"no digest {digest} for disk{number}"
    assert len(re.findall("virtio-blk", done.text)) >= 2, "they are not seen as virtio disks"
    assert re.search(r"^[1-9]\d* passed, 0 failed", done.text, re.MULTILINE), "the self-tests did not all pass"
    assert done.status == 0, f"status {done.status}"


@case("vmm: a signal ends it, whatever the guest does", needs=NEEDS, limit=120)
def signals(test: Context) -> None:
    for name, number in (("TERM", 15), ("INT", 2), ("HUP", 1)):
        done = test.run(["timeout", "--preserve-status", "-s", name, "3", *RUN, "--cpus", "2"])
        assert done.status == 128 + number, f"SIG{name}: status {done.status}"
