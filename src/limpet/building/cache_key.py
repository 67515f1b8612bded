"""The key of a bundle in the cache: everything that determines its bytes, and nothing else.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from limpet.loading.asked import NOTHING, Wants
from limpet.planning.options import Options
from limpet.tools import pinned
from limpet.tools.inputs import signature, signatures

_PACKAGE = Path(__file__).parents[1]
_NAMES = "utf-8", "surrogateescape"


class Keys(NamedTuple):
    """Of a bundle, and of all that differ from it in what their single files hold, nothing else.

    ``given`` is what files that come last are now: it belongs to the key of a bundle as well.
    ``kin`` is of all that differ in which these are, too, but not in the folders of the guest's.
    """

    bundle: str
    outline: str
    given: str = ""
    kin: str = ""


def keys_of(
    program: str,
    name: str,
    options: Options,
    *,
    root: Path | None,
    files: Mapping[str, Path],
    keep_times: bool,
    wants: Wants = NOTHING,
    given: Mapping[str, Path] | None = None,
) -> Keys:
    """Keys for the bundle of a program.

    A tree counts by what ``lstat`` says of every file, times of change included; Limpet and the
    toolchain by their own files, so that a checkout that is worked on is never taken for another.

    Args:
        program: its SHA-256, in hex.
        name: its name, which the bundle carries.
        options: with nothing left open.
        root: a folder to pack.
        files: single files over it, by their path in the guest.
        keep_times: whether they keep their times.
        wants: what an interpreter is to have beside.
        given: files that come last, which are in no key but that of the outline.

    Raises:
        OSError: something of the tree is missing or unreadable.
        ToolchainError: there is no toolchain.
    """
    words = (program, name, options, keep_times, pinned.version(), wants)
    state = hashlib.sha256(repr(words).encode())
    state.update(signature(str(pinned.zig()), ""))
    for line in own_files():
        state.update(line)
    for line in signatures(root) if root else ():
        state.update(b"root" + line)
    outline = state.copy()
    for guest, path in sorted(files.items()):
        state.update(signature(os.path.realpath(path), f"file {guest}"))
        outline.update(repr((guest, os.path.abspath(path))).encode(*_NAMES))
    last, kin = b"", outline.copy()
    kin.update(repr(sorted(map(os.path.dirname, given or ()))).encode(*_NAMES))
    for guest, path in sorted((given or {}).items()):
        name = repr(("given", guest, os.path.abspath(path)))
        last += signature(os.path.realpath(path), name)
        outline.update(name.encode(*_NAMES))
    return Keys(
        f"bundle-{state.hexdigest()}",
        f"last-{outline.hexdigest()}",
        last.decode(*_NAMES),
        f"kin-{kin.hexdigest()}",
    )


def own_files() -> Iterator[bytes]:
    """Limpet's files; its folders change whenever Python puts a ``__pycache__`` there."""
    for path, folders, files in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            whole = os.path.join(path, name)
            yield signature(whole, whole)
