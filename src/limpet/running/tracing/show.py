"""What a trace is shown as: lines as strace has them, JSON for programs, or a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import hvt_hypercalls
from limpet.errors import RunError
from limpet.running.tracing import names, signals, values
from limpet.running.tracing.events import Event
from limpet.running.tracing.records import Record, hypercall

_FIRST_THREAD = 1
_ENDS = ("exit", "exit_group", "hvt_halt")
_NAMES_MOST = 1024
"""Different calls that a table has; a guest that makes up more finds them under one name."""


class Choice:
    """The calls that are shown: ``NAME,NAME``, or with ``!`` before them all others."""

    def __init__(self, text: str) -> None:
        """Take ``text`` apart.

        Raises:
            RunError: it names no call that there is.
        """
        self._others = text.startswith("!")
        self._names = set(text.removeprefix("!").split(","))
        known = NUMBERS.keys() | {each.name for each in hvt_hypercalls()}
        for name in sorted(self._names - known):
            near = get_close_matches(name, known, 1)
            raise RunError(
                f"-e {text}: there is no call {name!r}",
                hint=f"perhaps {near[0]}"
                if near
                else "give names as trace shows them, for example -e read,write",
            )

    def shows(self, event: Event) -> bool:
        """Whether a call is among them."""
        return event.is_signal or (values.name_of(event.call) in self._names) != self._others


def lines(event: Event, most: int) -> Iterator[str]:
    """A call, and below it each hypercall that it came to."""
    call = event.call
    thread = f"[{call.thread}] " if call.thread != _FIRST_THREAD else ""
    if event.is_signal:
        yield f"{event.at:11.6f} {thread}--- {signals.text(call)} ---"
        return
    text = f"{values.name_of(call)}({', '.join(values.arguments_of(call, most))})"
    if event.done:
        end = f" = {values.result_of(call)} <{event.took:.6f}>"
    else:
        end = " = ?" if values.name_of(call) in _ENDS else " <unfinished ...>"
    yield f"{event.at:11.6f} {thread}{text}{end}"
    for record, took in event.hypercalls:
        name, numbers = hypercall(record)
        result = numbers.pop("result", None)
        given = ", ".join(f"{key}={_number(key, value)}" for key, value in numbers.items())
        gave = "" if result is None else f" = {_result(result)}"
        yield f"            -> {name}({given}){gave} <{took:.6f}>"


def _number(name: str, value: int) -> str:
    return hex(value) if name in ("address", "want", "ready") and value else str(value)


def _result(value: int) -> str:
    return names.error(value) if names.is_error(value) else str(value)


def as_json(event: Event, most: int) -> str:
    """The same on one line, for programs."""
    call = event.call
    if event.is_signal:
        head = {"at": round(event.at, 9), "thread": call.thread}
        return json.dumps({**head, "signal": signals.members(call)})
    failed = event.done and names.is_error(call.result)
    found = {
        "at": round(event.at, 9),
        "thread": call.thread,
        "call": values.name_of(call),
        "arguments": values.arguments_of(call, most),
        "result": call.result if event.done else None,
        "error": names.error(call.result).split()[1] if failed else None,
        "seconds": round(event.took, 9) if event.done else None,
        "inside": event.inside,
        "hypercalls": [_hypercall(record, took) for record, took in event.hypercalls],
    }
    return json.dumps(found)


def _hypercall(record: Record, took: float) -> Mapping[str, object]:
    name, numbers = hypercall(record)
    return {"name": name, "seconds": round(took, 9), **{"fields": numbers}}


@dataclass
class _Row:
    calls: int = 0
    errors: int = 0
    inside: int = 0
    seconds: float = 0.0


class Table:
    """How often each call was made, and what it took."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def add(self, event: Event) -> None:
        """Count a call."""
        if event.is_signal:
            return
        name = values.name_of(event.call)
        if len(self._rows) >= _NAMES_MOST and name not in self._rows:
            name = "others"
        row = self._rows.setdefault(name, _Row())
        row.calls += 1
        row.inside += event.inside
        row.seconds += event.took
        row.errors += event.done and names.is_error(event.call.result)

    def lines(self) -> Iterator[str]:
        """Most time first."""
        total = _Row()
        for row in self._rows.values():
            total.calls += row.calls
            total.errors += row.errors
            total.inside += row.inside
            total.seconds += row.seconds
        yield "% time     seconds  usecs/call     calls    errors    inside  syscall"
        yield _RULE
        ordered = sorted(self._rows.items(), key=lambda each: (-each[1].seconds, each[0]))
        for name, row in [*ordered, ("", total)]:
            if not name:
                yield _RULE
            yield _line(row, total.seconds, name or "total")


_RULE = "------ ----------- ----------- --------- --------- ---------  ----------------"


def _line(row: _Row, whole: float, name: str) -> str:
    share = 100 * row.seconds / whole if whole else 0.0
    each = 1e6 * row.seconds / row.calls if row.calls else 0.0
    errors = str(row.errors) if row.errors else ""
    return (
        f"{share:6.2f} {row.seconds:11.6f} {each:11.2f} {row.calls:9} {errors:>9} {row.inside:9}"
        f"  {name}"
    )
