"""The kvm-box: one Linux machine under QEMU's software emulation, whose /dev/kvm is real, with the host's files at their places."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from box_parts import TOOL, Parts, parts
from box_session import Channel, Session
from disks import Disk, qemu_arguments
from paths import ROOT, cache, firmware_cache
from report import Failure, Phase, say
from terminal import Stopped, interactive

ATTEMPTS = 3
START_LIMIT = 150  # seconds; a quiet machine needs 3
# The kernel's own start is most of ours: no mitigations, self-tests, address randomization, or clearing of fresh memory.
KERNEL_COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no5lvl cryptomgr.notests random.trust_cpu=on tsc=reliable no_timer_check "
    "init_on_alloc=0 audit=0 lsm=capability numa=off raid=noautodetect 8250.nr_uarts=1 rcupdate.rcu_expedited=1"
)


@dataclass
class Options:
    disks: list[Disk] = field(default_factory=list)
    writable: list[Path] = field(default_factory=list)
    memory_mib: int = 0  # 0: EXO_BOX_MEMORY, or 4 GiB, or half of the host's
    time_limit: float | None = None  # seconds for the command
    announce: str | None = None  # a line to show while the box starts


def time_limit(default: float) -> float | None:
    """Seconds for a command: EXO_BOX_TIMEOUT (0: none); without it none at a terminal, else `default`."""
    text = os.environ.get("EXO_BOX_TIMEOUT")
    if text is None:
        return None if interactive() else default
    try:
        return float(text) or None
    except ValueError:
        raise Failure(f"EXO_BOX_TIMEOUT={text} is no number of seconds") from None


def run(command: list[str], options: Options) -> int:
    """The command's exit status. Its input, output and signals are ours."""
    fetched = parts()
    for attempt in range(1, ATTEMPTS + 1):
        box = Box(fetched, options)
        try:
            with box:
                try:
                    box.start()
                except DidNotStart as failure:
                    if attempt == ATTEMPTS:
                        raise Failure(f"{failure}; tried {ATTEMPTS} times") from failure
                    say(TOOL, f"{failure}; trying again")
                    continue
                try:
                    return Session(box.channel, box.request(command), options.time_limit).run()
                except ConnectionError as error:
                    raise Failure(f"the box died while it ran the command: {box.death()}; its console: {box.kept_console}") from error
        except Stopped as stopped:
            return stopped.status
    raise AssertionError


class DidNotStart(Exception):
    """The box itself, not the command, failed: worth another try."""


