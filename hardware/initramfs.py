"""A first file system as the kernel takes it: the ``newc`` form of cpio archives.

Source: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_DIRECTORY, _FILE = 0o040755, 0o100755


class Archive:
    """Files by their paths in the machine, all of them executable."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def add(self, path: str, content: bytes) -> None:
        """A file; folders come by themselves."""
        self._files[path.lstrip("/")] = content

    def add_program(self, path: Path) -> None:
        """A program of this host at its own path, with the libraries that it is linked with."""
        self.add(str(path), path.read_bytes())
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", said):
            self.add(library, Path(library).read_bytes())

    def pack(self) -> bytes:
        """The archive."""
        folders = {str(each) for path in self._files for each in Path(path).parents} - {"."}
        entries = [(name, _DIRECTORY, b"") for name in sorted(folders)]
        entries += [(name, _FILE, content) for name, content in sorted(self._files.items())]
        return b"".join(_entries([*entries, ("TRAILER!!!", 0, b"")]))


def _entries(entries: Iterable[tuple[str, int, bytes]]) -> Iterable[bytes]:
    for number, (name, mode, content) in enumerate(entries):
        label = name.encode() + b"\0"
        words = (number + 1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0)
        head = b"070701" + b"".join(b"%08X" % word for word in words) + label
        yield head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
