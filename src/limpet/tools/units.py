"""Sizes and times as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,12})([KMG]?)(?:i?B)?", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)?")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def size(text: str) -> int:
    """Bytes, from text such as ``64M`` or ``1GiB``.

    Raises:
        ValueError: it is not a size; the message says what one looks like.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write for example 64M or 1G")
    return int(match[1]) * _BYTES[match[2].upper()]


def milliseconds(text: str) -> int:
    """Milliseconds, at least one, from text such as ``500ms``, ``10s`` or ``2m``.

    Raises:
        ValueError: it is not a time; the message says what one looks like.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time; write for example 500ms, 10s or 2m")
    return max(1, round(float(match[1]) * _MILLISECONDS[match[2] or "s"]))


def kilobytes(count: int) -> str:
    """``count`` bytes as people say it; a part of a kB counts as one."""
    return f"{-(-count // 1000)} kB"
