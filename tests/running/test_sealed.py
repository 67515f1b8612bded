"""What could only be read when a guest stopped: it may be hostile, and so may its tables."""

from __future__ import annotations

from limpet.contract.pages import PAGE
from limpet.formats.image import Access
from limpet.planning.regions import Region
from limpet.running.sealed import _in_tables


def test_a_table_that_is_nowhere() -> None:
    """The guest says where its tables are; where nothing is mapped, nothing is sealed."""
    region = Region("data", 0, PAGE, Access.READ | Access.WRITE, b"", "")
    with open("/proc/self/mem", "rb", 0) as memory:
        assert list(_in_tables(memory, PAGE, [region])) == []
