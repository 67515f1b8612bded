"""What only a start knows of a device, and stores into a filter before it is installed."""

from __future__ import annotations

SLOTS = (
    "sector",
    "last_low",
    "last_high",
    "capacity_low",
    "capacity_high",
    "capacity_under",
)
"""Its sector size, the offset of its last sector, its capacity, in halves, and the capacity's upper
half less one."""

HELD = ("sector", "last", "within")
"""What an argument can be held against: the sector size, the last sector, or, with the argument
before it, the capacity."""

Slot = tuple[int, int, str]
"""An instruction whose constant only a start knows, the device's handle, and one of SLOTS."""
