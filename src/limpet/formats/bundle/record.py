"""``Record``: what a bundle says of itself — how to make it again, and what its bytes ought to be.

It is JSON in one form only: what is read and written again is the same text, or it is refused.
Every string has a grammar and every number a range, since the record of a bundle that someone else
made is hostile.  ``audit`` believes none of it: it says where bytes and record disagree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limpet.contract.limits import CONTRACT_VERSION, MAX_DEVICES
from limpet.contract.pages import PAGE
from limpet.contract.slots import HELD, SLOTS, Slot
from limpet.errors import BundleError
from limpet.formats.bundle.strict import MOST, WORD, Table, list_of, number_of, text_of
from limpet.formats.memory import MAX_HOT, MAX_SEALED, ascending
from limpet.formats.tree.layout import MAX_TREE

LOCATE = 8
"""Hex digits for each packed file: to say which one differs; the tree's own SHA-256 decides."""

MAX_RECORD = 8 << 20  # bytes

MAX_RUNS = 256  # pieces of the guest's file that lie in memory

_MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS
_ARGUMENTS = 6
_MOMENT = "hot", "loaded", "sealed", "idle", "hidden"

Range = tuple[int, int]
"""Inclusive."""

Run = tuple[int, int, int]
"""Offset in the guest's file, bytes, address in memory."""

Option = int | bool | str | tuple[str, ...]

