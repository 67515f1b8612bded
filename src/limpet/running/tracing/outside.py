"""A unikernel traced from outside: it has no library OS that could tell.

What it asks of its host leaves it: on kvm through a port, which its monitor's KVM_RUN returns with,
else by a system call of its own.  This process sees both, as the monitor's parent.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from limpet.arch.x86_64.call_arguments import SIZES, Argument, arguments
from limpet.arch.x86_64.syscalls import NAMES, NUMBERS
from limpet.contract import Hypercall, hvt_hypercalls
from limpet.contract.limits import (
    DEVICE_FD,
    MAX_DEVICES,
    TRACE_BYTES_MOST,
    TRACE_CALL,
    TRACE_TEXT_MOST,
)
from limpet.planning.regions import KVM_RUN_AT, KVM_RUN_SIZE
from limpet.running.cores import watch
from limpet.running.tracing.events import Event
from limpet.running.tracing.records import Record
from limpet.running.tracing.values import shown

_EXIT_IO = 2
_ENTERING = -38 & (1 << 64) - 1
"""What RAX is before a system call is made: -ENOSYS."""

_GIVEN = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_FRAMES = {NUMBERS["read"]: "hvt_net_read", NUMBERS["write"]: "hvt_net_write"}
_POINTERS, _LENGTHS = ("data", "address"), ("len", "length")
_LEFT_OUT = ("pad", "ret", "result")


@dataclass
class _Going:
    record: Record
    since: float
    call: Hypercall | None = None
    block: int = 0  # where its argument block is


def trace(path: Path, argv: Sequence[str], taken: Callable[[Event], None], most: int) -> int:
    """Start the bundle of a unikernel and tell ``taken`` of each call until it ends.

    Args:
        argv: its name, then the words of its command line.
        most: bytes of memory that are shown.

    Returns:
        Its exit status, 128 + N for signal N.

    Raises:
        RunError: it cannot be started.
        HostError: this host does not let a process look into its child.
    """
    _by_port(), arguments()  # read now: a guest that waits for them has less time for itself
    calls = _Calls(taken, most)
    return watch.run(path, argv, lambda *_: calls.end(), calls.called)


class _Calls:
    """Puts the stops of a monitor together to calls of its guest."""

    def __init__(self, taken: Callable[[Event], None], most: int) -> None:
        self._taken, self._most = taken, most
        self._started = time.monotonic()
        self._going: _Going | None = None

    def called(self, one: watch.Watched, registers: Mapping[str, int]) -> None:
        """A system call of the monitor's process begins or ends."""
        entering = registers["rax"] == _ENTERING
        if one.kvm and registers["orig_rax"] != NUMBERS["ioctl"]:
            if not entering:
                self._frame(one, registers)
            return  # what the monitor does to serve a hypercall
        if entering:
            self._finish(one, 0)
        if one.kvm:
            if not entering and not registers["rax"]:
                self._hypercall(one)
        elif entering:
            given = tuple(registers[each] for each in _GIVEN)
            number = registers["orig_rax"] & 0xFFFFFFFF
            self._going = _Going(_record(number, given), time.monotonic())
        else:
            self._finish(one, registers["rax"])

    def end(self) -> None:
        """It has ended within the last call."""
        if self._going:
            self._tell(self._going.record, self._going.since, done=False)
        self._going = None

    def _hypercall(self, one: watch.Watched) -> None:
        """The virtual processor has returned: to serve a hypercall, unless it was a signal."""
        head = _read(one, KVM_RUN_AT, 48)
        if len(head) < 48 or struct.unpack_from("<I", head, 8)[0] != _EXIT_IO:
            return
        (port,), (offset,) = struct.unpack_from("<H", head, 34), struct.unpack_from("<Q", head, 40)
        call = _by_port().get(port)
        data = _read(one, KVM_RUN_AT + offset, 4) if offset <= KVM_RUN_SIZE - 4 else b""
        block = int.from_bytes(data, "little")
        record = replace(_record(port, ()), name=call.name if call else f"port_{port:#x}")
        record = self._with_fields(one, record, call, block)
        self._going = _Going(record, time.monotonic(), call, block)

    def _frame(self, one: watch.Watched, registers: Mapping[str, int]) -> None:
        """One that the shim gathered, or that is brought ahead: without a hypercall of its own."""
        name = _FRAMES.get(registers["orig_rax"])
        handle, data, size = registers["rdi"] - DEVICE_FD, registers["rsi"], registers["rax"]
        if name is None or not 0 < handle <= MAX_DEVICES or size >> 63:
            return
        going = self._going
        if going and going.call and going.call.name == name and data == self._data(one, going):
            return
        values = {"handle": handle, "data": data, "len": size}
        texts = tuple(f"{each}={self._value(one, each, values)}" for each in values)
        record = replace(_record(0, ()), name=name, shown=texts)
        since = going.since if going else time.monotonic()
        self._taken(Event(record, True, since - self._started, 0.0, (), inside=True))

    @staticmethod
    def _data(one: watch.Watched, going: _Going) -> int:
        """The memory that a hypercall about a frame names."""
        assert going.call and going.call.block
        names = [each.name for each in going.call.block.fields]
        return int.from_bytes(_read(one, going.block + 8 * names.index("data"), 8), "little")

    def _finish(self, one: watch.Watched, result: int) -> None:
        going, self._going = self._going, None
        if going is None:
            return
        if one.kvm:
            record = self._with_fields(one, going.record, going.call, going.block)
        else:
            signed = result - (1 << 64) if result >> 63 else result
            record = replace(going.record, result=signed)
            record = replace(record, pieces=_pieces(one, record))
        self._tell(record, going.since, done=True)

    def _tell(self, record: Record, since: float, *, done: bool) -> None:
        took = time.monotonic() - since if done else 0.0
        self._taken(Event(record, done, since - self._started, took, (), inside=False))

    def _with_fields(
        self, one: watch.Watched, record: Record, call: Hypercall | None, block: int
    ) -> Record:
        """With what its argument block says now."""
        if call is None or call.block is None:
            return record
        data = _read(one, block, call.block.size)
        if len(data) < call.block.size:
            return replace(record, shown=(f"{block:#x}",))
        fields = zip(call.block.fields, struct.unpack(call.block.format, data), strict=True)
        values = {each.name: value for each, value in fields}
        texts = (
            f"{name}={self._value(one, name, values)}" for name in values if name not in _LEFT_OUT
        )
        given = values.get("ret", values.get("result", 0))
        return replace(record, shown=tuple(texts), result=given)

    def _value(self, one: watch.Watched, name: str, values: Mapping[str, int]) -> str:
        """A number of an argument block, or what it points to."""
        if name not in _POINTERS:
            return str(values[name])
        length = next((values[each] for each in _LENGTHS if each in values), 0)
        data = _read(one, values[name], min(length, self._most))
        return shown(data, self._most, cut=len(data) < length) if data else hex(values[name])


