"""Debian's kernel and the modules that KVM needs, fetched as a package and kept."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile

from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

_HELD: list[Entry] = []
"""What stays in the cache until this process ends."""

MODULES = ("kvm-amd", "tun", "dm-mod")


def fetch() -> Path:
    """The unpacked kernel package: the one that ``linux-image-amd64`` is here."""
    said = subprocess.run(
        ["apt-cache", "depends", "--important", "linux-image-amd64"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    package = next(word for word in said.split() if word.startswith("linux-image-6"))

    def unpack(folder: Path) -> None:
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
        archive.unlink()

    key = f"kernel-{hashlib.sha256(package.encode()).hexdigest()}"
    entry = Cache.default().folder(key, unpack)
    _HELD.append(entry)
    return entry.path


def image(kernel: Path) -> Path:
    """The file that boots."""
    (found,) = (kernel / "boot").glob("vmlinuz-*")
    return found


def modules(kernel: Path) -> list[Path]:
    """:data:`MODULES` behind what they need, in the order in which they are inserted."""
    known = {path.stem.replace("_", "-"): path for path in kernel.rglob("*.ko")}
    ordered: list[Path] = []

    def add(name: str) -> None:
        path = known[name.replace("_", "-")]
        for needed in _depends(path):
            add(needed)
        if path not in ordered:
            ordered.append(path)

    for name in MODULES:
        add(name)
    return ordered


def _depends(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".modinfo")
        assert section is not None, f"{path} is no kernel module"
        for entry in section.data().split(b"\0"):
            if entry.startswith(b"depends=") and entry != b"depends=":
                yield from entry.removeprefix(b"depends=").decode().split(",")
