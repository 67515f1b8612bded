"""What a compiler would read instead, or as well, if it were there.

A header that appears in a folder that is searched earlier is another program.  The compiler only
says what it found, so this says where it may have looked: rather too many places than too few.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from limpet.tools.pinned import zig

_HAS_INCLUDE = re.compile(rb'__has_(?:include|embed)(?:_next)?\s*\(\s*["<]([^">\n]+)[">]')
_INCBIN = re.compile(rb'\.incbin\s+\\?"([^"\\\n]+)')
_INCLUDES = ("-I", "-iquote", "-isystem", "-idirafter")
_SYSTEM = re.compile(r"/(?:libc/include/[^/]+|include)/(.+)")


def would_be_read(
    read: Sequence[str], flags: Sequence[str], absolute: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """Files that are not there and would be read, and files that are read unseen by the compiler.

    Args:
        read: absolute paths of what compiler and linker read.
        flags: what the compiler was told.
        absolute: from a path as the compiler sees it.
    """
    library = f"{zig().parent}/lib"
    own = [path for path in read if not path.startswith(library)]
    folders = dict.fromkeys(os.path.dirname(path) for path in own)
    folders |= dict.fromkeys(map(absolute, _given(flags, _INCLUDES)))
    names = set(_names(own, folders))
    names |= {match[1] for path in read if (match := _SYSTEM.match(path.removeprefix(library)))}
    data = []
    for path in own:
        text = _bytes(path)
        names |= {os.fsdecode(name) for name in _HAS_INCLUDE.findall(text)}
        data += [absolute(os.fsdecode(name)) for name in _INCBIN.findall(text)]
    looked = [os.path.join(folder, name) for folder in folders for name in sorted(names)]
    looked += [absolute(each) for each in _libraries(flags)]
    missing = [path for path in dict.fromkeys(looked) if not os.path.exists(path)]
    return missing, [path for path in data if os.path.exists(path)]


def _given(flags: Sequence[str], options: Iterable[str]) -> Iterator[str]:
    """The values of ``options``, joined to them or behind them."""
    for word, following in zip(flags, [*flags, ""][1:], strict=True):
        for option in options:
            if word == option:
                yield following
            elif word.startswith(option):
                yield word.removeprefix(option)


def _names(own: Sequence[str], folders: Iterable[str]) -> Iterator[str]:
    """What an ``#include`` may have called each file."""
    for folder in folders:
        for path in own:
            if path.startswith(f"{folder}/"):
                yield path[len(folder) + 1 :]


def _libraries(flags: Sequence[str]) -> Iterator[str]:
    for folder in _given(flags, ("-L",)):
        for name in _given(flags, ("-l",)):
            yield os.path.join(folder, f"lib{name}.a")
            yield os.path.join(folder, f"lib{name}.so")


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if os.path.isfile(path) else b""
    except OSError:
        return b""
