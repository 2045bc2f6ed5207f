"""The unit tests that need a KVM: without one they skip themselves among the others, so here they run where there is one."""

from harness import Context, case
from paths import RELEASE


def register(name: str) -> None:
    @case(f"unit tests with a KVM: {name}", needs=("kvm", "vmm"), limit=180)
    def run(test: Context) -> None:
        program = RELEASE / "tests" / "unit" / name / f"{name}_test"
        done = test.run([str(program), "--gtest_color=no"])
        assert done.status == 0, f"status {done.status}"
        assert "cannot run this guest" not in done.text, "they found no KVM"


for area in ("kvm", "machine_on_kvm"):
    register(area)
