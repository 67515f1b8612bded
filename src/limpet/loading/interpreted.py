"""What a known interpreter needs, put into its tree: its library, its environment, its modules.

It is found as the interpreter will find it (:mod:`limpet.loading.interpreters` says where).  Which
modules a text uses is read from its lines: rather too many than too few, and none that it only
names while it runs.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Mapping
from pathlib import Path

from limpet.loading.interpreters import MOST_TEXT, Interpreter, imported
from limpet.loading.layers import Layers
from limpet.plain import quoted


class Interpreted:
    """What one interpreter gets.

    Args:
        which: the interpreter.
        layers: the tree, with the host behind it.
        named: the path that a user named it by; absolute.
        real: where that leads to.
    """

    def __init__(self, which: Interpreter, layers: Layers, named: str, real: str) -> None:
        self._which, self._layers = which, layers
        self._named = named
        self._home = self._found_home(real)
        self._library = posixpath.join(self._home or "/", which.library)
        self._environment = self._found_environment()
        there = self._environment is not None
        self._packages = [f"{self._environment}/{which.environment}"] if there else []
        self._known: set[str] = set()
        self.added: list[str] = []
        self.laid: dict[str, Path] = {}
        self.why: list[str] = []

    def pack(self, texts: Mapping[str, Path]) -> None:
        """Put all of it into the tree; ``texts`` are what was given, by their path in the guest."""
        which, layers = self._which, self._layers
        if self._home is None:
            return
        self.added += layers.include_folder(self._library, which.leave)
        without = f", without {', '.join(which.leave)}" if which.leave else ""
        self._say(f"its library {self._library}{without}")
        for each in filter(layers.there, which.also):
            self.added += layers.include_folder(each)
        for packages in filter(layers.there, self._packages):
            layers.add(self._named)
            layers.add(f"{self._environment}/{which.mark}")
            self.added += layers.include_folder(packages, which.unneeded)
            self._say(f"{quoted(packages)}, without {', '.join(which.unneeded)}")
        self._follow(texts)

    @property
    def objects(self) -> list[str]:
        """Those of the files that may need shared objects."""
        return [each for each in self.added if ".so" in posixpath.basename(each)]

    def _say(self, what: str) -> None:
        self.why.append(f"{self._which.name}: {what}")

    def _found_home(self, real: str) -> str | None:
        folder = posixpath.dirname(real)
        while not self._layers.has(posixpath.join(folder, self._which.landmark)):
            if folder == "/":
                return None
            folder = posixpath.dirname(folder)
        return folder

    def _found_environment(self) -> str | None:
        folder = posixpath.dirname(self._named)
        for each in (folder, posixpath.dirname(folder)):
            if self._which.mark and self._layers.there(f"{each}/{self._which.mark}"):
                return each
        return None

    def _follow(self, texts: Mapping[str, Path]) -> None:
        """Add the modules that ``texts`` use, and those that these use."""
        waiting = [
            (str(host), (posixpath.dirname(guest), os.path.dirname(os.path.abspath(host))))
            for guest, host in texts.items()
        ]
        while waiting:
            text, beside = waiting.pop()
            for name in sorted(_imported(text, self._which.imports) - self._known):
                found = self._beside(name, *beside) or self._installed(name)
                if found:
                    self._known.add(name)
                    self._say(f"{quoted(name)}, which {quoted(text)} uses")
                waiting += [(each, beside) for each in found if each.endswith(self._which.suffix)]

    def _beside(self, name: str, guest: str, host: str) -> list[str]:
        """The files of a module that lies in ``host``, laid where that is in the guest.

        Whoever wrote the script made that folder too: no link in it leads to what the user alone
        may read.
        """
        if not _inside(f"{host}/{name}", host):
            return []
        found = [each for each in self._module(host, name) if _inside(each, host)]
        for each in found:
            path = posixpath.join(guest, os.path.relpath(each, host))
            if self._layers.lay(path, each):
                self.laid[path] = Path(each)
            self.added.append(path)
        return found

    def _installed(self, name: str) -> list[str]:
        """The files of a module of the interpreter's home that is not in its library."""
        assert self._home is not None
        packed = (self._library, *self._packages)
        if any(self._module(each, name) for each in packed):
            return []
        for folder in self._which.modules:
            found = self._module(posixpath.join(self._home, folder), name)
            for each in found:
                self._layers.add(each)
            self.added += found
            if found:
                return found
        return []

    def _module(self, folder: str, name: str) -> list[str]:
        """The files in ``folder`` that are the module ``name``."""
        files = self._layers.matching(f"{folder}/{glob.escape(name)}.*")
        files = [each for each in files if each.endswith(self._which.suffixes)]
        below = f"{folder}/{name}"
        if files or not self._layers.there(below) or not os.path.isdir(below):
            return files
        return list(self._layers.below(below, self._which.unneeded))


def _inside(path: str, folder: str) -> bool:
    """Whether a path leads, through all links, to something in that folder."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _imported(text: str, imports: str) -> set[str]:
    """The first words of the names of modules that the text of a file uses."""
    try:
        with open(text, "rb") as stream:
            return imported(stream.read(MOST_TEXT), imports)
    except OSError:
        return set()
