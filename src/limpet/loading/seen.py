"""What of the host a dynamic program's shared objects were found by, and whether it is the same.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from limpet.formats import elf
from limpet.tools.inputs import ABSENT, signature_of

_HEADERS = 256
"""Program headers that are looked at."""


def is_dynamic(path: Path) -> bool:
    """Whether the program at ``path`` has a loader; ``False`` for what is no program."""
    try:
        with path.open("rb") as stream:
            start = stream.read(elf.HEADER_SIZE)
            if len(start) < elf.HEADER_SIZE or not start.startswith(elf.IDENT):
                return False
            header = elf.Header.unpack(start)
            stream.seek(header.phoff)
            count = min(header.phnum, _HEADERS)
            table = stream.read(count * elf.PROGRAM_SIZE)
    except (OSError, ValueError):
        return False
    places = range(0, len(table) - elf.PROGRAM_SIZE + 1, elf.PROGRAM_SIZE)
    kinds = {elf.ProgramHeader.unpack(table, at).kind for at in places}
    return {elf.PT_INTERP, elf.PT_DYNAMIC} <= kinds  # unikernels have the first alone


GLOB = "*"
"""Before a pattern: no path that is looked at starts with it."""


def matches(pattern: str) -> list[str]:
    """The paths that ``pattern`` matches, hidden ones included where it is ``*``."""
    folder, name = os.path.split(pattern)
    if glob.has_magic(folder) or "**" in name or not glob.has_magic(name) or not folder:
        found = glob.iglob(pattern, recursive=True, include_hidden=True)
        return sorted(dict.fromkeys(each.rstrip("/") for each in found))
    try:
        names = os.listdir(folder)  # most are of this kind, and glob takes five times as long
    except OSError:
        return []
    matching = names if name == "*" else fnmatch.filter(names, name)
    return sorted(os.path.join(folder, each) for each in matching)


def state_of(path: str) -> str:
    """What ``lstat`` says of it; of a folder only that it is one, whatever is put into it.

    Of a pattern behind :data:`GLOB` it is which paths that matches.
    """
    if path.startswith(GLOB):
        names = "\0".join(matches(path.removeprefix(GLOB)))
        return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()
    try:
        status = os.lstat(path)
        return "folder" if stat.S_ISDIR(status.st_mode) else signature_of(status, "").decode()
    except (OSError, ValueError):
        return ABSENT


def written(seen: Mapping[str, str]) -> str:
    """As text for the cache."""
    return "\0".join(f"{path}\0{state}" for path, state in sorted(seen.items()))


def read(text: str) -> dict[str, str]:
    """What :func:`written` wrote."""
    words = text.split("\0") if text else []
    return dict(zip(words[::2], words[1::2], strict=True))


def same(text: str) -> bool:
    """Whether everything is as :func:`written` has it."""
    words = text.split("\0")
    if len(words) % 2:
        return not text
    return all(state_of(path) == state for path, state in zip(words[::2], words[1::2], strict=True))
