"""What the kernel shows of a process may come in pieces, and end when the process does."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import pytest

import limpet
from limpet.contract.pages import PAGE
from limpet.errors import PlanError, RunError
from limpet.formats.image import Access
from limpet.planning.regions import Region
from limpet.running import snapshot
from limpet.running.pages import present
from tests.support.bundles import Maker
from tests.support.sources import HELLO

PRESENT = 1 << 63


class _Pieces(io.BytesIO):
    """Gives less at once than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 12))


def _present(entries: int) -> list[tuple[int, bytes]]:
    region = Region("a", PAGE, 4 * PAGE, Access.READ, None, "", at_start=True)
    map_ = _Pieces(bytes(8) + struct.pack("<4Q", 0, PRESENT, 0, PRESENT)[: 8 * entries])
    memory = _Pieces(b"".join(bytes([each]) * PAGE for each in range(5)))
    return list(present(memory, map_, region))


def test_in_pieces() -> None:
    """All of it is read, however often it is asked for."""
    assert _present(4) == [(2 * PAGE, b"\2" * PAGE), (4 * PAGE, b"\4" * PAGE)]


def test_what_stands_beside_it_is_where_it_was(make: Maker) -> None:
    """A guest's memory has addresses of it: where a snapshot has it elsewhere, that is said."""
    plan = limpet.plan(limpet.load(make.compile(HELLO, "hello")))
    at = next(i for i, each in enumerate(plan.regions) if each.name == "libos_data")
    moved = replace(plan.regions[at], address=plan.regions[at].address + PAGE)
    other = replace(plan, regions=(*plan.regions[:at], moved, *plan.regions[at + 1 :]))
    snapshot._check_room(plan, plan)
    with pytest.raises(PlanError, match="takes another room than in the start"):
        snapshot._check_room(plan, other)


def test_it_ends() -> None:
    """A guest that was killed has no pages to tell of."""
    with pytest.raises(RunError, match="was ended while its memory was looked at"):
        _present(3)
