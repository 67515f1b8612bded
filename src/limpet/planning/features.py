"""Features: what a monitor has only where its guest or its user asks for it.

A feature is a folder ``c/monitor/features/NAME`` with a ``feature.toml`` beside its C.  The TOML
says when the feature is in, which C it brings, where the monitor's start calls it, and which
system calls it makes of the host, with the reason for each.  Nothing else names a feature:

    summary = "What it does."
    when = ["option:timeout"]          # all of these facts hold ...
    unless = ["devices"]               # ... and none of these
    needs = ["devices"]                # other features that must be in
    in = "--timeout is given"          # why it is in, for explain
    out = "no --timeout"               # why it is not
    opens_words = true                 # its C opens files that the command line names

    [[file]]                           # C, included in this order
    source = "timeout.c"

    [[hook]]                           # a call at a place of HOOKS
    at = "prepared"
    call = "start_timeout()"
    otherwise = "..."                  # the call where the feature is out, but all it needs is in

    [[constant]]                       # a number for plan.h: an option's, or the feature's own
    name = "TIMEOUT_MS"
    option = "timeout"

    [[host]]                           # a system call that the C makes
    call = "write"
    why = "the line of a timeout"
    phase = "behind"                   # "before" the filter, "behind" it, "beside"; by a "tracer"
    arguments = [{ index = 0, values = ["STDERR"] }]   # behind it: as in hypercall.toml

``file``, ``hook`` and ``host`` can have ``when`` and ``unless`` of their own.  What every monitor
has is declared in the same way, in ``c/monitor/core`` and ``c/monitor/solo5``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from limpet.arch.x86_64.host import REQUESTS
from limpet.contract import Backend, HostCall, Hypercall, Pin
from limpet.contract.hypercall import host_call
from limpet.contract.limits import number
from limpet.errors import PlanError
from limpet.formats.manifest import Device
from limpet.planning.filters import resolved
from limpet.planning.hooks import HOOKS
from limpet.planning.options import Options
from limpet.planning.plan import Decision
from limpet.planning.seccomp import Rule
from limpet.sources import MONITOR_ROOT

_NOBODY_ELSE = (1 << 32) - 1
"""What setresuid takes for "as it is"."""

ASKED = "asked"
"""The fact that a feature is named in ``Options.features``."""


@dataclass(frozen=True)
class Condition:
    """Facts that must hold, and facts that must not."""

    when: frozenset[str]
    unless: frozenset[str]

    def holds(self, facts: frozenset[str]) -> bool:
        """Whether it does."""
        return self.when <= facts and not self.unless & facts


@dataclass(frozen=True)
class Hook:
    """A call from the monitor's start."""

    at: str
    call: str
    otherwise: str
    condition: Condition


@dataclass(frozen=True)
class Made:
    """A system call that a part of the monitor makes, and when."""

    host: HostCall
    behind: bool
    beside: bool
    traced: bool
    first: bool
    requests: tuple[str, ...]
    condition: Condition


@dataclass(frozen=True)
class Feature:
    """A part of a monitor, as its ``feature.toml`` declares it."""

    name: str
    summary: str
    optional: bool
    condition: Condition
    needs: tuple[str, ...]
    why_in: str
    why_out: str
    files: tuple[tuple[str, Condition], ...]
    hooks: tuple[Hook, ...]
    constants: tuple[tuple[str, str], ...]
    hosts: tuple[Made, ...]
    opens_words: bool

    @property
    def can_be_asked_for(self) -> bool:
        """Whether ``Options.features`` may name it."""
        return ASKED in self.condition.when


