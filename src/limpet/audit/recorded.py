"""``Recorded``: a bundle's record as read, every value checked for its type before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.audit.seccomp_decode import EVERYTHING, Allowed, Range, joined
from limpet.contract.limits import CONTRACT_VERSION, MAX_DEVICES
from limpet.errors import BundleError
from limpet.formats.bundle_file import BundleFile
from limpet.planning.seccomp import SLOTS, Slot
from limpet.version import __version__

_MOST = 4096


@dataclass(frozen=True)
class RecordedPart:
    """A segment as it was written."""

    name: str
    address: int
    size: int
    flags: int
    sha256: str


@dataclass(frozen=True)
class RecordedRule:
    """A rule of a filter; ``stub`` names the only instruction it is for, if there is one."""

    allowed: Allowed
    why: str
    stub: str
    slots: dict[int, tuple[str, int]]  # arguments held against what the start knows of a device


@dataclass(frozen=True)
class RecordedTemplate:
    """A filter that the start completes: where it lies, and what is stored into it."""

    address: int
    copy: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class RecordedTree:
    """The packed files."""

    address: int
    size: int
    sha256: str
    files: str


@dataclass(frozen=True)
class Recorded:
    """What a bundle says of itself."""

    limpet: str
    toolchain: str
    guest: str
    guest_sha256: str
    options: dict[str, Any]
    hypercalls: tuple[str, ...]
    system_calls: tuple[str, ...]
    parts: tuple[RecordedPart, ...]
    filters: dict[str, tuple[RecordedRule, ...]]
    templates: dict[str, RecordedTemplate]
    ports: tuple[int, ...]
    tree: RecordedTree | None


def recorded(bundle: BundleFile) -> Recorded:
    """The record of ``bundle``.

    Raises:
        BundleError: it is missing or damaged.
    """
    try:
        return _recorded(bundle.record)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.name}: its record is damaged, or of another Limpet than {__version__} "
            f"({type(error).__name__}: {error})"[:400],
            hint="use the Limpet that made it, or build it again",
        ) from error


def _recorded(known: dict[str, Any]) -> Recorded:
    guest, tree = _table(known["guest"]), known.get("tree")
    if (version := _number(known["contract"])) != CONTRACT_VERSION:
        raise ValueError(f"contract {version}, here is {CONTRACT_VERSION}")
    return Recorded(
        _text(known["limpet"]),
        _text(known["toolchain"]),
        _text(guest["name"]),
        _text(guest["sha256"]),
        _table(known["options"]),
        tuple(_text(each) for each in _list(known["hypercalls"])),
        tuple(_text(each) for each in _list(known["system_calls"])),
        tuple(_part(_table(each)) for each in _list(known["parts"])),
        {name: _rules(_table(each)) for name, each in _table(known["filters"]).items()},
        {
            name: _template(_table(each))
            for name, each in _table(known["filters"]).items()
            if "template" in _table(each)
        },
        tuple(_number(each) for each in _list(known["ports"])),
        None if tree is None else _tree(_table(tree)),
    )


def _part(known: dict[str, Any]) -> RecordedPart:
    return RecordedPart(
        _text(known["name"]),
        _number(known["address"]),
        _number(known["size"]),
        _number(known["flags"]),
        _text(known["sha256"]),
    )


def _tree(known: dict[str, Any]) -> RecordedTree:
    return RecordedTree(
        _number(known["address"]),
        _number(known["size"]),
        _text(known["sha256"]),
        _text(known["files"]),
    )


def _rules(known: dict[str, Any]) -> tuple[RecordedRule, ...]:
    return tuple(_rule(_table(each)) for each in _list(known["rules"]))


def _rule(known: dict[str, Any]) -> RecordedRule:
    given = {int(index): _ranges(each) for index, each in _table(known["arguments"]).items()}
    arguments = tuple(given.get(index, (EVERYTHING,)) for index in range(6))
    half = _number(known["half"]) << 32
    pointer = half, half | 0xFFFFFFFF
    allowed = Allowed(NUMBERS[_text(known["call"])], pointer, arguments)
    slots = {
        int(index): (_text(_list(each)[0]), _number(_list(each)[1]))
        for index, each in _table(known.get("slots", {})).items()
    }
    return RecordedRule(allowed, _text(known["why"]), _text(known["stub"]), slots)


def _template(known: dict[str, Any]) -> RecordedTemplate:
    slots = (_slot(*_list(each)) for each in _list(known["slots"]))
    return RecordedTemplate(_number(known["template"]), _number(known["copy"]), tuple(slots))


def _slot(instruction: object, handle: object, which: object) -> Slot:
    found = _number(instruction), _number(handle), _text(which)
    if found[0] >= _MOST or found[1] > MAX_DEVICES or found[2] not in SLOTS:
        raise ValueError(f"{found} is no slot")
    return found


def _ranges(given: object) -> tuple[Range, ...]:
    return joined([_range(_list(each)) for each in _list(given)])


def _range(given: list[Any]) -> Range:
    low, high = given
    return _number(low), _number(high)


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError("a text is missing")
    return given


def _number(given: object) -> int:
    if type(given) is not int or not 0 <= given < 1 << 64:
        raise TypeError("a number is missing")
    return given


def _list(given: object) -> list[Any]:
    if not isinstance(given, list) or len(given) > _MOST:
        raise TypeError("a list is missing")
    return given


def _table(given: object) -> dict[str, Any]:
    if not isinstance(given, dict) or len(given) > _MOST:
        raise TypeError("a table is missing")
    return given
