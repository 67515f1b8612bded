"""The modules that lie beside a script and that it names, as a cold start packs them."""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.loading.interpreters import MOST_TEXT, Interpreter, imported


@dataclass(frozen=True)
class Beside:
    """A script with what lies beside it, by path in the guest; and names of modules elsewhere."""

    files: Mapping[str, Path]
    elsewhere: frozenset[str]
    own: Mapping[str, bytes]
    """What a module beside it does when it is imported, by its name."""


def beside(texts: Mapping[str, Path], which: Interpreter) -> Beside:
    """Follow the imports of ``texts``, which are files of this host by their path in the guest."""
    files = dict(texts)
    elsewhere: set[str] = set()
    own: dict[str, bytes] = {}
    waiting = [
        (host, posixpath.dirname(guest), os.path.dirname(os.path.abspath(host)))
        for guest, host in texts.items()
    ]
    while waiting:
        text, guest, host = waiting.pop()
        for name in sorted(imported(_read(text), which) - elsewhere - set(own)):
            found = list(_module(host, name, which))
            if not found:
                elsewhere.add(name)
                continue
            own[name] = _first(found, host, name)
            for each in found:
                files.setdefault(posixpath.join(guest, os.path.relpath(each, host)), Path(each))
            waiting += [(Path(each), guest, host) for each in found if each.endswith(which.suffix)]
    return Beside(files, frozenset(elsewhere), own)


def _read(text: Path) -> bytes:
    try:
        with text.open("rb") as stream:
            return stream.read(MOST_TEXT)
    except OSError:
        return b""


def _module(folder: str, name: str, which: Interpreter) -> Iterator[str]:
    """The files in ``folder`` that are that module; no link leads out of there."""
    home = os.path.join(os.path.realpath(folder), "")
    found = glob.glob(f"{glob.escape(folder)}/{glob.escape(name)}.*")
    files = sorted(each for each in found if each.endswith(which.suffixes))
    if not files:
        for at, folders, names in os.walk(f"{folder}/{name}"):
            folders[:] = sorted(set(folders) - {"__pycache__", *which.unneeded})
            files += sorted(os.path.join(at, each) for each in names)
    yield from (each for each in files if os.path.realpath(each).startswith(home))


def _first(found: list[str], folder: str, name: str) -> bytes:
    """What is run when it is imported; nothing that can be read where that is no text."""
    for each in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py"):
        if each in found:
            return _read(Path(each))
    return b"?"
