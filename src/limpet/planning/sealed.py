"""Constants that a filter names by their address: they lie in the monitor, which nothing writes."""

from __future__ import annotations

from collections.abc import Mapping

from limpet.contract import opening
from limpet.contract.limits import HOW_COUNT, HOW_SIZE
from limpet.planning.regions import MONITOR_BASE

OPEN_WAYS = "OPEN_WAYS"
"""Every ``struct open_how``; a rule has those that its volumes allow."""

NO_NAME = "NO_NAME"
"""A path without a character: the descriptor beside it itself."""

ADDRESSES: Mapping[str, int] = {
    OPEN_WAYS: MONITOR_BASE,
    NO_NAME: MONITOR_BASE + HOW_COUNT * HOW_SIZE,
}
"""Where they are: before all other constants."""


def constants() -> dict[str, bytes]:
    """Their bytes, in their order."""
    return {OPEN_WAYS: opening.table(), NO_NAME: bytes(8)}
