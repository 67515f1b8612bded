"""What a debugger asks of a guest that has stopped, and what it is answered.

Every packet is a stranger's: numbers have so many digits, sizes are bounded, and what is not
understood is answered as the protocol wants it, with nothing.

Source: gdb's manual, appendix E.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from limpet.running.debugging import description
from limpet.running.debugging.about import About
from limpet.running.debugging.guest import Guest, Order, Report
from limpet.running.debugging.looking import (
    NOTHING,
    OK,
    PIECE,
    WRONG,
    BadPacket,
    Looking,
    number,
)
from limpet.running.debugging.packets import MOST, escaped
from limpet.running.debugging.signals import from_gdb, to_gdb
from limpet.running.debugging.threads import Thread

_SUPPORTED = (
    b"PacketSize=%x;QStartNoAckMode+;QPassSignals+;qXfer:features:read+;qXfer:threads:read+;"
    b"qXfer:exec-file:read+;swbreak+;hwbreak+;vContSupported+" % MOST
)


class Ordered(Exception):
    """What is to be done instead of an answer: go on, or one of the words below."""

    def __init__(self, order: Order | str) -> None:
        super().__init__(order)
        self.order = order


KILL, DETACH = "kill", "detach"


class Commands(Looking):
    """Those of one debugger to one guest."""

    def __init__(self, guest: Guest, about: About) -> None:
        super().__init__(guest)
        self._about = about
        self._rest: list[bytes] = []
        self.acknowledged = True
        """Whether packets are acknowledged still."""

    def taken(self, packet: bytes) -> bytes:
        """The answer to a packet.

        Raises:
            Ordered: there is none yet.
        """
        for start, handler in self._HANDLERS:
            if packet.startswith(start):
                try:
                    return handler(self, packet[len(start) :])
                except BadPacket:
                    return WRONG
        return NOTHING

    def stopped(self, report: Report) -> bytes:
        """The guest has stopped, and whose stop it is, is now asked about; what that is."""
        self.report, self._chosen = report, 0
        return self._why(b"")

    def _why(self, _: bytes) -> bytes:
        report = self.report
        if report.status is not None:
            killed, code = report.status & 0x7F, report.status >> 8 & 0xFF
            return b"X%02x" % to_gdb(killed) if killed else b"W%02x" % code
        text = b"T%02x" % to_gdb(report.signal)
        if report.watched is not None:
            text += b"watch:%x;" % report.watched
        elif report.breakpoint:
            text += b"swbreak:;"
        return text + b"thread:%x;" % report.thread

    # Going on

    def _continue(self, text: bytes) -> bytes:
        raise Ordered(self._order(None, text, 0))

    def _continue_with(self, text: bytes) -> bytes:
        raise Ordered(self._order(None, *_signalled(text)))

    def _step(self, text: bytes) -> bytes:
        raise Ordered(self._order(self._thread, text, 0))

    def _step_with(self, text: bytes) -> bytes:
        raise Ordered(self._order(self._thread, *_signalled(text)))

    def _order(self, step: int | None, where: bytes, sent: int) -> Order:
        if where:
            general = self._guest.threads.registers(self._thread)
            self._guest.threads.set_registers(self._thread, {**general, "rip": number(where)})
        return Order(step, signal=sent)

    def _actions(self, text: bytes) -> bytes:
        """``vCont``: of one thread that is stepped; all go on, since they take turns."""
        order = Order()
        for each in text.split(b";"):
            action, _, thread = each.partition(b":")
            which = _thread_number(thread) if thread else -1
            order = self._with_action(order, action, which)
        raise Ordered(order)

    def _with_action(self, order: Order, action: bytes, thread: int) -> Order:
        first, rest = action[:1], action[1:]
        thread = thread if thread > 0 else self.report.thread
        known = order.step is not None
        if first in b"CS" and first:
            order = replace(order, signal=from_gdb(number(rest)))
        if first in b"sS" and first:
            return order if known else replace(order, step=thread)
        if first == b"r":
            low, _, high = rest.partition(b",")
            range_ = number(low), number(high)
            return order if known else replace(order, step=thread, range=range_)
        if first not in (b"c", b"C"):
            raise BadPacket
        return order

    def _can_continue(self, _: bytes) -> bytes:
        return b"vCont;c;C;s;S;r"

    def _kill(self, _: bytes) -> bytes:
        raise Ordered(KILL)

    def _detach(self, _: bytes) -> bytes:
        raise Ordered(DETACH)

    # Threads

    def _choose(self, text: bytes) -> bytes:
        if text[:1] not in (b"g", b"c"):
            raise BadPacket
        chosen = _thread_number(text[1:])
        if chosen > 0 and not self._guest.threads.find(chosen):
            return WRONG
        if text[:1] == b"g":
            self._chosen = chosen
        return OK

    def _is_alive(self, text: bytes) -> bytes:
        return OK if self._guest.threads.find(_thread_number(text)) else WRONG

    def _current(self, _: bytes) -> bytes:
        return b"QC%x" % self.report.thread

    def _first_threads(self, _: bytes) -> bytes:
        names = [b"%x" % each.number for each in self._guest.threads.all()]
        self._rest = names
        return self._more_threads(b"")

    def _more_threads(self, _: bytes) -> bytes:
        now, self._rest = self._rest[:_LISTED], self._rest[_LISTED:]
        return b"m" + b",".join(now) if now else b"l"

    # Questions

    def _supported(self, _: bytes) -> bytes:
        vector = b";qXfer:auxv:read+" if self._about.auxiliary else b""
        return _SUPPORTED + vector

    def _without_acknowledging(self, _: bytes) -> bytes:
        self.acknowledged = False
        return OK

    def _is_attached(self, _: bytes) -> bytes:
        return b"1" if self._about.attached else b"0"

    def _passed(self, text: bytes) -> bytes:
        numbers = [from_gdb(number(each)) for each in text.split(b";") if each]
        self._guest.passed = frozenset(numbers)
        return OK

    def _transfer(self, text: bytes) -> bytes:
        what, _, rest = text.partition(b":read:")
        annex, _, window = rest.rpartition(b":")
        offset, _, size = window.partition(b",")
        document = self._document(what, annex)
        if document is None:
            return NOTHING
        at = number(offset)
        piece = document[at : at + min(number(size), PIECE)]
        return (b"m" if at + len(piece) < len(document) else b"l") + escaped(piece)

    def _document(self, what: bytes, annex: bytes) -> bytes | None:
        match what, annex:
            case b"features", b"target.xml":
                return self._target().encode()
            case b"threads", b"":
                return self._thread_list()
            case b"exec-file", _:
                return self._about.program.encode(errors="surrogateescape")
            case b"auxv", b"":
                return self._about.vector() or None
        return None

    def _target(self) -> str:
        return description.xml(self._upper(), linux=bool(self._about.auxiliary))

    def _thread_list(self) -> bytes:
        lines = "".join(
            f'<thread id="{each.number:x}" core="0"{_name(each)}/>\n'
            for each in self._guest.threads.all()
        )
        return f'<?xml version="1.0"?>\n<threads>\n{lines}</threads>\n'.encode()

    def _thread_local(self, text: bytes) -> bytes:
        """Where a thread has what lies at an offset in the program's own thread-local memory."""
        thread, _, rest = text.partition(b",")
        offset, _, link = rest.partition(b",")
        pointer = self._guest.threads.registers(_thread_number(thread)).get("fs_base", 0)
        if not self._about.thread_local or not pointer or not self._is_program(number(link)):
            return WRONG
        return b"%x" % (pointer - self._about.thread_local + number(offset) & (1 << 64) - 1)

    def _is_program(self, link: int) -> bool:
        """Whether the loader's description of an object is that of the program: it has no name."""
        name = self._guest.threads.word(link + 8) if link else 0
        return not name or self._guest.read(name, 1) == b"\0"

    def _file(self, text: bytes) -> bytes:
        return self._about.files.answer(text)

    _HANDLERS: tuple[tuple[bytes, Callable[[Commands, bytes], bytes]], ...] = (
        (b"?", _why),
        (b"g", Looking._all_registers),
        (b"G", Looking._set_all),
        (b"p", Looking._one_register),
        (b"P", Looking._set_one),
        (b"m", Looking._read),
        (b"M", Looking._write),
        (b"X", Looking._write_binary),
        (b"Z", Looking._insert),
        (b"z", Looking._remove),
        (b"vCont?", _can_continue),
        (b"vCont;", _actions),
        (b"vKill", _kill),
        (b"vFile:", _file),
        (b"c", _continue),
        (b"C", _continue_with),
        (b"s", _step),
        (b"S", _step_with),
        (b"k", _kill),
        (b"D", _detach),
        (b"H", _choose),
        (b"T", _is_alive),
        (b"qC", _current),
        (b"qfThreadInfo", _first_threads),
        (b"qsThreadInfo", _more_threads),
        (b"qSupported", _supported),
        (b"QStartNoAckMode", _without_acknowledging),
        (b"QPassSignals:", _passed),
        (b"qAttached", _is_attached),
        (b"qGetTLSAddr:", _thread_local),
        (b"qXfer:", _transfer),
    )


_LISTED = 256
"""Threads in one answer."""


def _signalled(text: bytes) -> tuple[bytes, int]:
    """Where to go on, and the signal in front of it."""
    sent, _, where = text.partition(b";")
    return where, from_gdb(number(sent))


def _thread_number(text: bytes) -> int:
    """-1 for all of them, 0 for any."""
    return -1 if text == b"-1" else number(text)


def _name(thread: Thread) -> str:
    """As XML wants it: names are the guest's."""
    plain = "".join(each if each.isalnum() or each in " _.-:" else "?" for each in thread.name)
    return f' name="{plain}"' if plain else ""
