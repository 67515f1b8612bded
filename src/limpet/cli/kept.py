"""What an entry of the cache has beside a bundle, for who finds it there: lines to say, and names.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

WARNINGS, GIVEN = "warnings", "given"
_TEXT = "utf-8", "surrogateescape"


def lines_in(entry: Path) -> tuple[str, ...]:
    """What is to be said of the bundle in ``entry``."""
    return tuple((entry / WARNINGS).read_text(*_TEXT).splitlines())


def write_lines(entry: Path, warnings: Iterable[str]) -> None:
    """Have each of them on a line, for :func:`lines_in`."""
    lines = [f"{' '.join(each.splitlines())}\n" for each in warnings]
    (entry / WARNINGS).write_text("".join(lines), *_TEXT)


def read_names(path: Path) -> tuple[str, ...]:
    """What :func:`write_names` wrote."""
    text = path.read_text(*_TEXT)
    return tuple(text.split("\0")) if text else ()


def write_names(path: Path, names: Iterable[str]) -> None:
    """Write paths, whatever is in them."""
    path.write_text("\0".join(names), *_TEXT)


def listed_by(app: Path) -> str:
    """What the bundles of a program with files that were named are listed under."""
    return f"given-{_digest(os.path.realpath(app))}"


def listed_with(last: str, *paths: str) -> str:
    """What the bundles are listed under that are made from one as its texts change.

    Args:
        last: the key of that one, or of what is kept of it.
        paths: of the texts, where there are others for it.
    """
    return f"made-{_digest(chr(0).join((last, *paths)))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
