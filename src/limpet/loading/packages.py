"""The packages of an environment: all of them, or of many those that are named.

Whoever works in an environment often has compilers, checkers and gigabytes of it there.  What a
package needs it says itself, in its metadata; what it could use if it were there, it does not.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property

from limpet.loading import editable
from limpet.loading.distributions import POINTS, Distributions
from limpet.loading.interpreters import Interpreter, imported
from limpet.loading.layers import Layers
from limpet.plain import quoted

MOST_BYTES, MOST_OBJECTS = 96 << 20, 150
"""Of an environment that is packed whole: more takes seconds, and Linux maps no end of objects."""


class Packages:
    """Those in ``folder``."""

    def __init__(self, which: Interpreter, layers: Layers, folder: str) -> None:
        self._which, self._layers = which, layers
        self.folder = folder
        self._more: list[str] = []

    @cached_property
    def whole(self) -> bool:
        """Whether all of them are packed."""
        return not too_much(self.folder, self._which.unneeded)

    @property
    def why(self) -> str:
        """What is packed of them."""
        if self.whole:
            return f"{quoted(self.folder)}, without {', '.join(self._which.unneeded)}"
        return (
            f"{quoted(self.folder)} is too much to be packed whole: of it there is what the "
            "program names, and what that requires; --include packs more"
        )

    @property
    def places(self) -> list[str]:
        """Where modules are looked for: here, if not all is packed, and where startup files say."""
        return [*([] if self.whole else [self.folder]), *self._more]

    def pack(self) -> list[str]:
        """Pack all of it, or what says what there is; the paths that may be objects."""
        which, layers = self._which, self._layers
        found: list[str] = []
        if self.whole:
            found += layers.include_folder(self.folder, which.unneeded)
        else:
            layers.matching(f"{self.folder}/*")  # what is installed later counts
            for pattern in which.telling:
                for each in layers.matching(f"{self.folder}/{pattern}"):
                    if os.path.basename(each) != POINTS:  # they lead to modules: see "take"
                        layers.add(each)
        startup = layers.matching(f"{self.folder}/{which.startup}") if which.startup else []
        for each in startup:
            text = layers.add(each) or b""
            self._look_elsewhere(text.decode(errors="surrogateescape"))
            found += [] if self.whole else self._started(text)
        return found

    def _look_elsewhere(self, startup: str) -> None:
        """Modules may be in the folders that a file names which is run at each start."""
        self._more += editable.folders(startup)
        for name in editable.finders(startup):
            finder = self._layers.look(f"{self.folder}/{name}{self._which.suffix}") or b""
            places = editable.table(finder.decode(errors="surrogateescape")).values()
            self._more += sorted({os.path.dirname(each) for each in places if os.path.isabs(each)})

    def _started(self, text: bytes) -> list[str]:
        """What such a file imports."""
        found: list[str] = []
        for name in sorted(imported(text, self._which)):
            for each in (f"{self.folder}/{name}", f"{self.folder}/{name}{self._which.suffix}"):
                found += self._take(each)
        return found

    def take(self, modules: Sequence[str]) -> list[str]:
        """Pack these modules with all that they require, as far as that is told; the paths.

        What has entry points for one that is packed is packed as well: a program looks for such
        plugins when it starts.  Those of nothing else are told to nobody.
        """
        needed = self._told.needed(modules)
        for each in needed:
            self._take(f"{each.info}/{POINTS}")
        tops = {name for each in needed for name in each.tops}
        return [path for each in sorted(tops) for path in self._take(f"{self.folder}/{each}")]

    @cached_property
    def _told(self) -> Distributions:
        return Distributions(self.folder, self._layers)

    def _take(self, path: str) -> list[str]:
        if not self._layers.there(path):
            return []
        if os.path.isdir(path):
            return self._layers.include_folder(path, self._which.unneeded)
        self._layers.add(path)
        return [path]


def too_much(folder: str, leave: Sequence[str]) -> bool:
    """Whether there is more below a folder than is packed without knowing what is used."""
    size = objects = 0
    for at, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not any(fnmatchcase(each, one) for one in leave)]
        for name in names:
            with suppress(OSError):
                size += os.lstat(posixpath.join(at, name)).st_size
            objects += ".so" in name
        if size > MOST_BYTES or objects > MOST_OBJECTS:
            return True
    return False
