"""`vmm tune`, where time means nothing: that it says so, and that all of it works."""

import json
import os
import tempfile
from pathlib import Path

from harness import LOGS, Context, case
from paths import VMM

TUNE = [str(VMM), "tune"]
WAYS = {("interrupt", None), ("polling", None), ("hybrid", None), ("batch", None), ("adaptive", 0.1), ("adaptive", 1), ("adaptive", 10)}


@case("vmm: tune measures every way to wait, and knows where time means nothing", needs=("kvm", "vmm", "guest"), limit=600, group="vmm")
def tune(test: Context) -> None:
    emulated = "EXO_BOX" in os.environ
    if emulated:
        refused = test.run(TUNE)
        assert refused.status == 125, f"status {refused.status}"
        assert b"time means nothing" in refused.errors, "it does not say why it refuses"
    with tempfile.TemporaryDirectory(dir=LOGS) as folder:
        kept = Path(folder) / "tune.json"
        done = test.run([*TUNE, "--anyway", "--quick", "--rounds", "1", "--json", str(kept)])
        assert done.status == 0, f"status {done.status}"
        told = json.loads(kept.read_text())
    assert done.text.count("[not of this hardware]") == (3 if emulated else 0)
    assert told["of_this_hardware"] != emulated
    modes = [cell for cell in told["cells"] if cell["compared"] == "modes"]
    assert {(cell["mode"], cell["price"]) for cell in modes} == WAYS
    assert all(cell["median"]["p50_ns"] > 0 and cell["median"]["rate"] > 0 for cell in told["cells"])
    assert {cell["poll_us"] for cell in told["cells"]} == {None, 0, 200}
    assert [each["price"] for each in told["recommended"]] == [0.1, 1, 10]
    assert told["learned"]["service_ns"] > 0, "no controller knows the disk's time"
