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