class Box:
    def __init__(self, fetched: Parts, options: Options):
        self._parts = fetched
        self._options = options
        # What QEMU could not show exactly as it is reaches the command as the file it is, for the command to refuse it in its own words.
        disks = _unique(options.disks)
        self._disks = [disk for disk in disks if disk.why_unusable() is None]
        others = [disk.path.parent for disk in disks if disk not in self._disks]
        self._writable = _writable_folders([*options.writable, *others, *_warm_firmware()])
        self._folder = Path(tempfile.mkdtemp(prefix="exo-box-"))
        self._machine: subprocess.Popen | None = None
        self.channel: Channel | None = None
        self.kept_console = cache() / "box" / "failed-console.log"

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, kind, *_) -> None:
        if self._machine:
            self._machine.terminate()  # the box has synced; QEMU itself caches nothing
            try:
                self._machine.wait(5)
            except subprocess.TimeoutExpired:
                self._machine.kill()
                self._machine.wait()
        if self.channel:
            self.channel.close()
        if kind and self._console.exists():
            shutil.copyfile(self._console, self.kept_console)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _console(self) -> Path:
        return self._folder / "console.log"

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, open(self._folder / "qemu.log", "wb") as log:
            self.channel = Channel(ours)
            self._machine = subprocess.Popen(
                # A box must not outlive its tool, even one killed by SIGKILL.
                ["setpriv", "--pdeathsig", "KILL", *self._command(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()], start_new_session=True,
                env=os.environ | self._parts.qemu.environment,
            )
        if self._options.announce:
            with Phase(TOOL, self._options.announce):
                self._wait_until_ready()
        else:
            self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        try:
            kind, payload = self.channel.receive(deadline)
        except TimeoutError:
            raise DidNotStart(f"the box did not start within {START_LIMIT} s{self._last_words()}") from None
        except ConnectionError:
            status, told = self._ended()
            if status == 1 and told:  # QEMU refused its arguments; another try would end the same way
                raise Failure(f"the box's QEMU refused to start: {told.splitlines()[-1]}") from None
            raise DidNotStart(f"the box stopped while it started (status {status}){self._last_words()}") from None
        if kind != "r":
            raise Failure(f"the box could not be set up: {payload.decode(errors='replace')}")

    def _ended(self) -> tuple[int, str]:
        """How QEMU ended, which has hung up, and what it said."""
        return self._machine.wait(10), (self._folder / "qemu.log").read_text(errors="replace").strip()

    def death(self) -> str:
        """Why the box has hung up, in words for a person."""
        try:
            status, told = self._ended()
        except subprocess.TimeoutExpired:
            return "its QEMU still runs, without its channel"
        how = f"its QEMU ended by signal {-status}" if status < 0 else f"its QEMU ended with status {status}"
        return f"{how}: {told.splitlines()[-1]}" if told else f"{how}{self._last_words()}"

    def _last_words(self) -> str:
        lines = self._console.read_text(errors="replace").strip().splitlines() if self._console.exists() else []
        return f"; its last words: {lines[-1].strip()}" if lines else ""

    def _command(self, descriptor: int) -> list[str]:
        qemu = self._parts.qemu
        memory = self._options.memory_mib or _default_memory_mib()
        threads = "multi" if qemu.repaired else "single"
        command = [
            str(qemu.binary), *qemu.arguments, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35,hpet=off,vmport=off", "-accel", f"tcg,thread={threads}", "-cpu", "max,la57=off",
            "-smp", str(min(4, len(os.sched_getaffinity(0)))), "-m", f"{memory}M",
            "-kernel", str(self._parts.kernel), "-initrd", str(self._parts.initramfs), "-append", KERNEL_COMMAND_LINE,
            "-serial", f"file:{self._console}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=port,fd={descriptor}", "-device", "virtserialport,chardev=port",
            *_export("root", Path("/"), readonly=True),
        ]
        for number, folder in enumerate(self._writable):
            command += _export(f"writable{number}", folder, readonly=False)
        for number, disk in enumerate(self._disks):
            command += qemu_arguments(number, disk, f"serial={_serial(number)}")
        return command

    def request(self, command: list[str]) -> list[tuple[str, str]]:
        """What to run and with what, as tools/box/request.h reads it; the session adds the terminal."""
        pairs = [("argument", word) for word in command]
        pairs += [("environment", f"{name}={value}") for name, value in _environment().items()]
        pairs.append(("directory", os.getcwd()))
        pairs += [("writable", f"writable{number}:{folder}") for number, folder in enumerate(self._writable)]
        pairs += [("disk", f"{_serial(number)}:{disk.path}") for number, disk in enumerate(self._disks)]
        return pairs


def _unique(disks: list[Disk]) -> list[Disk]:
    """A file named twice is one device; it is read-only only if every mention says so."""
    found: dict[Path, Disk] = {}
    for disk in disks:
        path = disk.path.resolve()
        other = found.get(path)
        found[path] = Disk(path, disk.readonly and (other is None or other.readonly))
    return list(found.values())


def _serial(number: int) -> str:
    return f"exo-disk-{number}"


def _export(tag: str, folder: Path, readonly: bool) -> list[str]:
    path = str(folder).replace(",", ",,")
    mode = ",readonly=on" if readonly else ""
    return [
        "-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{mode}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]


def _writable_folders(asked: list[Path]) -> list[Path]:
    """The folders where what the command writes reaches the host: those asked for, the current one, the project's build folder, and /tmp.
    Never the root itself; a folder inside another one needs no mention."""
    candidates = [*asked, Path.cwd(), ROOT / "build", Path("/tmp"), Path(os.environ.get("TMPDIR") or "/tmp")]
    chosen: list[Path] = []
    for folder in sorted({folder.resolve() for folder in candidates}):
        usable = folder != Path("/") and folder.is_dir() and os.access(folder, os.W_OK)
        if usable and not any(folder.is_relative_to(other) for other in chosen):
            chosen.append(folder)
    return chosen


def _warm_firmware() -> list[Path]:
    """What `vmm run` keeps of the firmware outlives the box, so that the next one need not start from nothing."""
    folder = firmware_cache()
    if folder is None:
        return []
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return [folder]


def _default_memory_mib() -> int:
    asked = os.environ.get("EXO_BOX_MEMORY", "")
    if asked:
        if not asked.isdecimal() or int(asked) < 256:
            raise Failure(f"EXO_BOX_MEMORY={asked} is no number of MiB from 256 up")
        return int(asked)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return min(4096, whole // 2)


ENVIRONMENT = {"TERM", "COLORTERM", "NO_COLOR", "HOME", "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "CI", "TMPDIR",
               "XDG_CACHE_HOME"}
ENVIRONMENT_FAMILIES = ("EXO_", "LC_", "GTEST_", "ASAN_", "UBSAN_", "TSAN_", "LSAN_", "PYTHON")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ENVIRONMENT or name.startswith(ENVIRONMENT_FAMILIES)}
    return kept | {"EXO_BOX": "1", "PWD": os.getcwd()}
