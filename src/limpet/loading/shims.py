"""What a shim of pyenv stands for: a script that chooses a version whenever it runs.

The version is chosen as ``pyenv-version-name`` does: by ``PYENV_VERSION``, by the nearest file
``.python-version`` above the working directory, or by the file ``version`` of its own folder.
This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LOOKED_AT = 4096
"""Bytes of a file: a shim has less than 500, a file that names versions a line each."""

_ROOT = re.compile(rb'^export PYENV_ROOT="([^"$`\\]+)"$', re.MULTILINE)
_RUNS = re.compile(rb'^exec "[^"]+/pyenv" exec "\$program" "\$@"$', re.MULTILINE)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")


def _start(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(_LOOKED_AT)
    except OSError:
        return b""


def is_shim(path: str) -> bool:
    """Whether the file at ``path`` is one."""
    text = _start(path)
    return text.startswith(b"#!") and bool(_ROOT.search(text) and _RUNS.search(text))


def chosen(path: str) -> str | None:
    """The program that the shim at ``path`` would run, ``None`` where pyenv has chosen none."""
    said = _ROOT.search(_start(path))
    root = os.fsdecode(said[1]) if said else ""
    for version in _versions(root) if root else ():
        found = Path(root, "versions", version, "bin", os.path.basename(path))
        if _VERSION.match(version) and os.access(found, os.X_OK):
            return str(found)
    return None


def _versions(root: str) -> Iterator[str]:
    """Those that the first of its settings names, in their order."""
    named = os.environ.get("PYENV_VERSION")
    if named:
        yield from named.split(":")
        return
    here = Path.cwd()
    nearest = [each / ".python-version" for each in (here, *here.parents)]
    for file in (*nearest, Path(root, "version")):
        words = _start(file).decode("utf-8", "replace").split()
        if words:
            yield from words
            return
