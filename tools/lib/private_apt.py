"""Debian packages fetched and unpacked into a folder of our own: nothing is installed, the system's lists stay as they are.

The mirror is the one the machine itself uses; apt verifies everything by Debian's own signatures."""

import os
import re
import subprocess
from pathlib import Path

from report import Failure

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def codename() -> str:
    """The Debian release this machine runs, such as bookworm."""
    text = Path("/etc/os-release").read_text()
    found = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    if found.get("ID") != "debian" or not found.get("VERSION_CODENAME"):
        raise Failure("this machine runs no Debian, so the box's parts cannot be taken from its packages")
    return found["VERSION_CODENAME"]


class PrivateApt:
    def __init__(self, folder: Path, backports: bool):
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text(self._sources(backports))
        (folder / "apt.conf").write_text(
            f'Dir::State "{folder}/state";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "-";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
        )

    @staticmethod
    def _sources(backports: bool) -> str:
        release = codename()
        listed = subprocess.run(
            ["apt-get", "indextargets", "--no-release-info", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
            capture_output=True, text=True, check=False,
        ).stdout
        sites = {suite: site for site, suite, component in map(str.split, listed.splitlines()) if component == "main"}
        if release not in sites:
            raise Failure(f"apt knows no source for {release}; see /etc/apt/sources.list")
        if backports:
            sites[f"{release}-backports"] = sites[release]
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        wanted = (release, f"{release}-security", f"{release}-backports")
        return "".join(f"deb {signed}{sites[suite]} {suite} main\n" for suite in wanted if suite in sites)

    def _run(self, *command: str, where: Path | None = None) -> str:
        environment = os.environ | {"APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
            raise Failure(f"`{' '.join(command[:2])}` failed: {reasons[0] if reasons else 'no reason given'}")
        return done.stdout

    def update(self) -> None:
        self._run("apt-get", "-q", "update", "--error-on=any")

    def versions(self, package: str) -> list[str]:
        """What the sources have, newest first."""
        return [line.split("|")[1].strip() for line in self._run("apt-cache", "madison", package).splitlines()]

    def depends(self, package: str) -> list[str]:
        lines = self._run("apt-cache", "depends", "--no-recommends", "--no-suggests", package).splitlines()
        return [line.split()[1] for line in lines if line.strip().startswith("Depends:")]

    def download(self, package: str, into: Path) -> Path:
        """`package` or `package=version`; returns the package file."""
        into.mkdir(parents=True, exist_ok=True)
        before = set(into.iterdir())
        self._run("apt-get", "-q", "download", package, where=into)
        return (set(into.iterdir()) - before).pop()


def unpack(package: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg", "-x", str(package), str(into)], check=True)
