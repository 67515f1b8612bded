"""Registers, memory and breakpoints, as a debugger asks for them.

Source: gdb's manual, appendix E.
"""

from __future__ import annotations

from limpet.running.debugging import description
from limpet.running.debugging.description import LEGACY_SIZE, Register
from limpet.running.debugging.guest import GDB, Guest, Report
from limpet.running.debugging.machine import Access, Point
from limpet.running.debugging.packets import MOST

OK, NOTHING, WRONG = b"OK", b"", b"E01"

_DIGITS = 16
PIECE = MOST // 2 - 64
"""Bytes of memory, or of a document, that one answer has at most."""


class BadPacket(Exception):
    """It is not as the protocol has it."""


def number(text: bytes) -> int:
    """A number in hexadecimal digits.

    Raises:
        BadPacket: it is none, or has more than a word's digits.
    """
    if not 0 < len(text) <= _DIGITS or not all(each in b"0123456789abcdefABCDEF" for each in text):
        raise BadPacket
    return int(text, 16)


def data_of(text: bytes) -> bytes:
    """Bytes in hexadecimal digits."""
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise BadPacket from None


class Looking:
    """Into one guest that has stopped."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._chosen = 0
        self.report = Report()

    @property
    def _thread(self) -> int:
        return self._chosen if self._chosen > 0 else self.report.thread

    # Registers

    def _registers(self) -> tuple[tuple[Register, ...], dict[str, int], bytes | None]:
        area = self._guest.threads.vectors(self._thread)
        found = description.registers(self._upper())
        return found, self._guest.threads.registers(self._thread), area

    def _upper(self) -> bool:
        return description.has_upper(self._guest.machine.vectors() or b"")

    def _all_registers(self, _: bytes) -> bytes:
        found, general, area = self._registers()
        return b"".join(_shown(each, general, area) for each in found)

    def _one_register(self, text: bytes) -> bytes:
        found, general, area = self._registers()
        index = number(text)
        if index >= len(found):
            raise BadPacket
        return _shown(found[index], general, area)

    def _set_all(self, text: bytes) -> bytes:
        data, at, changed = data_of(text), 0, {}
        for each in description.registers(self._upper()):
            changed[each] = data[at : at + each.size]
            at += each.size
        if len(data) < at:
            raise BadPacket
        return self._set(changed)

    def _set_one(self, text: bytes) -> bytes:
        index, _, value = text.partition(b"=")
        found = description.registers(self._upper())
        if number(index) >= len(found):
            raise BadPacket
        register = found[number(index)]
        data = data_of(value)
        if len(data) != register.size:
            raise BadPacket
        return self._set({register: data})

    def _set(self, changed: dict[Register, bytes]) -> bytes:
        threads, thread = self._guest.threads, self._thread
        general, area = threads.registers(thread), threads.vectors(thread)
        before, changed_area = dict(general), area
        for register, data in changed.items():
            if register.at < 0:
                if register.name in general:
                    general[register.name] = int.from_bytes(data, "little")
            elif changed_area is not None and len(changed_area) >= LEGACY_SIZE:
                changed_area = description.with_value(register, data, changed_area)
            elif len(changed) == 1:
                return WRONG
        if general != before and not threads.set_registers(thread, general):
            return WRONG
        if changed_area != area and changed_area is not None:
            return OK if threads.set_vectors(thread, changed_area) else WRONG
        return OK

    # Memory

    def _read(self, text: bytes) -> bytes:
        address, _, size = text.partition(b",")
        found = self._guest.read(number(address), min(number(size), PIECE))
        return found.hex().encode() if found else WRONG

    def _write(self, text: bytes) -> bytes:
        where, _, data = text.partition(b":")
        return self._written(where, data_of(data))

    def _write_binary(self, text: bytes) -> bytes:
        where, _, data = text.partition(b":")
        return self._written(where, data)

    def _written(self, where: bytes, data: bytes) -> bytes:
        address, _, size = where.partition(b",")
        if number(size) != len(data):
            raise BadPacket
        if not data:
            return OK
        return OK if self._guest.write(number(address), data) else WRONG

    # Breakpoints

    def _insert(self, text: bytes) -> bytes:
        kind, address, size = _point(text)
        guest = self._guest
        if kind <= 1:
            placed = guest.rewritten.placed(address)
            if GDB in guest.breaks.of(placed):
                return OK
            return OK if guest.breaks.add(placed, GDB) else WRONG
        point = _watched(kind, address, size)
        if point is None:
            return NOTHING
        if point in guest.points:
            return OK
        if guest.set_points([*guest.points, point]):
            return OK
        return WRONG if guest.points else NOTHING

    def _remove(self, text: bytes) -> bytes:
        kind, address, size = _point(text)
        guest = self._guest
        if kind <= 1:
            guest.breaks.remove(guest.rewritten.placed(address), GDB)
        else:
            point = _watched(kind, address, size)
            guest.set_points([each for each in guest.points if each != point])
        return OK


def _shown(register: Register, general: dict[str, int], area: bytes | None) -> bytes:
    found = description.value(register, general, area)
    return b"xx" * register.size if found is None else found.hex().encode()


def _point(text: bytes) -> tuple[int, int, int]:
    kind, _, rest = text.partition(b",")
    address, _, size = rest.partition(b";")[0].partition(b",")
    return number(kind), number(address), number(size)


def _watched(kind: int, address: int, size: int) -> Point | None:
    access = {2: Access.WRITE, 3: Access.BOTH, 4: Access.BOTH}.get(kind)
    if access is None or size not in (1, 2, 4, 8) or address % size or address >> 47:
        return None
    return Point(address, size, access)
