"""What is installed in a folder of packages, as pip tells it there: names, and what they need.

Each installation has a folder ``*.dist-info`` whose ``RECORD`` lists its files and whose
``METADATA`` names what it requires.  Nothing is run, and no lines of code are looked at.  Sources:
the specifications of the Python Packaging Authority, "Recording installed projects", "Core
metadata", "Names and normalization" and "Entry points".
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass

from limpet.loading.layers import Layers

POINTS = "entry_points.txt"
"""The file of such a folder that names modules for others to look for."""

_TOP = re.compile(rb'(?m)^"?([^/,\n"]+)')
_REQUIRES = re.compile(rb"(?m)^Requires-Dist:[ \t]*([\w.-]+)[ \t]*(?:\[([^\]\n]*)\])?([^\n]*)")
_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)")
_GROUP = re.compile(rb"(?m)^[ \t]*\[([^\]\n]*)\]")
_COMMANDS = {"console_scripts", "gui_scripts"}
_NOT_MODULES = (".dist-info", ".data")
_TOLD_IN = ("RECORD", "METADATA", POINTS)


@dataclass(frozen=True)
class Requirement:
    """A distribution that is needed, with the ``extras`` that are wanted of it.

    ``only_for`` are the extras of the one that needs it, any of which makes it needed.
    """

    name: str
    extras: frozenset[str]
    only_for: frozenset[str]


@dataclass(frozen=True)
class Distribution:
    """One that is installed: ``tops`` are its files and folders in the folder of packages.

    ``info`` is the folder that says so, ``groups`` are those that it has entry points for.
    """

    info: str
    tops: frozenset[str]
    requires: tuple[Requirement, ...]
    groups: tuple[str, ...]

    @property
    def modules(self) -> set[str]:
        """The names of its modules, as far as the first part."""
        return {each.partition(".")[0] for each in self.tops}

    def extends(self, name: str) -> bool:
        """Whether it has entry points for the distribution ``name``: ``pytest11``, ``flask.x``."""
        return any(re.match(rf"{re.escape(name)}(?![a-z])", _normal(each)) for each in self.groups)


class Distributions:
    """Those in ``folder``."""

    def __init__(self, folder: str, layers: Layers) -> None:
        self._by_name: dict[str, Distribution] = {}
        self._by_module: dict[str, list[str]] = {}
        self._extended_by: dict[str, list[Requirement]] = {}
        for info in layers.matching(f"{glob.escape(folder)}/*.dist-info"):
            name = _normal(info.rpartition("/")[2].partition("-")[0])
            texts = (layers.look(f"{info}/{name}") for name in _TOLD_IN)
            found = _read(info, *(each or b"" for each in texts))
            self._by_name[name] = found
            for each in found.modules:
                self._by_module.setdefault(each, []).append(name)

    def needed(self, modules: Iterable[str]) -> list[Distribution]:
        """What these modules belong to, what that requires, and what extends any of them."""
        waiting = [
            (name, frozenset[str]())
            for module in modules
            for name in self._by_module.get(module, [])
        ]
        done = set(waiting)
        while waiting:
            name, extras = waiting.pop()
            for each in (*self._by_name[name].requires, *self._plugins(name)):
                wanted = not each.only_for or not each.only_for.isdisjoint(extras)
                new = (each.name, each.extras)
                if wanted and each.name in self._by_name and new not in done:
                    done.add(new)
                    waiting.append(new)
        return [self._by_name[each] for each in sorted({name for name, _ in done})]

    def _plugins(self, name: str) -> list[Requirement]:
        if name not in self._extended_by:
            found = [each for each, one in self._by_name.items() if one.extends(name)]
            nothing = frozenset[str]()
            self._extended_by[name] = [Requirement(each, nothing, nothing) for each in found]
        return self._extended_by[name]


def _read(info: str, record: bytes, metadata: bytes, points: bytes) -> Distribution:
    names = {match.decode(errors="surrogateescape") for match in _TOP.findall(record)}
    tops = {each for each in names if each not in (".", "..", "__pycache__")}
    head = metadata.replace(b"\r", b"").partition(b"\n\n")[0]
    requires = tuple(
        _requirement(*(each.decode(errors="replace") for each in match))
        for match in _REQUIRES.findall(head)
    )
    tops = {each for each in tops if not each.endswith(_NOT_MODULES)}
    groups = (each.decode(errors="replace").strip() for each in _GROUP.findall(points))
    return Distribution(info, frozenset(tops), requires, tuple(set(groups) - _COMMANDS))


def _requirement(name: str, extras: str, rest: str) -> Requirement:
    wanted = frozenset(_normal(each.strip()) for each in extras.split(",") if each.strip())
    return Requirement(_normal(name), wanted, frozenset(map(_normal, _EXTRA.findall(rest))))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
