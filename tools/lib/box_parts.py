"""What the kvm-boxes are made of, fetched once and cached: a QEMU whose SVM emulation is sound, Debian kernels, an initramfs with our agent.

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

import cpio
import kernel_modules
from paths import ROOT, cache
from private_apt import PrivateApt, codename, unpack
from qemu_repair import PATCHES, repair
from report import Failure, Phase, say

TOOL = "kvm-box"
OLDEST_QEMU = 9
AGENT = ROOT / "tools" / "box"
PINS = AGENT / "qemu.pins"
REPAIRED = "repaired"  # a file beside a QEMU that is


@dataclass
class Qemu:
    binary: Path
    repaired: bool  # whether its virtual CPUs can be trusted with a thread each (qemu_repair.py)
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KernelRecipe:
    package: str  # one that depends on the newest kernel of its kind
    modules: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"kernel-{hashlib.sha256(' '.join((self.package, *self.modules)).encode()).hexdigest()[:12]}"


@dataclass
class Kernel:
    vmlinux: Path
    initramfs: Path  # the modules and our agent


@dataclass
class Parts:
    qemu: Qemu
    kernel: Kernel


KERNEL = KernelRecipe("linux-image-amd64", ("virtio_pci", "virtio_blk", "virtio_console", "kvm_amd", "9pnet_virtio", "9p"))


def parts() -> Parts:
    """Everything a box under QEMU needs, fetched and built if it is not there yet."""
    with _place() as folder:
        return Parts(_installed_qemu() or _private_qemu(folder), _made(KERNEL, folder))


def kernel(recipe: KernelRecipe) -> Kernel:
    with _place() as folder:
        return _made(recipe, folder)


def _made(recipe: KernelRecipe, folder: Path) -> Kernel:
    unpacked = _kernel(folder, recipe)
    return Kernel(unpacked / "vmlinux", _initramfs(folder, unpacked))


@contextmanager
def _place():
    """The folder of the parts, to one process at a time."""
    folder = cache() / "box"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"the cache folder {folder} cannot be made ({error.strerror}); choose another with EXO_CACHE") from error
    with one_at_a_time(folder):
        yield folder


@contextmanager
def one_at_a_time(folder: Path):
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def made_whole(target: Path):
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
    return Qemu(Path(found), repaired=False) if found and _version(Path(found)) >= OLDEST_QEMU else None


def _pins() -> list[tuple[str, str, str]]:
    """(package, version, SHA-256) for each package of the pinned QEMU."""
    lines = PINS.read_text().splitlines()
    return [tuple(line.split()) for line in lines if line and not line.startswith("#")]


def _private_qemu(folder: Path) -> Qemu:
    made_of = hashlib.sha256(PINS.read_bytes() + b"".join(patch.after for patch in PATCHES))
    target = folder / f"qemu-{made_of.hexdigest()[:12]}"
    if not target.exists():
        with Phase(TOOL, f"fetching a newer QEMU than this Debian's, for {folder} only (once)…"), made_whole(target) as scratch:
            _fetch_qemu(_apt(folder, backports=True), scratch)
    binary = target / "usr/bin/qemu-system-x86_64"
    _check_libraries(binary)
    return Qemu(
        binary,
        (target / REPAIRED).exists(),
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
    if repair(scratch / "usr/bin/qemu-system-x86_64"):
        (scratch / REPAIRED).touch()
    else:
        say(TOOL, "this QEMU is another build than the one whose races between virtual CPUs can be repaired: they will share a thread, which is slower")
    if _version(scratch / "usr/bin/qemu-system-x86_64") < OLDEST_QEMU:
        raise Failure(f"{codename()}-backports has no QEMU {OLDEST_QEMU} or newer that runs here")


def _check_libraries(binary: Path) -> None:
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if missing:
        raise Failure(f"the box's QEMU lacks {', '.join(missing)}; `tools/setup run` installs the libraries it needs")


def _kernel(folder: Path, recipe: KernelRecipe) -> Path:
    """A folder with vmlinux and the modules, in loading order in `order`."""
    target = folder / recipe.name
    if not target.exists():
        with Phase(TOOL, "fetching a Debian kernel for the box (once)…"), made_whole(target) as scratch:
            apt = _apt(folder, backports=_installed_qemu() is None)
            package = next(name for name in apt.depends(recipe.package) if name.startswith("linux-image-"))
            tree = scratch / "tree"
            unpack(apt.download(package, tree), tree)
            _take_kernel(next(tree.glob("boot/vmlinuz-*")), scratch / "vmlinux")
            kernel_modules.take(next(tree.glob("**/lib/modules/*")), scratch, recipe.modules)
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


def _initramfs(folder: Path, unpacked: Path) -> Path:
    sources = sorted([*AGENT.glob("*.cpp"), *AGENT.glob("*.h")])
    recipe = hashlib.sha256(b"".join(file.read_bytes() for file in sources) + unpacked.name.encode()).hexdigest()[:12]
    target = folder / f"initramfs-{recipe}.cpio"
    if not target.exists():
        with Phase(TOOL, "building the box's agent (once)…"), tempfile.TemporaryDirectory(dir=folder) as scratch:
            agent = Path(scratch) / "agent"
            command = ["clang++-19", "-std=c++23", "-O2", "-static", "-o", agent, *(file for file in sources if file.suffix == ".cpp")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failure(f"the box's agent does not compile:\n{done.stderr}")
            archive = Path(scratch) / "initramfs"
            archive.write_bytes(cpio.archive([*cpio.CONSOLE, *cpio.modules(unpacked), cpio.Entry("init", data=agent.read_bytes())]))
            archive.rename(target)
    return target
