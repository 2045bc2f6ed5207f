"""What the kvm-box is made of, fetched once and cached: a QEMU whose SVM emulation is sound, a Debian kernel, an initramfs with our agent.

Debian 12's QEMU 7.2 aborts in nested guests and can lose a wake-up after `sti; hlt`; from 9 on it does not."""

import fcntl
import hashlib
import lzma
import re
import shutil
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paths import ROOT, cache
from private_apt import PrivateApt, codename, unpack
from qemu_repair import AFTER, repair
from report import Failure, Phase

TOOL = "kvm-box"
OLDEST_QEMU = 9
AGENT = ROOT / "tools" / "box"
PINS = AGENT / "qemu.pins"
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "kvm_amd", "9pnet_virtio", "9p")
SIGNATURE_MARK = b"~Module signature appended~\n"


@dataclass
class Qemu:
    binary: Path
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Parts:
    qemu: Qemu
    kernel: Path
    initramfs: Path


def parts() -> Parts:
    """Everything a box needs, fetched and built if it is not there yet."""
    folder = cache() / "box"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"the cache folder {folder} cannot be made ({error.strerror}); choose another with EXO_CACHE") from error
    with _one_at_a_time(folder):
        qemu = _installed_qemu() or _private_qemu(folder)
        kernel = _kernel(folder)
        return Parts(qemu, kernel / "vmlinux", _initramfs(folder, kernel))


