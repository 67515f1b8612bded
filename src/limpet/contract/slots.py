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

HELD = {
    "sector": "the sector size of device {}",
    "last": "at most the last sector of device {}",
    "within": "with the bytes before it within device {}",
}
"""What an argument can be held against, in words, with the device's handle."""

Slot = tuple[int, int, str]
"""An instruction whose constant only a start knows, the device's handle, and one of SLOTS."""
