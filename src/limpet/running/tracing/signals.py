"""A signal as a person reads it, with the names that strace gives.

Source: Linux ``include/uapi/asm-generic/siginfo.h``.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

from limpet.running.tracing.records import Record

_FIRST_REAL_TIME = 32
_QUEUE, _TIMER = -1, -2
_SENT: Mapping[int, str] = {
    0: "SI_USER",
    -1: "SI_QUEUE",
    -2: "SI_TIMER",
    -5: "SI_SIGIO",
    -6: "SI_TKILL",
    0x80: "SI_KERNEL",
}
_FAULTS: Mapping[int, tuple[str, str]] = {
    signal.SIGILL: ("ILL_", "ILLOPC ILLOPN ILLADR ILLTRP PRVOPC PRVREG COPROC BADSTK"),
    signal.SIGFPE: ("FPE_", "INTDIV INTOVF FLTDIV FLTOVF FLTUND FLTRES FLTINV FLTSUB"),
    signal.SIGSEGV: ("SEGV_", "MAPERR ACCERR BNDERR PKUERR"),
    signal.SIGBUS: ("BUS_", "ADRALN ADRERR OBJERR"),
    signal.SIGTRAP: ("TRAP_", "BRKPT TRACE BRANCH HWBKPT"),
}
"""Why the kernel sends it: prefix, and the codes from 1 on."""


def name(number: int) -> str:
    """The name of a signal."""
    if number == _FIRST_REAL_TIME:
        return "SIGRTMIN"
    if number > _FIRST_REAL_TIME:
        return f"SIGRT_{number - _FIRST_REAL_TIME}"
    known = {int(each): each.name for each in signal.Signals}
    return known.get(number) or str(number)


def _code(number: int, code: int) -> str:
    prefix, words = _FAULTS.get(number, ("", ""))
    codes = words.split()
    if 0 < code <= len(codes):
        return prefix + codes[code - 1]
    return _SENT.get(code) or str(code)


def members(record: Record) -> dict[str, str | int]:
    """What is known of a signal, by the names of its members."""
    number, code, (first, value) = record.number, record.result, record.arguments[:2]
    found: dict[str, str | int] = {"si_signo": name(number), "si_code": _code(number, code)}
    low, high = _signed(first & 0xFFFFFFFF), first >> 32
    if number in _FAULTS and code > 0:
        return {**found, "si_addr": hex(first) if first else "NULL"}
    if code == _TIMER:
        found |= {"si_timerid": low, "si_overrun": _signed(high)}
    elif code <= 0:
        found |= {"si_pid": low, "si_uid": high}
    if code in (_QUEUE, _TIMER):
        found |= {"si_int": _signed(value & 0xFFFFFFFF), "si_ptr": hex(value) if value else "NULL"}
    return found


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def text(record: Record) -> str:
    """A signal on one line, as strace has it."""
    told = ", ".join(f"{key}={value}" for key, value in members(record).items())
    return f"{name(record.number)} {{{told}}}"
