"""The regions of a guest that goes on from a moment."""

from __future__ import annotations

import pytest

from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.formats.memory import Memory
from limpet.planning.regions import Region
from limpet.planning.stopped import with_memory


@pytest.mark.parametrize(("left", "pieces"), [(0, 2), (16, 2), (17, 3)])
def test_few_zeros_are_no_piece_of_their_own(left: int, pieces: int) -> None:
    """Those behind the last that a guest has in a region."""
    low, size = 1 << 20, 64 * PAGE
    region = Region("arena", low, size, Access.READ | Access.WRITE, b"", "", at_start=True)
    memory = Memory(((low + 40 * PAGE, b"x" * (24 - left) * PAGE),))
    found = with_memory((region,), memory, (0, 0), machine=False)
    assert [each.at_start for each in found] == [True, False, True][:pieces]
    assert found[0].address == low and found[-1].end == low + size
    assert found[1].content == memory.runs[0][1] + bytes(left * PAGE if pieces == 2 else 0)
