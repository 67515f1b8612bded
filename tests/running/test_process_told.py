"""What the kernel shows of a process may come in pieces, and end when the process does."""

from __future__ import annotations

import io
import struct

import pytest

from limpet.contract.pages import PAGE
from limpet.errors import RunError
from limpet.formats.image import Access
from limpet.planning.regions import Region
from limpet.running import snapshot

PRESENT = 1 << 63


class _Pieces(io.BytesIO):
    """Gives less at once than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 12))


def _present(entries: int) -> list[tuple[int, bytes]]:
    region = Region("a", PAGE, 4 * PAGE, Access.READ, None, "", at_start=True)
    map_ = _Pieces(bytes(8) + struct.pack("<4Q", 0, PRESENT, 0, PRESENT)[: 8 * entries])
    memory = _Pieces(b"".join(bytes([each]) * PAGE for each in range(5)))
    return list(snapshot._present(memory, map_, region))


def test_in_pieces() -> None:
    """All of it is read, however often it is asked for."""
    assert _present(4) == [(2 * PAGE, b"\2" * PAGE), (4 * PAGE, b"\4" * PAGE)]


def test_it_ends() -> None:
    """A guest that was killed has no pages to tell of."""
    with pytest.raises(RunError, match="was ended while its memory was looked at"):
        _present(3)
