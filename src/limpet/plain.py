"""Text from elsewhere, made fit to be shown: file names, records and what guests are called.

Such text may hold what moves a terminal's cursor, ends a line or turns the order of letters around,
to look like something that Limpet says.
"""

from __future__ import annotations

import os

_LONG = 400
"""Characters of a name that a message shows."""


def plain(text: str) -> str:
    """``text`` on one line, each character of it visible; others as escapes such as ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def plain_lines(text: str) -> str:
    """As :func:`plain`, of text with lines and tabs of its own, such as a compiler's."""
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))


def quoted(text: str | os.PathLike[str]) -> str:
    """A foreign name within a message: as :func:`plain`, unambiguous, and cut where it is long."""
    name = os.fspath(text)
    if len(name) > _LONG:
        name = f"{name[: _LONG // 2]}...{name[-_LONG // 2 :]}"
    return plain(name.replace("\\", "\\\\"))


def _shown(character: str) -> str:
    if character.isprintable():  # controls, formats, separators but the space: none of them is
        return character
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is no UTF-8, as os.fsdecode has it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
