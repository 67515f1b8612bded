"""What a known interpreter needs, put into its tree: its library, its environment, its modules.

It is found as the interpreter will find it (:mod:`limpet.loading.interpreters` says where).  Which
modules a text uses is read from its lines: rather too many than too few, and none that it only
names while it runs.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from limpet.loading.asked import NOTHING, Wants
from limpet.loading.interpreters import MOST_TEXT, Interpreter, imported
from limpet.loading.layers import Layers
from limpet.loading.offers import ZONES
from limpet.loading.packages import Packages
from limpet.plain import quoted

_NO_ZONES = ("localtime", "posix", "posixrules", "right")
"""The same again, and what says where this host is."""

_TERMINALS = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo")
"""Where ncurses looks for what a terminal can do (terminfo(5)): below the first letter, by name."""

_USUAL = (
    *("alacritty", "ansi", "dumb", "foot", "linux", "rxvt*", "screen", "screen-256color"),
    *(
        "screen.xterm-256color",
        "tmux",
        "tmux-256color",
        "vt100",
        "vt220",
        "xterm",
        "xterm-256color",
    ),
    *("xterm-color", "xterm-ghostty", "xterm-kitty"),
)
"""Terminals that people have."""

_NOWHERE = ("", "")
"""Beside a text that lies in no folder of the user's."""


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
        self._system = True
        self._packages: Packages | None = None
        self._told: dict[str, Packages] = {}
        self._whole = [self._library]
        self._zones, self._terminals = layers.there(ZONES), True
        self._known: set[str] = set()
        self.added: list[str] = []
        self.laid: dict[str, Path] = {}
        self.why: list[str] = []

    def pack(self, texts: Mapping[str, Path], wants: Wants = NOTHING) -> None:
        """Put all of it into the tree; ``texts`` are what was given, by their path in the guest."""
        which, layers = self._which, self._layers
        if self._home is None:
            return
        self.added += layers.include_folder(self._library, which.leave)
        without = f", without {', '.join(which.leave)}" if which.leave else ""
        self._say(f"its library {self._library}{without}")
        for each in (posixpath.join(self._home, folder) for folder in which.also):
            self.added += layers.include_folder(each) if layers.there(each) else []
        if self._environment is not None:
            layers.add(self._named)
            self._system = _has_system(layers.add(f"{self._environment}/{which.mark}"))
            folder = f"{self._environment}/{which.environment}"
            if not wants.alone and layers.there(folder):
                self._pack_packages(Packages(which, layers, folder))
        self._follow(texts, wants)

    def _pack_packages(self, packages: Packages) -> None:
        self.added += packages.pack()
        self._say(packages.why)
        self._packages = packages
        if packages.whole:
            self._whole.append(packages.folder)

    @property
    def left_out(self) -> str:
        """What was not packed, and would have been of less; or nothing."""
        return self._packages.why if self._packages and not self._packages.whole else ""

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

    def _follow(self, texts: Mapping[str, Path], wants: Wants) -> None:
        """Add the modules that ``texts`` use, and those that these use."""
        waiting = [
            (str(host), (posixpath.dirname(guest), os.path.dirname(os.path.abspath(host))))
            for guest, host in texts.items()
        ]
        for name in wants.modules:
            waiting += self._taken(name, "what is run names", _NOWHERE, wants)
        while waiting:
            text, beside = waiting.pop()
            for name in sorted(_names_in(text, self._which) - self._known):
                waiting += self._taken(name, f"{quoted(text)} uses", beside, wants)

    def _taken(
        self, name: str, why: str, beside: tuple[str, str], wants: Wants
    ) -> list[tuple[str, tuple[str, str]]]:
        """Add the module ``name``; the texts of it whose modules are not known."""
        if name in self._which.zones and self._zones:
            self._layers.include_folder(ZONES, _NO_ZONES)
            self._say(f"{ZONES}, for {quoted(name)}, which {why}")
            self._zones = False
        if name in self._which.terminals and self._terminals:
            self._pack_terminals(f"{quoted(name)}, which {why}")
        found = self._beside(name, *beside) if beside[1] else []
        followed = found
        if not found and not wants.alone:
            found, followed = self._installed(name)
        if found:
            self._known.add(name)
            self._say(f"{quoted(name)}, which {why}")
        return [(each, beside) for each in followed if each.endswith(self._which.suffix)]

    def _pack_terminals(self, why: str) -> None:
        patterns = (f"{folder}/{each[0]}/{each}" for folder in _TERMINALS for each in _USUAL)
        for path in (path for each in patterns for path in self._layers.matching(each)):
            self._layers.add(path)
        self._say(f"what usual terminals can do, for {why}")
        self._terminals = False

    def _beside(self, name: str, guest: str, host: str) -> list[str]:
        """The files of a module that lies in ``host``, laid where that is in the guest.

        Whoever wrote the script made that folder too: no link in it leads to what the user alone
        may read.
        """
        if not _inside(f"{host}/{name}", host):
            return []
        folders = [os.path.join(host, each) for each in self._which.beside]
        modules = (each for folder in folders for each in self._module(folder, name))
        found = [each for each in modules if _inside(each, host)]
        for each in found:
            path = posixpath.join(guest, os.path.relpath(each, host))
            if self._layers.lay(path, each):
                self.laid[path] = Path(each)
            self.added.append(path)
        return found

    def _installed(self, name: str) -> tuple[list[str], list[str]]:
        """The files of a module that is not in the library, and those whose modules are not known.

        Whoever installed a package often tells what it requires.
        """
        if any(self._module(each, name) for each in self._whole):
            return [], []
        for folder in self._places():
            told = self._told.setdefault(folder, Packages(self._which, self._layers, folder))
            found = told.take([name])
            if found:
                self.added += found
                return found, []
            found = self._module(folder, name)
            for each in found:
                self._layers.add(each)
            self.added += found
            if found:
                return found, found
        return [], []

    def _places(self) -> Iterator[str]:
        """The folders in which modules are installed."""
        assert self._home is not None
        if self._packages:
            yield from self._packages.places
        for each in self._which.modules if self._system else ():
            folder = posixpath.normpath(posixpath.join(self._home, each))
            yield from self._layers.matching(folder) if "*" in each else (folder,)

    def _module(self, folder: str, name: str) -> list[str]:
        """The files in ``folder`` that are the module ``name``."""
        which = self._which
        if which.deep:
            name = name.replace(which.deep, "/")
        files = self._layers.matching(f"{glob.escape(folder)}/{glob.escape(name)}.*")
        files = [each for each in files if each.endswith(which.suffixes)]
        below = [f"{folder}/{name}"] if which.deep or not files else []
        if files and which.parts:
            below.append(f"{folder}/{which.parts}/{name}")
        for each in below:
            if self._layers.there(each) and os.path.isdir(each):
                more = self._layers.below(each, which.unneeded)
                files += [one for one in more if not which.deep or one.endswith(which.suffixes)]
        return files


def _inside(path: str, folder: str) -> bool:
    """Whether a path leads, through all links, to something in that folder."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _names_in(path: str, which: Interpreter) -> set[str]:
    """The modules that a text names."""
    try:
        with open(path, "rb") as stream:
            return imported(stream.read(MOST_TEXT), which)
    except OSError:
        return set()


def _has_system(mark: bytes | None) -> bool:
    """Whether an environment says that what is installed outside of it counts as well."""
    lines = (mark or b"").lower().replace(b" ", b"").splitlines()
    return b"include-system-site-packages=true" in lines
