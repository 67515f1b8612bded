"""Which files of the library OS are compiled as one.

A compiler needs as long to begin with a file, and with the headers of its folder, as it needs for
some pages of C.  So the files of a folder become one text, in the order of their names; files that
give one name to two things, each for itself, come into different texts of the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

_STATIC = re.compile(r"^static\b[^;={}()]*?\b(\w+)\s*[(\[=;]", re.MULTILINE)
_TAG = re.compile(r"^(?:struct|union|enum)\s+(\w+)\s*\{", re.MULTILINE)
_ENUM = re.compile(r"^(?:static )?enum\b[^{;]*\{([^}]*)\}", re.MULTILINE)
_NAMED = re.compile(r"(?:^|,)\s*(\w+)")
_MACRO = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_IN_BRACKETS = re.compile(r"\([^()]*\)")


@dataclass
class _Text:
    names: set[str] = field(default_factory=set)
    sources: list[Path] = field(default_factory=list)


def texts(root: Path, sources: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The texts of C that ``sources`` become: where each is to be, and what it is.

    What is wrong in a file is told as a line of that file.
    """
    for folder, files in groupby(sorted(sources), key=lambda each: each.parent):
        for number, each in enumerate(_apart(files), 1):
            name = folder.relative_to(root) / f"together{number}.c"
            yield str(name), "".join(map(_part, each))


def _apart(files: Iterable[Path]) -> Iterator[Sequence[Path]]:
    """Files that can be one text: each goes to the first that has none of its names."""
    found: list[_Text] = []
    for path in files:
        names = set(_own_names(_COMMENT.sub("", path.read_text(encoding="utf-8"))))
        place = next((each for each in found if not each.names & names), None)
        if place is None:
            place = _Text()
            found.append(place)
        place.names |= names
        place.sources.append(path)
    return (each.sources for each in found)


def _own_names(text: str) -> Iterator[str]:
    """What a file defines for itself alone, macros apart: those end with it."""
    for pattern in (_STATIC, _TAG):
        yield from (each[1] for each in pattern.finditer(text))
    for each in _ENUM.finditer(text):
        yield from _NAMED.findall(_IN_BRACKETS.sub("", each[1]))


def _part(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    ends = "".join(f"#undef {each}\n" for each in dict.fromkeys(_MACRO.findall(text)))
    return f'#line 1 "{path}"\n{text}{ends}'
