"""Files that are put where they are to be, whole."""

from __future__ import annotations

from pathlib import Path

from limpet.tools import executables


def test_the_longest_name(tmp_path: Path) -> None:
    """It is not too long because of a temporary name beside it."""

    def make(new: Path) -> bool:
        return new.write_bytes(b"other") > 0

    for name in ("n" * 255, "\u20ac" * 85):
        path = tmp_path / name
        executables.write(path, b"one")
        assert path.read_bytes() == b"one"
        assert executables.take_place(path, make) and path.read_bytes() == b"other"
