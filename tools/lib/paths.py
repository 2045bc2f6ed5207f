"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
RELEASE = BUILD / "release"
VMM = RELEASE / "vmm" / "vmm"


def guest(preset: str) -> Path:
    return BUILD / preset / "guest" / "exo.efi"


GUEST = guest("release")


def cache() -> Path:
    """The folder for what is fetched once and kept between clones (EXO_CACHE, or under the user's cache folder)."""
    chosen = os.environ.get("EXO_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "exo-os"


def firmware_cache() -> Path | None:
    """Where `vmm run` keeps warm firmware when it is not told another folder: vmm/cli/firmware_cache.h."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = os.environ.get("HOME", "")
    if base.startswith("/"):
        return Path(base) / "exo-os" / "firmware"
    return Path(home) / ".cache" / "exo-os" / "firmware" if home.startswith("/") else None