@dataclass(frozen=True)
class Chosen:
    """The features of one monitor, in the order of their C, and the facts that chose them."""

    features: tuple[Feature, ...]
    facts: frozenset[str]

    def files(self) -> Iterator[str]:
        """The C to include, as paths below ``c/monitor``."""
        for feature in self.features:
            for path, condition in feature.files:
                if condition.holds(self.facts):
                    yield path

    def calls(self, at: str) -> list[str]:
        """What the start calls at a hook."""
        named = {feature.name for feature in self.features}
        found = []
        for feature in _ordered():
            for hook in feature.hooks:
                if hook.at != at or not hook.condition.holds(self.facts):
                    continue
                if feature.name in named:
                    found.append(hook.call)
                elif hook.otherwise and set(feature.needs) <= named:
                    found.append(hook.otherwise)
        return found

    def constants(self, options: Options) -> dict[str, int]:
        """The numbers that features add to ``plan.h``."""
        asked = _asked(options)
        return {
            name: int(getattr(options, option)) if option else asked.get(feature.name, 0)
            for feature in self.features
            for name, option in feature.constants
        }

    def made(self) -> Iterator[Made]:
        """The system calls of all of them."""
        for feature in self.features:
            yield from (made for made in feature.hosts if made.condition.holds(self.facts))

    def beside(self, name: str) -> list[HostCall]:
        """Those of the process beside a guest that one of them starts."""
        mine = (feature for feature in self.features if feature.name == name)
        hosts = (made for feature in mine for made in feature.hosts if made.beside)
        return [made.host for made in hosts if made.condition.holds(self.facts)]

    def rules(self, backend: Backend) -> tuple[list[Rule], list[Rule]]:
        """What the filter of ``backend`` has to let through: to be asked first, and last."""
        others = {f"backend:{each}" for each in ("kvm", "process") if each != backend}
        facts = self.facts - others
        first: list[Rule] = []
        last: list[Rule] = []
        for feature in self.features:
            for made in feature.hosts:
                if made.behind and made.condition.holds(facts):
                    rules = first if made.first else last
                    rules += _rules(feature.name, made.host, backend)
        return first, last

    def decisions(self) -> list[Decision]:
        """Every feature, in or out, and why."""
        named = {feature.name for feature in self.features}
        return [
            Decision(
                "feature",
                each.name,
                each.name in named,
                each.why_in if each.name in named else each.why_out,
            )
            for each in features()
            if each.optional
        ]


def _rules(name: str, host: HostCall, backend: Backend) -> Iterator[Rule]:
    label = f"host_{name}_{host.call}" if backend == "process" else None
    for pins in resolved(host, backend, ()):
        yield Rule(host.call, host.why, pins, label)


_WORD = re.compile(r"([a-z][a-z0-9_]*)(?:=([0-9]{1,9}))?")


