"""The same exo.efi on every platform: digests of real disks, self-tests, exit statuses, panics, the shell."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import LOGS, Context, case
from paths import GUEST, ROOT, VMM
from test_disks import IN_BOX, all_disks, ext4, noise

ANSI = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")
PROMPT = r"exo> "
METRICS = LOGS / "metrics.json"


@dataclass(frozen=True)
class Platform:
    name: str
    needs: tuple[str, ...]
    command: list[str]
    limit: float  # seconds for one boot and some work
    most_disks: int = 4

    def launch(self, disks: list[Path], *guest_command: str) -> list[str]:
        words = [*self.command, *(word for disk in disks for word in ("--disk", str(disk)))]
        return [*words, "--", *guest_command] if guest_command else words


PLATFORMS = [
    Platform(IN_BOX, ("kvm", "vmm", "guest"), [str(VMM), "run", "--kernel", str(GUEST), "--metrics", str(METRICS)], 300),
    Platform("qemu-pc", ("qemu", "guest"), [str(ROOT / "tools" / "qemu"), "--machine", "pc"], 240),
    Platform("qemu-q35", ("qemu", "guest"), [str(ROOT / "tools" / "qemu"), "--machine", "q35"], 240),
    Platform("bochs", ("bochs", "guest"), [str(ROOT / "tools" / "bochs")], 300, most_disks=3),
]


def on_every_platform(title: str) -> Callable:
    """Registers a function (test, platform) once for each platform."""

    def register(function):
        for platform in PLATFORMS:
            case(f"{platform.name}: {title}", needs=platform.needs, limit=platform.limit, group=platform.name)(
                lambda test, platform=platform: function(test, platform)
            )
        return function

    return register


def digest(path: Path) -> str:
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest()


def plain(text: str) -> str:
    return ANSI.sub("", text)


@on_every_platform("digests of real disks, self-tests")
def digests(test: Context, platform: Platform) -> None:
    disks = all_disks(platform.name)[: platform.most_disks]
    expected = [f"{digest(disk)}  disk{number}" for number, disk in enumerate(disks)]
    words = [word for number in range(len(disks)) for word in ("sum", f"disk{number}", ";")]
    done = test.run(platform.launch(disks, *words, "disks", ";", "selftest"))
    text = plain(done.text)
    for disk, line in zip(disks, expected):
        assert re.search(rf"^{line}$", text, re.MULTILINE), f"no line '{line}' for {disk.name}"
    assert re.search(r"^[1-9]\d* passed, 0 failed", text, re.MULTILINE), "the self-tests did not all pass"
    assert done.status == 0, f"status {done.status}"
    assert [f"{digest(disk)}  disk{number}" for number, disk in enumerate(disks)] == expected, "reading changed a disk"


@on_every_platform("a command's status is handed through; sum takes the first disk of data")
def status(test: Context, platform: Platform) -> None:
    disk = ext4(platform.name)
    done = test.run(platform.launch([disk], "sum", ";", "exit", "42"))
    assert re.search(rf"^{digest(disk)}  ", plain(done.text), re.MULTILINE), "the digest is not that of the disk"
    assert done.status == 42, f"status {done.status}"


@on_every_platform("a panic is reported and has its own status")
def panic(test: Context, platform: Platform) -> None:
    done = test.run(platform.launch([ext4(platform.name)], "crash", "null"))
    text = plain(done.text)
    assert done.status == 126, f"status {done.status}"
    assert "exo: panic status 126" in text
    assert "write_null" in text, "the backtrace names no function"


@case("qemu-q35: the debug guest's heap checks find nothing in the self-tests, and a double free", needs=("qemu", "debug guest"), limit=300, group="qemu-q35")
def debug_guest(test: Context) -> None:
    debug = [str(ROOT / "tools" / "qemu"), "--machine", "q35", "--preset", "debug", "--"]
    done = test.run([*debug, "selftest"])
    assert re.search(r"^[1-9]\d* passed, 0 failed", plain(done.text), re.MULTILINE), "the self-tests did not all pass"
    assert not (leaks := re.findall(r"^leak: .*$", plain(done.text), re.MULTILINE)), "; ".join(leaks)
    assert done.status == 0, f"status {done.status}"
    done = test.run([*debug, "crash", "heap"])
    assert done.status == 126, f"status {done.status}"
    assert "free_twice" in plain(done.text), "the report names no origin"


@case("qemu-q35: a guest with every feature switch off passes the self-tests", needs=("qemu", "classic guest"), limit=300, group="qemu-q35")
def classic_guest(test: Context) -> None:
    asked = ("selftest", "mem", "yields", "ipc", "blk")
    command = [word for name in asked for word in (name, ";")][:-1]
    done = test.run([str(ROOT / "tools" / "qemu"), "--machine", "q35", "--preset", "classic", "--disk", str(noise("qemu-q35", 1)), "--", *command])
    text = plain(done.text)
    assert re.search(r"^[1-9]\d* passed, 0 failed", text, re.MULTILINE), "the self-tests did not all pass"
    assert done.status == 0, f"status {done.status}"
    assert "heap used" in text and "thread cache" not in text, "the heap is not the first-fit list"
    assert "(round-robin, classic switch)" in text, "threads are not switched or scheduled the classic way"
    assert "channels are classic" in text, "channels are not classic"
    assert re.search(r"^disk0 .* interrupt +interrupt ", text, re.MULTILINE), "the driver does not wait by interrupt alone"


@on_every_platform("the shell at a terminal")
def shell(test: Context, platform: Platform) -> None:
    small = noise(platform.name, 1)
    with test.type_at(platform.launch([ext4(platform.name), small])) as keyboard:
        before = keyboard.flags()
        keyboard.expect(PROMPT)
        keyboard.type("sum disk1\r")
        keyboard.expect(digest(small))
        keyboard.expect(PROMPT)
        keyboard.type("exit 9\r")
        assert keyboard.wait() == 9
        assert keyboard.flags() == before, "the terminal was not left as it was"


@case("vmm: the escape leaves a running guest", needs=("kvm", "vmm", "guest"), limit=300)
def escape(test: Context) -> None:
    with test.type_at([str(VMM), "run", "--kernel", str(GUEST)]) as keyboard:
        before = keyboard.flags()
        keyboard.expect(r".")
        keyboard.type("\x01x")
        assert keyboard.wait() == 128
        assert keyboard.flags() == before, "the terminal was not left as it was"


@case("vmm: metrics tell the boot's phases", needs=("kvm", "vmm", "guest"), limit=300)
def metrics(test: Context) -> None:
    METRICS.unlink(missing_ok=True)
    done = test.run([*PLATFORMS[0].launch([noise(IN_BOX, 1)], "echo", "hello")])
    assert done.status == 0, f"status {done.status}"
    told = json.loads(METRICS.read_text())
    test.note(json.dumps(told, indent=2))
    phases = [told["boot_ms"][name] for name in ("process_start", "vcpu_start", "firmware_handover", "kernel_entry", "ready")]
    assert phases == sorted(phases) and phases[-1] > 0, f"the boot's phases are out of order: {phases}"
    assert told["exits_to_user_space"]["total"] > 0


@case("tools/run: digest of a disk, in the box by itself", needs=("box", "vmm", "guest"), limit=300)
def run_sum(test: Context) -> None:
    disk = ext4("run")
    done = test.run([str(ROOT / "tools" / "run"), "--disk", str(disk), "--", "sum"])
    assert re.search(rf"^{digest(disk)}  ", plain(done.text), re.MULTILINE), "the digest is not that of the disk"
    assert done.status == 0, f"status {done.status}"


@case("tools/run: alone gives the shell, with a disk of real files", needs=("box", "vmm", "guest"), limit=300)
def run_shell(test: Context) -> None:
    with test.type_at([str(ROOT / "tools" / "run")]) as keyboard:
        keyboard.expect(PROMPT)
        keyboard.type("sum\r")
        keyboard.expect(r"[0-9a-f]{64}  disk0")
        keyboard.expect(PROMPT)
        keyboard.type("exit 9\r")
        assert keyboard.wait() == 9


@case("vmm: refuses bad input with a sentence", needs=("vmm",), limit=120)
def bad_input(test: Context) -> None:
    folder = LOGS / "bad-input"
    folder.mkdir(exist_ok=True)
    empty, text, odd, cut, metrics_file = folder / "empty", folder / "text", folder / "odd", folder / "cut", folder / "metrics"
    empty.write_bytes(b"")
    text.write_bytes(b"not an EFI application\n" * 400)
    odd.write_bytes(b"x" * 1000)
    cut.write_bytes(GUEST.read_bytes()[:-1000])
    kernel = ["--kernel", str(GUEST)]
    for words in (
        [], ["--kernel", str(folder / "missing")], ["--kernel", str(empty)], ["--kernel", str(text)], ["--kernel", str(folder)],
        [*kernel, "--disk", str(folder / "missing")], [*kernel, "--disk", str(odd)], [*kernel, "--disk", str(empty)],
        [*kernel, "--memory", "0"], [*kernel, "--memory", "1P"], [*kernel, "--cpus", "0"], [*kernel, "--cpus", "100000"],
        [*kernel, "--firmware", str(folder / "missing")], [*kernel, "--no-such-option"],
        ["--kernel", str(cut)], ["--kernel", str(cut), "--boot", "direct"], ["--kernel", str(empty), "--boot", "direct"],
        [*kernel, "--log-file", str(folder / "missing" / "log")],
    ):
        done = test.run([str(VMM), "run", *words, "--metrics", str(metrics_file)])
        assert done.status == 125, f"status {done.status} for {words}"
        assert len(done.errors.split()) > 5, f"no sentence for {words}: {done.errors}"
        assert not done.output and not metrics_file.exists(), f"something was written for {words}"


@case("tools: refuse bad input with a sentence", needs=(), limit=60)
def bad_words_to_tools(test: Context) -> None:
    for words in (
        ["fuzz", "--minutes", "0"], ["fuzz", "--executions", "-1"], ["fuzz", "--executions", "many"],
        ["bench", "block-vmm", "--rounds", "0"], ["bench", "block-vmm", "--seconds", "inf"], ["bench", "block-vmm", "--case", "no such machine"],
    ):  # fmt: skip
        done = test.run([str(ROOT / "tools" / words[0]), *words[1:]])
        assert done.status in (2, 125), f"status {done.status} for {words}"
        assert "above 0" in (said := done.errors.decode()) or "there is no machine" in said, f"no reason for {words}: {said}"
        assert not done.output, f"something was done for {words}"