_VERSION = re.compile(r"[0-9A-Za-z.+_-]{1,64}")
_TOOLCHAIN = re.compile(r"[a-z]{1,32} [0-9A-Za-z.+_-]{1,64}")
_FILE_NAME = re.compile(r"[^/\0]{1,255}")
_PATH = re.compile(r"(?:/[^/\0]{1,255}){0,2000}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_STUB = re.compile(r"[A-Za-z0-9_]{0,100}")
_PART = re.compile(r"[a-z0-9_+]{1,1000}")
_WHY = re.compile(r"[ -~]{0,400}")
_HEX = re.compile(r"(?:[0-9a-f]{8}){0,1000000}")
_OPTION = re.compile(r"[^\0]{0,131072}")


@dataclass(frozen=True)
class Guest:
    """The guest's own file: how large it is, and which runs of it are in the bundle's memory.

    ``path`` is where the program is in its tree, nothing where it is not there.
    """

    name: str
    sha256: str
    size: int
    runs: tuple[Run, ...]
    path: str = ""


@dataclass(frozen=True)
class Part:
    """A segment as it was written."""

    name: str
    address: int
    size: int
    flags: int
    sha256: str


@dataclass(frozen=True)
class Rule:
    """A rule of a filter: a call with its arguments' ranges, those that are limited.

    ``half`` is the upper half of the instruction pointer, ``stub`` names the only instruction it is
    for, if there is one, ``slots`` the arguments held against what the start knows of a device.
    """

    call: str
    why: str
    stub: str
    half: int
    arguments: Mapping[int, tuple[Range, ...]]
    slots: Mapping[int, tuple[str, int]]


@dataclass(frozen=True)
class Template:
    """A filter that the start completes: where it lies, and what is stored into it."""

    address: int
    copy: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Filter:
    """What a backend's filter lets through, and what becomes of the rest."""

    default: int
    rules: tuple[Rule, ...]
    template: Template | None


@dataclass(frozen=True)
class Machine:
    """What of a virtual machine depends on the guest: its ring, and code that cannot be read."""

    ring: int
    execute_only: bool


@dataclass(frozen=True)
class Tree:
    """The packed files; ``files`` has :data:`LOCATE` digits of each file's SHA-256."""

    address: int
    size: int
    sha256: str
    files: str


@dataclass(frozen=True)
class Record:
    """What a bundle says of itself; the last three are what :class:`Memory` has."""

    limpet: str
    toolchain: str
    contract: int
    guest: Guest
    options: Mapping[str, Option]
    plan: str
    hypercalls: tuple[str, ...]
    system_calls: tuple[str, ...]
    parts: tuple[Part, ...]
    filters: Mapping[str, Filter]
    machine: Machine | None
    ports: tuple[int, ...]
    tree: Tree | None
    hot: tuple[tuple[int, int], ...] = ()
    loaded: tuple[int, ...] = ()
    sealed: tuple[tuple[int, int], ...] = ()
    idle: tuple[int, ...] = ()
    hidden: tuple[tuple[int, int], ...] = ()

    def pack(self) -> bytes:
        """The one form in which a bundle has it."""
        known: dict[str, Any] = {
            "limpet": self.limpet,
            "toolchain": self.toolchain,
            "contract": self.contract,
            "guest": {
                name: each for name, each in vars(self.guest).items() if each or name != "path"
            },
            "options": dict(self.options),
            "plan": self.plan,
            "hypercalls": self.hypercalls,
            "system_calls": self.system_calls,
            "parts": [vars(part) for part in self.parts],
            "filters": {name: _filter_data(each) for name, each in self.filters.items()},
            "machine": vars(self.machine) if self.machine else None,
            "ports": self.ports,
        }
        known |= {"tree": vars(self.tree)} if self.tree else {}
        known |= {name: value for name in _MOMENT if (value := getattr(self, name))}
        return json.dumps(known, sort_keys=True, separators=(",", ":")).encode()


def _filter_data(each: Filter) -> dict[str, Any]:
    known = {"default": each.default, "rules": [_rule_data(rule) for rule in each.rules]}
    return known | ({"template": vars(each.template)} if each.template else {})


def _rule_data(rule: Rule) -> dict[str, Any]:
    known = {"call": rule.call, "why": rule.why, "stub": rule.stub, "half": rule.half}
    known["arguments"] = {str(index): ranges for index, ranges in rule.arguments.items()}
    return known | ({"slots": {str(i): s for i, s in rule.slots.items()}} if rule.slots else {})


def read_record(text: bytes, name: str, here: str) -> Record:
    """The record whose bytes are ``text``.

    Args:
        name: what errors call the bundle.
        here: the version of this Limpet, for the error.

    Raises:
        BundleError: it is damaged, of another Limpet, or not in the one form.
    """
    try:
        found = _record(Table(json.loads(text)))
        if found.pack() != text:
            raise ValueError("it is not in the form that Limpet writes")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(
            f"{name}: its record is damaged, or of another Limpet than {here} "
            f"({type(error).__name__}: {error!s:.300})",
            hint="use the Limpet that made it, or build it again",
        ) from None
    return found


def _record(known: Table) -> Record:
    filters = known.table("filters")
    return Record(
        limpet=known.text("limpet", _VERSION),
        toolchain=known.text("toolchain", _TOOLCHAIN),
        contract=_contract(known),
        guest=_guest(known.table("guest")),
        options={text_of(k, WORD): _option(v) for k, v in known.table("options").known.items()},
        plan=known.text("plan", _DIGEST),
        hypercalls=known.words("hypercalls"),
        system_calls=known.words("system_calls"),
        parts=tuple(_part(Table(each)) for each in known.list("parts")),
        filters={text_of(name, WORD): _filter(filters.table(name)) for name in filters.known},
        machine=None if known.known["machine"] is None else _machine(known.table("machine")),
        ports=tuple(number_of(each, 0xFFFF) for each in known.list("ports")),
        tree=_tree(known.table("tree")) if "tree" in known.known else None,
        hot=ascending(map(_pages, _some(known, "hot", MAX_HOT))),
        loaded=tuple(number_of(each, 1 << 32) for each in _some(known, "loaded")),
        sealed=ascending(map(_pages, _some(known, "sealed", MAX_SEALED))),
        idle=tuple(number_of(each, 1 << 32) for each in _some(known, "idle")),
        hidden=ascending(map(_pages, _some(known, "hidden", MAX_SEALED))),
    )


def _some(known: Table, name: str, most: int = MOST) -> list[Any]:
    return known.list(name, most) if name in known.known else []


def _pages(given: object) -> tuple[int, int]:
    low, high = _range(*list_of(given))
    if low % PAGE or high % PAGE or low == high or high >= 1 << 47:
        raise ValueError(f"pages from {low:#x} to {high:#x}")
    return low, high


def _contract(known: Table) -> int:
    version = known.number("contract")
    if version != CONTRACT_VERSION:
        raise ValueError(f"contract {version}, here is {CONTRACT_VERSION}")
    return version


def _option(given: object) -> Option:
    if isinstance(given, bool):
        return given
    if isinstance(given, list):
        return tuple(text_of(each, _OPTION) for each in list_of(given))
    return text_of(given, _OPTION) if isinstance(given, str) else number_of(given, (1 << 63) - 1)


def _guest(known: Table) -> Guest:
    runs = (list_of(each) for each in known.list("runs", MAX_RUNS))
    return Guest(
        known.text("name", _FILE_NAME),
        known.text("sha256", _DIGEST),
        known.number("size", 1 << 40),
        tuple(_run(*each) for each in runs),
        known.text("path", _PATH) if "path" in known.known else "",
    )


def _run(offset: object, size: object, address: object) -> Run:
    return number_of(offset, 1 << 40), number_of(size, 1 << 40), number_of(address, (1 << 48) - 1)


def _part(known: Table) -> Part:
    return Part(
        known.text("name", _PART),
        known.number("address"),
        known.number("size"),
        known.number("flags", 7),
        known.text("sha256", _DIGEST),
    )


def _machine(known: Table) -> Machine:
    ring, only = known.number("ring", 3), known.known["execute_only"]
    if ring not in (0, 3) or not isinstance(only, bool):
        raise ValueError("a virtual machine has ring 0 or 3, and code that can be read or not")
    return Machine(ring, only)


def _tree(known: Table) -> Tree:
    return Tree(
        known.number("address"),
        known.number("size", MAX_TREE),
        known.text("sha256", _DIGEST),
        known.text("files", _HEX),
    )


def _filter(known: Table) -> Filter:
    template = known.table("template") if "template" in known.known else None
    return Filter(
        known.number("default", 0xFFFFFFFF),
        tuple(_rule(Table(each)) for each in known.list("rules")),
        None if template is None else _template(template),
    )


def _template(known: Table) -> Template:
    slots = (list_of(each) for each in known.list("slots"))
    return Template(
        known.number("address"), known.number("copy"), tuple(_slot(*each) for each in slots)
    )


def _slot(instruction: object, handle: object, which: object) -> Slot:
    if which not in SLOTS:
        raise ValueError(f"{which!r:.60} cannot be stored into a filter")
    return (
        number_of(instruction, _MOST_INSTRUCTIONS - 1),
        number_of(handle, MAX_DEVICES),
        str(which),
    )


def _rule(known: Table) -> Rule:
    arguments = known.table("arguments").known
    slots = known.table("slots").known if "slots" in known.known else {}
    return Rule(
        call=known.text("call", WORD),
        why=known.text("why", _WHY),
        stub=known.text("stub", _STUB),
        half=known.number("half", 0xFFFFFFFF),
        arguments={_index(i): _ranges(each) for i, each in arguments.items()},
        slots={_index(i): _held(_index(i), *list_of(each)) for i, each in slots.items()},
    )


def _index(given: str) -> int:
    return ("0", "1", "2", "3", "4", "5").index(given)


def _ranges(given: object) -> tuple[Range, ...]:
    found = tuple(_range(*list_of(each)) for each in list_of(given))
    if not found:
        raise ValueError("an argument without a range")
    return found


def _range(low: object, high: object) -> Range:
    most = (1 << 64) - 1
    return number_of(low, number_of(high, most)), number_of(high, most)


def _held(index: int, which: object, handle: object) -> tuple[str, int]:
    if which not in HELD or (which == "within" and not index):
        raise ValueError(f"an argument cannot be held against {which!r:.60}")
    return str(which), number_of(handle, MAX_DEVICES)