def with_parts(chosen: Chosen, backend: Backend, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """``rules`` of the hypercalls and those of the monitor's own parts, each once."""
    first, last = chosen.rules(backend)
    found: dict[tuple[str, tuple[Pin, ...], str | None], Rule] = {}
    for rule in (*first, *rules, *last):
        found.setdefault((rule.call, rule.pins, rule.label), rule)
    return tuple(found.values())


def check(options: Options) -> dict[str, int]:
    """The features that are asked for by name, each with its number.

    Raises:
        PlanError: a feature is asked for that there is not, or a user that nobody can become.
    """
    asked = _asked(options)
    _check(options.features)
    if not 0 < options.uid < _NOBODY_ELSE or not 0 < options.gid < _NOBODY_ELSE:
        raise PlanError(
            f"--user {options.uid}:{options.gid}: no user or group that a monitor can become",
            hint="give numbers from 1 to 4294967294; 65534 is usual",
        )
    return asked


def choose(options: Options, facts: Iterable[str]) -> Chosen:
    """The features for ``options`` and what else the plan knows (``device:net``, ``guest:hvt``).

    Raises:
        PlanError: a feature is asked for that there is not.
    """
    asked = check(options)
    given = {f"option:{each.name}" for each in fields(options) if getattr(options, each.name)}
    given |= {f"backend:{each}" for each in options.backends} | set(facts)
    found: list[Feature] = []
    for feature in _ordered():
        mine = frozenset(given | ({ASKED} if feature.name in asked else set()))
        if feature.condition.holds(mine) and set(feature.needs) <= {f.name for f in found}:
            found.append(feature)
    return Chosen(tuple(found), frozenset(given))


def open_words(asked: Iterable[str]) -> bool:
    """Whether one of the features that ``Options.features`` names opens what the user names."""
    named = {word.partition("=")[0] for word in asked}
    return any(each.opens_words for each in features() if each.name in named)


def _asked(options: Options) -> dict[str, int]:
    """The features that are asked for by name, each with its number, which is 1 unless given.

    Raises:
        PlanError: a word is not ``NAME`` or ``NAME=NUMBER``.
    """
    found: dict[str, int] = {}
    for word in options.features:
        match = _WORD.fullmatch(word)
        if not match or match[1] in found:
            raise PlanError(
                f"a feature cannot be asked for with {word!r}",
                hint="write NAME or NAME=NUMBER, and each name once",
            )
        found[match[1]] = int(match[2] or 1)
    return found


def _check(words: Iterable[str]) -> None:
    known = {each.name: each for each in features() if each.can_be_asked_for}
    for name, _, amount in (word.partition("=") for word in words):
        if name not in known:
            names = ", ".join(sorted(known))
            raise PlanError(
                f"no such feature: {name}",
                hint=f"there are {names}" if known else "none can be asked for by name",
            )
        if amount and all(option for _, option in known[name].constants):
            raise PlanError(f"the feature {name} takes no number", hint=f"write {name}")


@cache
def features() -> tuple[Feature, ...]:
    """Every part of monitors that has a ``feature.toml``, by name; what all have comes first."""
    own = sorted(MONITOR_ROOT.glob("*/feature.toml"))
    optional = sorted(MONITOR_ROOT.glob("features/*/feature.toml"))
    return tuple(_read(path, path in optional) for path in (*own, *optional))


@cache
def _ordered() -> tuple[Feature, ...]:
    """Each behind those that it needs."""
    found: list[Feature] = []
    waiting = list(features())
    while waiting:
        names = {feature.name for feature in found}
        ready = next(each for each in waiting if set(each.needs) <= names)
        waiting.remove(ready)
        found.append(ready)
    return tuple(found)


def _number(given: int | str) -> int:
    return REQUESTS[given] if isinstance(given, str) and given in REQUESTS else number(given)


def _condition(table: Mapping[str, Any]) -> Condition:
    return Condition(frozenset(table.get("when", ())), frozenset(table.get("unless", ())))


def _made(table: dict[str, Any]) -> Made:
    assert table["phase"] in ("before", "behind", "beside", "tracer"), table
    return Made(
        host_call(table, _number),
        table["phase"] in ("behind", "tracer"),
        table["phase"] == "beside",
        table["phase"] == "tracer",
        table.get("first", False),
        tuple(table.get("requests", ())),
        _condition(table),
    )


_KEYS = {"summary", "when", "unless", "needs", "in", "out", "file", "hook", "constant", "host"}
_KEYS |= {"opens_words"}


def _read(path: Path, optional: bool) -> Feature:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert table.keys() <= _KEYS, f"{path}: unknown keys {table.keys() - _KEYS}"
    folder = path.parent.relative_to(MONITOR_ROOT)
    hooks = tuple(
        Hook(each["at"], each["call"], each.get("otherwise", ""), _condition(each))
        for each in table.get("hook", ())
    )
    assert all(hook.at in HOOKS for hook in hooks), path
    return Feature(
        name=path.parent.name,
        summary=table["summary"],
        optional=optional,
        condition=_condition(table),
        needs=tuple(table.get("needs", ())),
        why_in=table.get("in", ""),
        why_out=table.get("out", ""),
        files=tuple((f"{folder}/{f['source']}", _condition(f)) for f in table.get("file", ())),
        hooks=hooks,
        constants=tuple((c["name"], c.get("option", "")) for c in table.get("constant", ())),
        hosts=tuple(_made(each) for each in table.get("host", ())),
        opens_words=table.get("opens_words", False),
    )


def facts(
    guest: Iterable[str],
    devices: Iterable[Device],
    rules: Iterable[Rule],
    blobs: Iterable[str],
    *,
    table: bool,
    hypercalls: Iterable[Hypercall] = (),
) -> set[str]:
    """What features may be chosen by, beside options.

    Args:
        guest: what the guest is, for example ``solo5`` and ``hvt``.
        devices: its devices.
        rules: of the hypercalls, in every backend's filter.
        blobs: names of the structures that the monitor hands to KVM.
        table: whether there is a table of devices, be it empty.
        hypercalls: those of the plan.
    """
    hypercalls = tuple(hypercalls)
    found = {f"guest:{each}" for each in guest} | {f"blob:{each}" for each in blobs}
    found |= {f"device:{each.kind}" for each in devices}
    found |= {f"hypercall:{each.name}" for each in hypercalls}
    if table:
        found.add("devices")
    if any(pin.slots for call in hypercalls for host in call.host for pin in host.pins):
        found.add("slots")
    if any(each.sockets for each in hypercalls):
        found.add("sockets")
    found |= {f"call:{rule.call}" for rule in rules}
    if any(pin.slot for rule in rules for pin in rule.pins):
        found.add("filter:slots")
    return found
