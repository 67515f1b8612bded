"""Text of bytes that come in pieces, for who wants to be told of it."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from limpet.errors import PlanError

Told = Callable[[str], None]


def decoded(told: Told) -> Callable[[bytes], None]:
    """Tell text of bytes that may be cut within a character.

    Raises:
        PlanError: it is nothing that can be told.
    """
    if not callable(told):
        raise PlanError(f"{told!r} cannot be told what is written", hint="on_stdout=print")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(data: bytes) -> None:
        text = decoder.decode(data)
        if text:
            told(text)

    return take
