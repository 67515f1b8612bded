"""``dispatch.c``: the system calls that one guest can make, and the names of those not served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from limpet.arch.x86_64.call_arguments import shapes_of
from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.guests.linux.parts import SystemCall
from limpet.guests.linux.threads import CALLS

PROBED = ("rseq",)
"""What the C libraries ask for at every start, and do without: never the reason for an end."""

RECENT = 100
"""A program that ends by itself with another status than 0 is told of the call that is not served
if it was among its last so many: one that went on for longer had another way."""

_HEAD = """\
/* Generated: the system calls that this guest can make, and no others. */
#include "core/thread.h"
#include "linux.h"

"""

_SCHEDULER = "const struct scheduler *const scheduler = {};\n\n"

_NOTHING_MISSED = """\
void say_missed(bool crashed) {
    (void)crashed;
}

void call_missed(long number) {
    (void)number;
}

long execution_refused(void) {
    return -EACCES;
}

"""

_MISSED = """\
static u64 calls, missed_at;
static long missed = -1;

static const char *name_of(long number) {{
    switch (number) {{
{names}    default:
        return NULL;
    }}
}}

void call_missed(long number) {{
    missed = number, missed_at = calls;
}}

static bool wanted_to_run;

long execution_refused(void) {{
    wanted_to_run = true;
    return -EACCES;
}}

void say_missed(bool crashed) {{
    if (wanted_to_run)
        say_unserved("executable memory without --jit", 0);
    if (missed >= 0 && (crashed || calls - missed_at <= {recent}))
        say_unserved(name_of(missed), missed);
}}

"""


_ARGUMENTS = "(long number, long a, long b, long c, long d, long e, long f)"

_TRACED = """\

#include "parts/trace/trace.h"

{tables}
const struct trace_shape *trace_shapes(long number) {{
    switch (number) {{
{cases}    default:
        return NULL;
    }}
}}

long dispatch{arguments} {{
    const u64 arguments[6] = {{(u64)a, (u64)b, (u64)c, (u64)d, (u64)e, (u64)f}};
    return trace_call(serve, number, arguments);
}}

void call_faults(const struct regs *call, long result) {{
    trace_faults(call, result);
}}

void signal_told(const struct linux_siginfo *info) {{
    trace_signal(info);
}}
"""

_UNTRACED = """\

void call_faults(const struct regs *call, long result) {
    (void)call, (void)result;
}

void signal_told(const struct linux_siginfo *info) {
    (void)info;
}
"""

_UNREACHED = """\
static long not_reached(long number) {{
    switch (number) {{
{names}    default:
        return say_unreached(NULL, number);
    }}
}}

"""


def dispatch_c(
    calls: Iterable[SystemCall],
    unserved: Mapping[int, str] | None = None,
    unreached: Mapping[int, str] | None = None,
    *,
    any_number: bool = False,
    runs: bool = False,
    traced: bool = False,
) -> str:
    """The text of ``dispatch.c`` for one guest.

    Args:
        calls: those that it can make and that are served.
        unserved: names of those that it can make and that are not, by number.
        unreached: names of those that only code makes which nothing was found to lead to.
        any_number: it has sites whose number only shows at run time.
        runs: it may ask for executable memory.
        traced: each call leaves a record.
    """
    probed = {NUMBERS[name] for name in PROBED}
    missing = {number: name for number, name in (unserved or {}).items() if number not in probed}
    ordered = sorted(calls, key=lambda call: call.number)
    partly = {call.number: call.name for call in ordered if call.name in CALLS}
    rest = missing.keys() - {call.number for call in ordered}
    execve = _execve(ordered) if _EXECVE in rest else ""
    rest -= {_EXECVE} if execve else set()
    remembers = any_number or runs or bool(missing or partly)
    return (
        _HEAD
        + _SCHEDULER.format("&beside_others" if partly else "NULL")
        + "".join(map(_prototype, ordered))
        + "\n"
        + (_missed(missing | partly) if remembers else _NOTHING_MISSED)
        + (_unreached(unreached) if unreached else "")
        + f"{'static long serve' if traced else 'long dispatch'}{_ARGUMENTS} {{\n"
        + "    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;\n"
        + ("    calls++;\n" if remembers else "")
        + "    switch (number) {\n"
        + "".join(map(_case, ordered))
        + ("".join(f"    case {number}:\n" for number in sorted(probed)) if remembers else "")
        + ("        return -ENOSYS;\n" if remembers else "")
        + execve
        + _rest(rest, remembers, bool(unreached))
        + (_traced(call.name for call in ordered) if traced else _UNTRACED)
    )


def _traced(names: Iterable[str]) -> str:
    """What stands between a call and what serves it: its record, and what is told in one."""
    shapes = {name: found for name in names if (found := shapes_of(name))}
    tables = "".join(
        f"static const struct trace_shape shapes_{name}[] = {{{', '.join(each)}}};\n"
        for name, each in shapes.items()
    )
    cases = "".join(
        f"    case {NUMBERS[name]}:\n        return shapes_{name};\n" for name in shapes
    )
    return _TRACED.format(tables=tables, cases=cases, arguments=_ARGUMENTS)


_EXECVE = NUMBERS["execve"]
_LOOKS = {
    "newfstatat": "(AT_FDCWD, a, (long)&stat, 0)",
    "stat": "(a, (long)&stat)",
    "access": "(a, 0)",
}
"""Calls that tell whether there is such a file."""


def _execve(calls: Sequence[SystemCall]) -> str:
    """A program that is not there is not there: who looks along PATH goes on."""
    looks = (call for name in _LOOKS for call in calls if call.name == name)
    look = next(looks, None)
    if look is None:
        return ""
    return (
        f"    case {_EXECVE}: {{\n        struct linux_stat stat;\n        (void)stat;\n"
        f"        long error = sys_{look.function}{_LOOKS[look.name]};\n        if (error)\n"
        "            return error;\n        missed = number, missed_at = calls;\n"
        "        return -ENOSYS;\n    }\n"
    )


def _rest(missing: Iterable[int], remembers: bool, unreached: bool) -> str:
    """What answers every other number."""
    remember = "        missed = number, missed_at = calls;\n" if remembers else ""
    known = "".join(f"    case {number}:\n" for number in sorted(missing)) if unreached else ""
    known += remember + "        return -ENOSYS;\n" if known else ""
    result = "not_reached(number)" if unreached else "-ENOSYS"
    return f"{known}    default:\n{remember}        return {result};\n    }}\n}}\n"


def _unreached(names: Mapping[int, str]) -> str:
    cases = "".join(
        f'    case {number}:\n        return say_unreached("{name}", number);\n'
        for number, name in sorted(names.items())
    )
    return _UNREACHED.format(names=cases)


def _prototype(call: SystemCall) -> str:
    return f"long sys_{call.function}({', '.join(['long'] * call.arguments) or 'void'});\n"


def _case(call: SystemCall) -> str:
    arguments = ", ".join("abcdef"[: call.arguments])
    return f"    case {call.number}:\n        return sys_{call.function}({arguments});\n"


def _missed(names: Mapping[int, str]) -> str:
    cases = "".join(
        f'    case {number}:\n        return "{name}";\n' for number, name in sorted(names.items())
    )
    return _MISSED.format(names=cases, recent=RECENT)
