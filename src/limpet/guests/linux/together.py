"""Which files of the library OS are compiled as one.

A compiler needs as long to begin with a file, and with the headers of its folder, as it needs for
some pages of C.  So the files of a folder become one text, in the order of their names.  A file
comes into another text of the folder where a name that it has for itself is one that another file
has for itself, or that a header of another file gives to something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path

_STATIC = re.compile(r"^static\b[^;={}()]*?\b(\w+)\s*[(\[=;]", re.MULTILINE)
_TAG = re.compile(r"^(?:struct|union|enum)\s+(\w+)\s*\{", re.MULTILINE)
_ENUM = re.compile(r"^(?:static )?enum\b[^{;]*\{([^}]*)\}", re.MULTILINE)
_NAMED = re.compile(r"(?:^|,)\s*(\w+)")
_MACRO = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_GIVEN = re.compile(r"\b(\w+)\s*[(\[;=]")
_IN_BRACES = re.compile(r"\{[^{}]*\}")
_DIRECTIVE = re.compile(r"^\s*#(?:.*\\\n)*.*$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_IN_BRACKETS = re.compile(r"\([^()]*\)")


@dataclass
class _Text:
    own: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    sources: list[Path] = field(default_factory=list)


def texts(root: Path, sources: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The texts of C that ``sources`` become: where each is to be, and what it is.

    What is wrong in a file is told as a line of that file.
    """
    for folder, files in groupby(sorted(sources), key=lambda each: each.parent):
        for number, each in enumerate(_apart(root, files), 1):
            name = folder.relative_to(root) / f"together{number}.c"
            yield str(name), "".join(map(_part, each))


def _apart(root: Path, files: Iterable[Path]) -> Iterator[Sequence[Path]]:
    """Files that can be one text: each goes to the first in which no name has two meanings."""
    found: list[_Text] = []
    for path in files:
        text = _plain(path)
        own, macros = set(_own_names(text)), set(_MACRO.findall(text))
        given = {each for header in _headers(root, path) for each in _given_names(header)}
        for place in found:
            if not (own & place.own or (own | macros) & place.given or place.own & given):
                break
        else:
            place = _Text()
            found.append(place)
        place.own |= own
        place.given |= given
        place.sources.append(path)
    return (each.sources for each in found)


@cache
def _plain(path: Path) -> str:
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))


def _own_names(text: str) -> Iterator[str]:
    """What a file defines for itself alone, macros apart: those end with it."""
    for pattern in (_STATIC, _TAG):
        yield from (each[1] for each in pattern.finditer(text))
    for each in _ENUM.finditer(text):
        yield from _NAMED.findall(_IN_BRACKETS.sub("", each[1]))


def _headers(root: Path, path: Path) -> Iterator[Path]:
    """What a file includes, also by what it includes, as far as it is of the library OS itself."""
    left, seen = [path], {path}
    while left:
        for header in _included(root, left.pop()):
            if header not in seen:
                seen.add(header)
                left.append(header)
                yield header


@cache
def _included(root: Path, path: Path) -> Sequence[Path]:
    named = (root / each for each in _INCLUDE.findall(_plain(path)))
    return tuple(each for each in named if each.is_file())


@cache
def _given_names(header: Path) -> set[str]:
    """What a header gives to whoever includes it."""
    text = _plain(header)
    names = {*_own_names(text), *_MACRO.findall(text)}
    bare, left = _IN_BRACES.subn(";", _DIRECTIVE.sub("", text))
    while left:
        bare, left = _IN_BRACES.subn(";", bare)
    return names.union(_GIVEN.findall(bare))


def _part(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    ends = "".join(f"#undef {each}\n" for each in dict.fromkeys(_MACRO.findall(text)))
    return f'#line 1 "{path}"\n{text}{ends}'
