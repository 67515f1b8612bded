"""Inputs of the targets ``record`` and ``bundle``: which one to start from, then edits of it.

A random byte of a bundle rarely leads beyond its first check.  So an input does not hold a bundle
but says what to change in one that was made, and it is put together again in its one form.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import atheris

EDIT = struct.Struct("<BBHI")
"""What to do, to which, where, and a value."""

HEAD = 2
"""Bytes before the edits: which to start from, and what to do at the end."""

MOST = 24
"""Edits."""

_BITS = (0, 7, 8, 12, 15, 16, 20, 21, 30, 31, 32, 40, 46, 47, 48, 62, 63)
NUMBERS = sorted({max(0, (1 << bit) + more) for bit in _BITS for more in (-1, 0, 1)})
TEXTS = (
    *("", "a", "..", "/", "\x1b[2J", "\n", "a\0b", "\x7f\x9b\u202e", '"', "\\", "%n", "-MF"),
    *("execve", "write", "ioctl", "kvm", "process", "exit", "0" * 64, "f" * 64, "x" * 5000),
    *("sector", "last", "within", "block:one", "net:two", "A=B", "v3", "ziglang 0.0.1", "1"),
)


def number(value: int) -> int:
    """A number that is likely to matter, or a small one."""
    return value >> 1 if value & 1 else NUMBERS[(value >> 1) % len(NUMBERS)]


def edits(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The edits of an input."""
    whole = data[HEAD : HEAD + MOST * EDIT.size]
    yield from EDIT.iter_unpack(whole[: len(whole) // EDIT.size * EDIT.size])


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Another input: an edit more, less, or other; libFuzzer's own changes now and then."""
    chance = random.Random(seed)
    head, rows = bytearray(data[:HEAD].ljust(HEAD, b"\0")), [EDIT.pack(*e) for e in edits(data)]
    if chance.random() < 0.1:
        return bytes(atheris.Mutate(data, most))
    for _ in range(chance.choice((1, 1, 2, 4))):
        what = chance.randrange(5)
        if what == 0 or not rows:
            rows.insert(chance.randrange(len(rows) + 1), chance.randbytes(EDIT.size))
        elif what == 1:
            del rows[chance.randrange(len(rows))]
        elif what == 2:
            head[chance.randrange(HEAD)] = chance.randrange(256)
        else:
            at = chance.randrange(len(rows))
            field = chance.choice(((0, 1), (1, 1), (2, 2), (4, 4)))
            changed = bytearray(rows[at])
            changed[field[0] : sum(field)] = chance.randbytes(field[1])
            rows[at] = bytes(changed)
    return bytes(head) + b"".join(rows[:MOST])[: most - HEAD]


def mutate_record(data: bytes, most: int, seed: int) -> bytes:
    """As :func:`mutate`, and other text for inputs that are the text of a record."""
    return mutate(data, most, seed) if data[:1] >= b"\x80" else bytes(atheris.Mutate(data, most))


# --- data of a record ---


def _places(known: Any) -> list[tuple[Any, Any]]:
    """Every member of every table and list: the container and the key."""
    found, pending = [], [known]
    while pending:
        each = pending.pop(0)
        keys: list[Any] = []
        if isinstance(each, dict):
            keys = sorted(each)
        elif isinstance(each, list):
            keys = list(range(len(each)))
        found += [(each, key) for key in keys]
        pending += [each[key] for key in keys]
    return found


def edit_data(known: Any, which: int, place: int, value: int) -> None:
    """Change one member of plain data in place."""
    places = _places(known)
    if not places:
        return
    container, key = places[place % len(places)]
    other, other_key = places[value % len(places)]
    change = _CHANGES[which % len(_CHANGES)]
    change(container, key, value, other[other_key])


def _copied(value: Any) -> Any:
    """A deep copy, lest a table come to hold itself."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _to_number(container: Any, key: Any, value: int, _: Any) -> None:
    container[key] = number(value)


def _near(container: Any, key: Any, value: int, _: Any) -> None:
    known = container[key]
    if isinstance(known, int):
        container[key] = not known if isinstance(known, bool) else known + value % 33 - 16
    elif isinstance(known, str) and known:
        at = value % len(known)
        container[key] = known[:at] + chr(value >> 8 & 0x7F) + known[at + 1 :]


def _to_text(container: Any, key: Any, value: int, _: Any) -> None:
    container[key] = TEXTS[value % len(TEXTS)]


def _to_other(container: Any, key: Any, value: int, other: Any) -> None:
    container[key] = _copied(other)


def _remove(container: Any, key: Any, value: int, _: Any) -> None:
    del container[key]


def _add(container: Any, key: Any, value: int, other: Any) -> None:
    if isinstance(container, list):
        container.insert(value % (len(container) + 1), _copied(other))
    else:
        container[TEXTS[value % len(TEXTS)]] = _copied(container[key])


def _to_nothing(container: Any, key: Any, value: int, _: Any) -> None:
    container[key] = (None, True, False, [], {}, -1, 1.5)[value % 7]


_CHANGES: tuple[Callable[[Any, Any, int, Any], None], ...] = (
    *(_to_number, _near, _to_text, _to_other, _remove, _add, _to_nothing, _near),
)
