"""The INT3s that stand in a guest, each for one or more who asked for it."""

from __future__ import annotations

from limpet.running.debugging.machine import Machine

MOST = 4096
"""INT3s at a time."""

_INT3 = b"\xcc"


class Breaks:
    """INT3s by their address; whoever reads the guest's memory does not see them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._before: dict[int, int] = {}
        self._owners: dict[int, list[str]] = {}

    def add(self, address: int, owner: str) -> bool:
        """Put one there, unless there is one; false: there is no memory, or
        there are enough."""
        if address not in self._owners:
            if len(self._owners) >= MOST:
                return False
            before = self._machine.read(address, 1)
            if not before or not self._machine.write(address, _INT3):
                return False
            self._before[address] = before[0]
        self._owners.setdefault(address, []).append(owner)
        return True

    def remove(self, address: int, owner: str) -> None:
        """Take it back, if nobody else has asked for it."""
        owners = self._owners.get(address, [])
        if owner in owners:
            owners.remove(owner)
            if not owners:
                self.lift(address)
                del self._owners[address], self._before[address]

    def of(self, address: int) -> tuple[str, ...]:
        """Who asked for the one there."""
        return tuple(self._owners.get(address, ()))

    def lift(self, address: int) -> None:
        """The guest's own byte for a moment."""
        self._machine.write(address, bytes((self._before[address],)))

    def lower(self, address: int) -> None:
        """Behind :meth:`lift`."""
        self._machine.write(address, _INT3)

    def remove_all(self, owner: str) -> None:
        """Take back all that ``owner`` asked for."""
        for address in [each for each, owners in self._owners.items() if owner in owners]:
            self.remove(address, owner)

    def clear(self) -> None:
        """Take back all of them."""
        for address in list(self._owners):
            self.lift(address)
        self._owners.clear()
        self._before.clear()

    def original(self, address: int, data: bytes) -> bytes:
        """Memory at ``address`` without them."""
        changed = bytearray(data)
        for at, byte in self._before.items():
            if address <= at < address + len(data):
                changed[at - address] = byte
        return bytes(changed)

    def written(self, address: int, data: bytes) -> bytes:
        """``data`` as it is stored there: what stands where an INT3 is comes when that goes."""
        changed = bytearray(data)
        for at in self._before:
            if address <= at < address + len(data):
                self._before[at] = data[at - address]
                changed[at - address] = _INT3[0]
        return bytes(changed)
