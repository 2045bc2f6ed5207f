"""`vmm run --boot direct`: the guest without firmware."""

import json
import re

from guest_test import digest, plain
from harness import LOGS, Context, case
from paths import GUEST, VMM
from test_disks import IN_BOX, all_disks

NEEDS = ("kvm", "vmm", "guest")
RUN = [str(VMM), "run", "--boot", "direct", "--kernel", str(GUEST)]


@case("direct boot: digests of real disks, self-tests", needs=NEEDS, limit=600)
def digests(test: Context) -> None:
    disks = all_disks(IN_BOX)
    words = [word for number in range(len(disks)) for word in ("sum", f"disk{number}", ";")]
    flags = [word for disk in disks for word in ("--disk", str(disk))]
    done = test.run([*RUN, *flags, "--cpus", "2", "--", *words, "selftest"])
    text = plain(done.text)
    for number, disk in enumerate(disks):
        assert f"{digest(disk)}  disk{number}" in text, f"{disk.name}: not the digest that the host has"
    assert " 0 failed" in text, "the self-tests did not all pass"
    assert done.status == 0, f"status {done.status}"


@case("direct boot: the least memory, memory above 4 GiB, one CPU and two", needs=NEEDS, limit=600)
def sizes(test: Context) -> None:
    for memory, mib in (("64M", 63), ("3G", 3071)):
        for cpus in ("1", "2"):
            metrics = LOGS / "direct-metrics.json"
            done = test.run([*RUN, "--memory", memory, "--cpus", cpus, "--metrics", str(metrics), "--", "mem"])
            assert done.status == 0, f"{memory}, {cpus} CPUs: status {done.status}"
            assert not re.search(r"^  cpu +x86-64,", done.text, re.MULTILINE), "the processor has no name"
            total = next(line for line in done.text.splitlines() if line.startswith("total"))
            assert int(total.split()[-2].replace(",", "")) >> 20 >= mib, f"{memory}: the guest sees {total}"
            boot = json.loads(metrics.read_text())["boot_ms"]
            order = ["inputs_read", "machine_made", "vcpu_start", "firmware_handover", "kernel_entry", "ready", "end"]
            times = [boot[name] for name in order]
            assert times == sorted(times), f"the timeline is out of order: {boot}"


@case("direct boot: a panic has function names, a restart starts afresh", needs=NEEDS, limit=600)
def symbols_and_restart(test: Context) -> None:
    done = test.run([*RUN, "--", "crash", "panic"])
    assert done.status == 126, f"status {done.status}"
    assert "run_session" in done.text, "no function names in the backtrace"
    with test.type_at(RUN) as keyboard:
        keyboard.expect("exo> ")
        keyboard.type("reboot\r")
        keyboard.expect("vmm: the guest restarts")
        keyboard.expect("exo> ")
        keyboard.type("exit 3\r")
        assert keyboard.wait() == 3


@case("direct boot: QEMU starts kernel.elf by PVH", needs=("qemu", "guest"), limit=120, group="qemu-pc")
def qemu(test: Context) -> None:
    machine = ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "256", "-no-reboot"]
    output = ["-nodefaults", "-display", "none", "-serial", "stdio"]
    done = test.run([*machine, *output, "-kernel", str(GUEST.parent / "kernel.elf"), "-append", "-- echo well done"])
    assert "\nwell done\n" in done.text, "the guest did not run the command"
    assert "exo: exit status 0" in done.text
