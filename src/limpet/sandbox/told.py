"""Text of bytes that come in pieces, for who wants to be told of it."""

from __future__ import annotations

import codecs
from collections.abc import Callable

Told = Callable[[str], None]


def decoded(told: Told | None) -> Callable[[bytes], None] | None:
    """Tell text of bytes that may be cut within a character."""
    if told is None:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(data: bytes) -> None:
        text = decoder.decode(data)
        if text:
            told(text)

    return take
