"""The key of a bundle in the cache, from what it is made of, without making or reading much.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def bundle_key(
    guest: Path, root: Path | None, files: Mapping[str, Path], options: Sequence[object]
) -> str:
    """A key for the bundle of ``guest`` with these inputs and options.

    The guest counts by its content; a tree by what ``lstat`` says of every file, times of change
    included; Limpet itself by its own files.

    Raises:
        OSError: an input is missing or unreadable.
    """
    state = hashlib.sha256(repr(options).encode())
    for line in _signatures(_PACKAGE):
        state.update(line)
    if guest.is_dir():
        for line in _signatures(guest):
            state.update(line)
    elif guest.suffix == ".c":
        for each in sorted(guest.parent.glob("*.h")):
            state.update(_signature(str(each)))
        state.update(guest.read_bytes())
    else:
        state.update(guest.read_bytes() if guest.is_file() else b"")
    if root is not None:
        state.update(b"root")
        for line in _signatures(root):
            state.update(line)
    for name, path in sorted(files.items()):
        state.update(f"file {name} ".encode() + _signature(str(path.resolve())))
    return f"bundle-{state.hexdigest()}"


def _signatures(folder: Path) -> Iterator[bytes]:
    yield _signature(str(folder))
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted([*files, *folders]):
            yield _signature(os.path.join(path, name))


def _signature(path: str) -> bytes:
    status = os.lstat(path)
    fields = (
        path,
        status.st_mode,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    return repr(fields).encode()
