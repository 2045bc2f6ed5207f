"""Debian's own Linux on `vmm run`, through stock OVMF, its disks virtio-blk: a test of the platform that no one here wrote."""

import re
from pathlib import Path

import linux_guest
from harness import LOGS, Context, case
from paths import VMM
from test_disks import linux_data

NEEDS = ("kvm", "vmm", "linux")
# What a boot in an emulated box does not need: it saves half of the time.
COMMAND_LINE = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests raid=noautodetect lsm=capability audit=0"
# Complaints of the kernel that are no fault of the machine. The box's emulated processor is the reason of the first three.
HARMLESS = (
    r"TSC|tsc: |clocksource: ",
    r"took \d+ usecs",
    r"Performance Events|PMU|NMI watchdog|perf: interrupt took",
    r"fail to add MMCONFIG information",  # an i440FX has none
    r"Last level [id]TLB entries",
    r"Spectre|Speculative|MDS|TAA|mitigations",
    r"random: |urandom",
    r"EFI stub|secureboot",
    r"hrtimer: interrupt took|rcu:.*self-detected|sched: RT throttling",
)


def launch(name: str, script: str, *options: str, cpus: int = 1, words: str = "") -> list[str]:
    """`vmm run` of Linux by --kernel and --initrd, its root the first virtio disk."""
    guest = linux_guest.guest()
    initrd = LOGS / f"{name}.initrd"
    initrd.write_bytes(guest.initramfs(script))
    return [
        str(VMM), "run", "--kernel", str(guest.kernel), "--initrd", str(initrd), "--append", f"{COMMAND_LINE} {words}".strip(),
        "--memory", "512M", "--cpus", str(cpus), "--disk", f"{guest.root},type=virtio,readonly", *options,
    ]


def data_disk() -> list[str]:
    return ["--disk", f"{linux_data()},type=virtio"]


def complaints(text: str) -> list[str]:
    """What the kernel logged as a warning or worse, but for what is known to be harmless."""
    lines = re.findall(r"^<[0-4]>(?:\[ *[\d.]+\] )?(.*)$", text, re.MULTILINE)
    return [line for line in lines if line.strip() and not any(re.search(pattern, line) for pattern in HARMLESS)]


REBOOT = """
echo "cpus $(nproc), root $(grep -c '/dev/vda / ext4 ro' /proc/mounts)"
dmesg -r | grep '^<[0-4]>'
echo "random $(cat /sys/class/misc/hw_random/rng_current)"
if [ "$(head -c 6 /dev/vdb)" = second ]; then echo second start; poweroff -f; fi
read -r word; echo "heard $word"
printf second | dd of=/dev/vdb conv=notrunc,fsync 2>/dev/null
reboot -f
"""


@case("vmm: Linux on 1 CPU boots without a complaint, restarts, keeps its disk, powers off", needs=NEEDS, limit=600)
def restarts(test: Context) -> None:
    wipe(linux_data(), 512)
    done = test.run(launch("linux-restarts", REBOOT, "--firmware-cache", "off", *data_disk()), stdin=b"hello\n")
    assert done.text.count("cpus 1, root 1") == 2, "it did not come up twice with its root on virtio-blk"
    assert "heard hello" in done.text, "what came on standard input did not reach it"
    assert "second start" in done.text, "what it wrote before the reboot is not on the disk"
    assert done.text.count("random virtio_rng.0") == 2, "it does not use the entropy device"
    assert b"vmm: the guest restarts" in done.errors, done.errors
    assert done.status == 0, f"status {done.status}"
    assert not complaints(done.text), "\n".join(complaints(done.text))


def wipe(disk: Path, size: int) -> None:
    with open(disk, "r+b") as file:
        file.write(bytes(size))


@case("vmm: Linux by systemd-boot from a disk with an EFI system partition", needs=NEEDS, limit=600)
def from_a_disk(test: Context) -> None:
    guest = linux_guest.guest()
    image = LOGS / "linux-esp.img"
    script = 'echo "up on $(nproc) from $(ls /sys/block/vdb | grep -c vdb1) partition"\npoweroff -f\n'
    linux_guest.esp_disk(guest, image, script, COMMAND_LINE)
    options = ["--memory", "512M", "--cpus", "2", "--disk", f"{guest.root},type=virtio,readonly", "--disk", f"{image},type=virtio,readonly"]
    done = test.run([str(VMM), "run", *options])
    assert "up on 2 from 1 partition" in done.text, "it did not come up"
    assert done.status == 0, f"status {done.status}"
