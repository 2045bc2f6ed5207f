"""`vmm` on KVM's other half: an Intel processor, with EPT and without, that Bochs emulates."""

import tempfile
from pathlib import Path

from guest_test import digest, plain
from harness import Context, case
from paths import BUILD, GUEST, ROOT, VMM

BOX = [str(ROOT / "tools" / "kvm-box"), "--cpu"]
RUN = [str(VMM), "run", "--boot", "direct", "--kernel", str(GUEST)]


def boots(test: Context, kind: str) -> None:
    with tempfile.NamedTemporaryFile(dir=BUILD, suffix=".img") as image:
        image.write(bytes(range(256)) * 256)
        image.flush()
        done = test.run([*BOX, kind, *RUN, "--disk", image.name, "--", "sum"])
        assert f"{digest(Path(image.name))}  disk0" in plain(done.text), "not the digest that the host has"
    assert "Intel" in done.text, "the guest does not see an Intel processor"
    assert done.status == 0, f"status {done.status}"


@case("intel: the guest by direct boot on a processor with EPT", needs=("intel box", "vmm", "guest"), limit=180, group="bochs")
def with_ept(test: Context) -> None:
    boots(test, "intel")


@case("intel: the guest by direct boot on a processor without EPT", needs=("intel box", "vmm", "guest"), limit=180, group="bochs")
def without_ept(test: Context) -> None:
    boots(test, "intel-no-ept")


@case("intel: what cannot be brought into the box is refused with a sentence", needs=("intel box",), limit=60, group="bochs")
def cannot_be_brought(test: Context) -> None:
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        large = Path(scratch) / "large.img"
        with open(large, "wb") as image:
            image.truncate(3 << 30)
        for file, why in ((Path(scratch) / "none", "there is no such file"), (Path(scratch), "it is no regular file"), (large, "there is room for")):
            done = test.run([*BOX, "intel", "--file", str(file), "true"])
            told = done.errors.decode()
            assert f"{file} cannot be brought into the box: " in told and why in told, f"{file.name}: {told[-300:]}"
            assert "Traceback" not in told, f"{file.name}: a traceback"
            assert done.status == 125, f"{file.name}: status {done.status}"
