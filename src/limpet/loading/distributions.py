"""What is installed in a folder of packages, as pip tells it there: names, and what they need.

Each installation has a folder ``*.dist-info`` whose ``RECORD`` lists its files and whose
``METADATA`` names what it requires.  Nothing is run, and no lines of code are looked at.  Sources:
the specifications of the Python Packaging Authority, "Recording installed projects", "Core
metadata" and "Names and normalization".
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass

from limpet.loading.layers import Layers

_TOP = re.compile(rb'(?m)^"?([^/,\n"]+)')
_REQUIRES = re.compile(rb"(?m)^Requires-Dist:[ \t]*([\w.-]+)[ \t]*(?:\[([^\]\n]*)\])?([^\n]*)")
_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)")
_NOT_MODULES = (".dist-info", ".data")


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
    """One that is installed: ``tops`` are its files and folders in the folder of packages."""

    tops: frozenset[str]
    requires: tuple[Requirement, ...]

    @property
    def modules(self) -> set[str]:
        """The names of its modules, as far as the first part."""
        return {each.partition(".")[0] for each in self.tops}


class Distributions:
    """Those in ``folder``."""

    def __init__(self, folder: str, layers: Layers) -> None:
        self._by_name: dict[str, Distribution] = {}
        self._by_module: dict[str, list[str]] = {}
        for info in layers.matching(f"{glob.escape(folder)}/*.dist-info"):
            name = _normal(info.rpartition("/")[2].partition("-")[0])
            found = _read(layers.look(f"{info}/RECORD"), layers.look(f"{info}/METADATA"))
            self._by_name[name] = found
            for each in found.modules:
                self._by_module.setdefault(each, []).append(name)

    def tops_for(self, modules: Iterable[str]) -> set[str]:
        """The files and folders that belong to these modules, and to what they require."""
        waiting = [
            (name, frozenset[str]())
            for module in modules
            for name in self._by_module.get(module, [])
        ]
        done = set(waiting)
        tops: set[str] = set()
        while waiting:
            name, extras = waiting.pop()
            found = self._by_name[name]
            tops |= found.tops
            for each in found.requires:
                wanted = not each.only_for or not each.only_for.isdisjoint(extras)
                more = (each.name, each.extras)
                if wanted and each.name in self._by_name and more not in done:
                    done.add(more)
                    waiting.append(more)
        return tops


def _read(record: bytes | None, metadata: bytes | None) -> Distribution:
    names = {match.decode(errors="surrogateescape") for match in _TOP.findall(record or b"")}
    tops = {each for each in names if each not in (".", "..", "__pycache__")}
    head = (metadata or b"").replace(b"\r", b"").partition(b"\n\n")[0]
    requires = tuple(
        _requirement(*(each.decode(errors="replace") for each in match))
        for match in _REQUIRES.findall(head)
    )
    return Distribution(
        frozenset(each for each in tops if not each.endswith(_NOT_MODULES)), requires
    )


def _requirement(name: str, extras: str, rest: str) -> Requirement:
    wanted = frozenset(_normal(each.strip()) for each in extras.split(",") if each.strip())
    return Requirement(_normal(name), wanted, frozenset(map(_normal, _EXTRA.findall(rest))))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
