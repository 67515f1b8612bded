"""Text from elsewhere, made fit to be shown: file names, records and what guests are called.

Such text may hold what moves a terminal's cursor, ends a line or turns the order of letters around,
to look like something that Limpet says.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode that show nothing of themselves: controls, formats, surrogates and such."""


def plain(text: str) -> str:
    """``text`` on one line, each character of it visible; others as escapes such as ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def plain_lines(text: str) -> str:
    """As :func:`plain`, of text with lines and tabs of its own, such as a compiler's."""
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