@cache
def _by_port() -> Mapping[int, Hypercall]:
    return {each.port: each for each in hvt_hypercalls()}


def _record(number: int, given: tuple[int, ...]) -> Record:
    return Record(TRACE_CALL, 1, number, 0, 0, 0, given)


def _read(one: watch.Watched, address: int, size: int) -> bytes:
    """Memory of the process, as much of it as there is."""
    try:
        return os.pread(one.memory, size, address) if address < 1 << 47 else b""
    except OSError:
        return b""


def _pieces(one: watch.Watched, record: Record) -> dict[int, bytes]:
    """The memory that the arguments of a system call name, as the library OS would tell it."""
    found = {}
    for index, each in enumerate(arguments().get(NAMES.get(record.number, ""), ())):
        size = _size(each, record)
        if size and not (each.out and record.result < 0):
            found[index] = _read(one, record.arguments[index], size)
    return {index: data for index, data in found.items() if data}


def _size(argument: Argument, record: Record) -> int:
    if argument.kind == "path":
        return TRACE_TEXT_MOST
    if argument.kind in SIZES:
        return SIZES[argument.kind]
    if argument.kind not in ("bytes", "sockaddr", "events", "pollfd"):
        return 0
    by = argument.names
    count = max(record.result, 0) if by == "r" else record.arguments[int(by)]
    return min(count * {"events": 12, "pollfd": 8}.get(argument.kind, 1), TRACE_BYTES_MOST)
