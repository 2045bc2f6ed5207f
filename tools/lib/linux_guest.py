"""A stock Linux as a guest: Debian's kernel and programs out of its packages, fetched once and cached; nothing is installed.

The root disk holds busybox, fio and two tools of util-linux. What a boot is to do is a shell script in its initial RAM disk."""

import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cpio
import kernel_modules
from box_parts import made_whole, one_at_a_time
from paths import cache
from private_apt import PrivateApt, unpack
from report import Failure, Phase

TOOL = "linux-guest"
KERNEL = "linux-image-cloud-amd64"
MODULES = ("virtio_pci", "virtio_blk", "virtio_rng", "crc32c_intel")
PROGRAMS = ("busybox-static", "fio", "util-linux", "systemd-boot-efi")
# The libraries that fio and util-linux's tools ask for, and those that these ask for.
LIBRARIES = """libacl1 libaio1 libargon2-1 libblkid1 libboost-iostreams1.74.0 libboost-thread1.74.0 libbz2-1.0 libc6 libcap2 libcom-err2
    libcryptsetup12 libdaxctl1 libdevmapper1.02.1 libffi8 libfmt9 libgcc-s1 libgfapi0 libgfrpc0 libgfxdr0 libglusterfs0 libgmp10 libgnutls30
    libgssapi-krb5-2 libhogweed6 libibverbs1 libicu72 libidn2-0 libjson-c5 libk5crypto3 libkeyutils1 libkmod2 libkrb5-3 libkrb5support0
    liblzma5 libnbd0 libndctl6 libnettle8 libnl-3-200 libnl-route-3-200 libnuma1 libp11-kit0 libpcre2-8-0 libpmem1 libpmemblk1 librados2
    librbd1 librdmacm1 libselinux1 libssl3 libstdc++6 libtasn1-6 libtirpc3 libudev1 libunistring2 libuuid1 libxml2 libzstd1 zlib1g""".split()
BINARIES = ("usr/bin/fio", "sbin/blkdiscard", "usr/bin/fallocate")
ROOT_SIZE = "144M"
RECIPE = "1"  # another one makes everything again

INIT = """#!/bin/busybox sh
cd /
/bin/busybox mkdir -p proc sys root
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done < /modules/order
mount -o ro -t ext4 /dev/vda /root
for kind in proc sysfs:sys tmpfs:run tmpfs:tmp; do mount -t "${kind%:*}" none "/root/${kind#*:}"; done
mount --move /dev /root/dev
cp /script.sh /root/run/
exec switch_root /root /bin/sh /run/script.sh
"""


@dataclass(frozen=True)
class LinuxGuest:
    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def root(self) -> Path:
        """An ext4 file system for /dev/vda."""
        return self.folder / "root.img"

    @property
    def boot_loader(self) -> Path:
        return self.folder / "systemd-bootx64.efi"

    def initramfs(self, script: str) -> bytes:
        """Mounts the root disk and runs `script` there, with busybox's sh."""
        busybox = (self.folder / "busybox").read_bytes()
        entries = [*cpio.CONSOLE, *cpio.modules(self.folder), cpio.Entry("bin", cpio.DIRECTORY), cpio.Entry("bin/busybox", data=busybox)]
        entries += [cpio.Entry("init", data=INIT.encode()), cpio.Entry("script.sh", data=script.encode())]
        return cpio.archive(entries)


def guest() -> LinuxGuest:
    target = _target()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(target.parent):
            if not target.exists():
                with Phase(TOOL, "fetching a Debian kernel and fio for a guest (once, about 100 MB)…"), made_whole(target) as scratch:
                    _make(scratch)
    return LinuxGuest(target)


def why_missing() -> str | None:
    return None if _target().exists() else "the Linux guest's packages were not fetched"


def _target() -> Path:
    return cache() / "linux-guest" / RECIPE


def _make(folder: Path) -> None:
    tree = folder / "tree"
    apt = PrivateApt(folder / "apt", backports=False)
    apt.update()
    kernel = next(name for name in apt.depends(KERNEL) if name.startswith("linux-image-"))
    for package in (kernel, *PROGRAMS, *LIBRARIES):
        unpack(apt.download(package, folder / "packages"), tree)
    shutil.copyfile(next(tree.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    shutil.copyfile(tree / "bin/busybox", folder / "busybox")
    shutil.copyfile(tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi", folder / "systemd-bootx64.efi")
    kernel_modules.take(next(tree.glob("**/lib/modules/*")), folder, MODULES)
    _make_root(tree, folder / "files", folder / "root.img")
    for made in ("tree", "files", "apt", "packages"):
        shutil.rmtree(folder / made)


def _make_root(tree: Path, files: Path, image: Path) -> None:
    for name in ("bin", "dev", "proc", "sys", "run", "tmp", "lib64", "lib"):
        (files / name).mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", files / "bin/busybox")
    known = {file.name: file for folder in ("lib", "usr/lib") for file in (tree / folder).rglob("*.so*")}
    wanted = [tree / binary for binary in BINARIES]
    for binary in wanted:
        shutil.copy(binary, files / "bin" / binary.name)
    applets = subprocess.run([tree / "bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in set(applets) - {binary.name for binary in wanted} - {"busybox"}:
        (files / "bin" / applet).symlink_to("busybox")
    taken: set[str] = set()
    while wanted:
        for name in _needs(wanted.pop()) - taken:
            if name not in known:
                raise Failure(f"the Linux guest's programs need {name}, which none of its packages has")
            taken.add(name)
            library = known[name].resolve()
            shutil.copy(library, files / ("lib64" if name.startswith("ld-linux") else "lib") / name)
            wanted.append(library)
    command = ["mke2fs", "-q", "-t", "ext4", "-L", "exo-linux", "-d", str(files), str(image), ROOT_SIZE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"mke2fs could not make the Linux guest's root disk: {done.stderr.strip()}")


def _needs(binary: Path) -> set[str]:
    listed = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", listed))


def esp_disk(linux: LinuxGuest, image: Path, script: str, command_line: str) -> None:
    """A partitioned disk whose EFI system partition holds systemd-boot, the kernel and an initial RAM disk."""
    sector, start, size = 512, 2048, 40 << 20
    partition, initrd, entry = (image.with_suffix(end) for end in (".esp", ".initrd", ".conf"))
    initrd.write_bytes(linux.initramfs(script))
    entry.write_text(f"title Linux\nlinux /vmlinuz\ninitrd /initrd\noptions {command_line}\n")
    with open(partition, "wb") as file:
        file.truncate(size)
    _run("mkfs.vfat", "-F", "32", "-n", "ESP", str(partition))
    _run("mmd", "-i", str(partition), "::EFI", "::EFI/BOOT", "::loader", "::loader/entries")
    for source, target in ((linux.boot_loader, "EFI/BOOT/BOOTX64.EFI"), (linux.kernel, "vmlinuz"), (initrd, "initrd"),
                           (entry, "loader/entries/linux.conf")):
        _run("mcopy", "-i", str(partition), str(source), f"::{target}")
    record = bytearray(sector)
    struct.pack_into("<BBBBBBBBII", record, 446, 0, 0, 2, 0, 0xEF, 0xFF, 0xFF, 0xFF, start, size // sector)
    record[510:] = b"\x55\xaa"
    with open(image, "wb") as file:
        file.write(record)
        file.seek(start * sector)
        file.write(partition.read_bytes())
    for made in (partition, initrd, entry):
        made.unlink()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