@contextmanager
def _one_at_a_time(folder: Path):
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _made_whole(target: Path):
    """A scratch folder beside `target` that becomes `target` when all went well."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        shutil.rmtree(target, ignore_errors=True)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _apt(folder: Path, backports: bool) -> PrivateApt:
    try:
        apt = PrivateApt(folder / "apt", backports)
        apt.update()
    except Failure as failure:
        raise Failure(
            f"the box's parts cannot be fetched: {failure}. Needed once: QEMU {OLDEST_QEMU} or newer and a kernel, about 100 MB of "
            f"Debian packages, kept in {folder}. Check the network and apt's sources, then try again."
        ) from failure
    return apt


def _version(binary: Path) -> int:
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.", told)
    return int(found.group(1)) if found else 0


def _installed_qemu() -> Qemu | None:
    found = shutil.which("qemu-system-x86_64")
    return Qemu(Path(found)) if found and _version(Path(found)) >= OLDEST_QEMU else None


def _pins() -> list[tuple[str, str, str]]:
    """(package, version, SHA-256) for each package of the pinned QEMU."""
    lines = PINS.read_text().splitlines()
    return [tuple(line.split()) for line in lines if line and not line.startswith("#")]


def _private_qemu(folder: Path) -> Qemu:
    target = folder / f"qemu-{hashlib.sha256(PINS.read_bytes() + AFTER).hexdigest()[:12]}"
    if not target.exists():
        with Phase(TOOL, f"fetching a newer QEMU than this Debian's, for {folder} only (once)…"), _made_whole(target) as scratch:
            _fetch_qemu(_apt(folder, backports=True), scratch)
    binary = target / "usr/bin/qemu-system-x86_64"
    _check_libraries(binary)
    return Qemu(
        binary,
        ["-L", str(target / "usr/share/qemu"), "-L", str(target / "usr/share/seabios")],
        {"QEMU_MODULE_DIR": str(target / "usr/lib/x86_64-linux-gnu/qemu")},
    )


def _fetch_qemu(apt: PrivateApt, scratch: Path) -> None:
    downloads = scratch / "packages"
    for package, version, digest in _pins():
        # The suite drops a version when the next arrives. Then the newest there is serves, vouched for by Debian's signature alone.
        pinned = version in apt.versions(package)
        file = apt.download(f"{package}={version}" if pinned else package, downloads)
        if pinned and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise Failure(f"{file.name} is not the package that {PINS.relative_to(ROOT)} names (its SHA-256 differs); not used")
        unpack(file, scratch)
    shutil.rmtree(downloads)
    repair(TOOL, scratch / "usr/bin/qemu-system-x86_64")
    if _version(scratch / "usr/bin/qemu-system-x86_64") < OLDEST_QEMU:
        raise Failure(f"{codename()}-backports has no QEMU {OLDEST_QEMU} or newer that runs here")


def _check_libraries(binary: Path) -> None:
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if missing:
        raise Failure(f"the box's QEMU lacks {', '.join(missing)}; `tools/setup run` installs the libraries it needs")


def _kernel(folder: Path) -> Path:
    """A folder with vmlinux and the modules, in loading order in `order`."""
    recipe = hashlib.sha256(" ".join(MODULES).encode()).hexdigest()[:12]
    target = folder / f"kernel-{recipe}"
    if not target.exists():
        with Phase(TOOL, "fetching a Debian kernel for the box (once)…"), _made_whole(target) as scratch:
            apt = _apt(folder, backports=_installed_qemu() is None)
            package = next(name for name in apt.depends("linux-image-amd64") if name.startswith("linux-image-"))
            tree = scratch / "tree"
            unpack(apt.download(package, tree), tree)
            _take_kernel(next(tree.glob("boot/vmlinuz-*")), scratch / "vmlinux")
            _take_modules(next(tree.glob("**/lib/modules/*")), scratch)
            shutil.rmtree(tree)
            shutil.rmtree(folder / "apt")
    return target


def _take_kernel(image: Path, target: Path) -> None:
    """Unpacks the kernel proper here, where it takes 0.5 s; inside an emulated machine it takes 4. A compression we do not know stays."""
    data = image.read_bytes()
    setup_sectors = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[(setup_sectors + 1) * 512 + offset :][:length]
    if payload.startswith(b"\xfd7zXZ\0"):
        data = lzma.LZMADecompressor().decompress(payload)
    target.write_bytes(data)


def _take_modules(library: Path, target: Path) -> None:
    known = {file.name.split(".")[0].replace("-", "_"): file for file in library.rglob("*.ko*")}
    order: list[str] = []

    def take(name: str) -> None:
        if name not in known or name in order:  # what is not there is built into the kernel
            return
        code = _module(known[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", code)
        for other in filter(None, needs.group(1).decode().replace("-", "_").split(",") if needs else []):
            take(other)
        order.append(name)
        (target / f"{name}.ko").write_bytes(code)

    for name in MODULES:
        take(name)
    (target / "order").write_text("".join(f"{name}.ko\n" for name in order))


def _module(file: Path) -> bytes:
    """The module without its signature: checking signatures takes 0.7 s of the box's start, and the package's was checked already."""
    data = lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
    if not data.endswith(SIGNATURE_MARK):
        return data
    end = len(data) - len(SIGNATURE_MARK)
    return data[: end - 12 - struct.unpack(">I", data[end - 4 : end])[0]]


def _initramfs(folder: Path, kernel: Path) -> Path:
    sources = sorted([*AGENT.glob("*.cpp"), *AGENT.glob("*.h")])
    recipe = hashlib.sha256(b"".join(file.read_bytes() for file in sources) + kernel.name.encode()).hexdigest()[:12]
    target = folder / f"initramfs-{recipe}.cpio"
    if not target.exists():
        with Phase(TOOL, "building the box's agent (once)…"), tempfile.TemporaryDirectory(dir=folder) as scratch:
            agent = Path(scratch) / "agent"
            command = ["clang++-19", "-std=c++23", "-O2", "-static", "-o", agent, *(file for file in sources if file.suffix == ".cpp")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failure(f"the box's agent does not compile:\n{done.stderr}")
            archive = Path(scratch) / "initramfs"
            archive.write_bytes(_archive(agent, kernel))
            archive.rename(target)
    return target


def _archive(agent: Path, kernel: Path) -> bytes:
    """A cpio archive in the format the kernel reads ("newc")."""
    directory, file, device = 0o040755, 0o100755, 0o020600
    entries = [("dev", directory, b"", (0, 0)), ("dev/console", device, b"", (5, 1)), ("modules", directory, b"", (0, 0))]
    entries.append(("init", file, agent.read_bytes(), (0, 0)))
    for part in [kernel / "order", *kernel.glob("*.ko")]:
        entries.append((f"modules/{part.name}", file, part.read_bytes(), (0, 0)))
    entries.append(("TRAILER!!!", 0, b"", (0, 0)))
    result = bytearray()
    for number, (name, mode, data, (major, minor)) in enumerate(entries, 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0)
        result += b"070701" + b"".join(b"%08x" % value for value in fields) + name.encode() + b"\0"
        result += b"\0" * (-len(result) % 4) + data
        result += b"\0" * (-len(result) % 4)
    return bytes(result)
