"""The records of a traced bundle, read from their bytes.

They come from the guest, which can write what it likes: nothing here trusts a number of theirs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from limpet.contract import Hypercall, hypercalls
from limpet.contract.limits import (
    TRACE_BEGUN,
    TRACE_CALL,
    TRACE_HYPERCALL,
    TRACE_SIGNAL,
    TRACE_TIME,
)
from limpet.contract.structures import TRACE_PIECE, TRACE_RECORD
from limpet.errors import TraceError

_KINDS = (TRACE_TIME, TRACE_BEGUN, TRACE_CALL, TRACE_HYPERCALL, TRACE_SIGNAL)
RECORD_MOST = 1 << 16
"""Bytes of the largest record that is believed."""


@dataclass(frozen=True)
class Record:
    """One of them, as it was written."""

    kind: int
    thread: int
    number: int
    ticks: int
    took: int  # ticks
    result: int
    arguments: tuple[int, ...]
    pieces: Mapping[int, bytes] = field(default_factory=dict)  # by the argument that names it
    block: bytes = b""  # a hypercall's
    name: str = ""  # of one that is no system call
    shown: tuple[str, ...] = ()  # its arguments, where they are text already


class Reader:
    """Takes bytes as they come, and gives the records that are whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that ``data`` completes.

        Raises:
            TraceError: what comes next is no record; nothing after it can be read.
        """
        self._bytes += data
        first = 0
        while len(self._bytes) - first >= TRACE_RECORD.size:
            (size,) = struct.unpack_from("<I", self._bytes, first)
            if not TRACE_RECORD.size <= size <= RECORD_MOST or size % 8:
                raise TraceError(
                    f"the trace has no record at byte {self._at + first}",
                    hint="take it anew, of a bundle that this Limpet made with --feature trace",
                )
            if len(self._bytes) - first < size:
                break
            yield _record(bytes(self._bytes[first : first + size]), self._at + first)
            first += size
        del self._bytes[:first]
        self._at += first

    @property
    def rest(self) -> int:
        """Bytes of a record whose end never came."""
        return len(self._bytes)


def _record(data: bytes, at: int) -> Record:
    values = struct.unpack_from(TRACE_RECORD.format, data)
    _, kind, thread, number, ticks, took, result, *arguments = values
    rest = data[TRACE_RECORD.size :]
    if kind not in _KINDS:
        raise TraceError(
            f"the trace has a record of an unknown kind at byte {at}",
            hint="take it anew, of a bundle that this Limpet made with --feature trace",
        )
    pieces = dict(_pieces(rest)) if kind == TRACE_CALL else {}
    block = rest if kind == TRACE_HYPERCALL else b""
    return Record(kind, thread, number, ticks, took, result, tuple(arguments), pieces, block)


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= TRACE_PIECE.size:
        argument, length = struct.unpack_from(TRACE_PIECE.format, data)
        yield argument, data[TRACE_PIECE.size :][:length]
        data = data[TRACE_PIECE.size + (length + 7 & ~7) :]


@cache
def _known() -> Mapping[int, Hypercall]:
    return {each.number: each for each in hypercalls()}


def hypercall(record: Record) -> tuple[str, dict[str, int]]:
    """The name of a hypercall, and the numbers in its argument block."""
    known = _known().get(record.number)
    if known is None or known.block is None or len(record.block) < known.block.size:
        return f"hypercall_{record.number}", {}
    values: Iterator[Any] = iter(struct.unpack_from(known.block.format, record.block))
    found: dict[str, int] = {}
    for each in known.block.fields:
        first = [next(values) for _ in range(each.count if each.type != "char" else 1)]
        if len(first) == 1 and isinstance(first[0], int) and each.name != "pad":
            found[each.name] = first[0]
    return known.name, found


def stays_inside(record: Record) -> bool:
    """Whether a hypercall of a virtual machine is served by its own ring 0, without an exit."""
    known = _known().get(record.number)
    return known is not None and known.ring0
