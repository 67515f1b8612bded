"""What a sandbox is started from, any number of times: a bundle that is held, and what it gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from limpet.errors import PlanError
from limpet.sandbox import given
from limpet.sandbox.exchange import Limits
from limpet.sandbox.instance import Instance
from limpet.sandbox.looked import Looked
from limpet.sandbox.memory import Memory, given_memory
from limpet.sandbox.recipe import BUNDLE, Recipe
from limpet.sandbox.starting import unless_ending
from limpet.sandbox.tools import Tool, Tools
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

if TYPE_CHECKING:
    from pathlib import Path

_DATA = 256 << 20
"""Bytes that the data of an interpreter with its modules have beside its memory, at most."""


class Prepared:
    """A bundle in the cache, which stays there as long as this is used.

    Args:
        recipe: what it is made of.
        limits: of each request.
        files: contents or files of this host, by their paths in the guest.
        tools: functions of the host's, by their names in the guest.

    Raises:
        LimpetError: it cannot be made.
    """

    def __init__(
        self,
        recipe: Recipe,
        limits: Limits,
        files: Mapping[str, given.File],
        tools: Mapping[str, Tool],
    ) -> None:
        if not isinstance(files, Mapping) or not all(isinstance(each, str) for each in files):
            raise PlanError(f"files: {files!r} has no paths", hint='files={"/in.txt": b"7"}')
        self.recipe, self.limits, self.tools = recipe, limits, Tools(tools)
        self.files = {path: given.contents("files", each) for path, each in files.items()}
        with unless_ending():
            self._held = _Held(recipe)
        self.memory: Memory | None = None
        self._rewinding, self._refused = False, [False]  # one for all that are made of this
        self.most = recipe.memory + _DATA

    def room(self) -> Memory:
        """For all that a guest of this has in memory.

        Raises:
            PlanError: that is not all that it is.
        """
        if self.recipe.leads_out:
            raise PlanError(
                "a sandbox with connections or folders of the host's cannot be kept: they are not "
                "in its memory, and would be dead",
                hint="leave out connect and volumes, or keep what put and get bring",
            )
        return Memory(self.most)

    def with_memory(self, memory: Memory, tools: Tools) -> Prepared:
        """The same, where a guest goes on with ``memory``, and knows ``tools``."""
        made = self._copy()
        made.memory, made.tools = memory, tools
        return made

    def _copy(self) -> Prepared:
        made = Prepared.__new__(Prepared)
        made.__dict__.update(self.__dict__)
        return made

    @property
    def bundle(self) -> Path:
        """The file that is started."""
        return self._held.entry.path / BUNDLE

    @property
    def rewinds(self) -> bool:
        """Whether a guest of this can be taken back to an earlier state."""
        return self.recipe.rewinds and not self._refused[0]

    def rewinds_not_here(self) -> bool:
        """The host does not let a guest of this be kept, which a process needs it for; whether."""
        self._refused[0] = self.recipe.backend == "process"
        return self._refused[0]

    def rewinding(self) -> Prepared:
        """The same, whose guests wait to be kept, where that can be."""
        made = self._copy()
        made._rewinding = self.rewinds
        return made

    def start(self) -> Instance:
        """A guest that waits.

        Raises:
            NeverRan: it cannot be started.
        """
        made = self._started()
        try:
            if not self._held.is_same():  # looked at while it starts: it was asked for nothing
                made.close()
                made = self._started()
            if self.memory:
                self.memory.give(made.input, self.limits.wall)
        except BaseException:
            made.close()
            raise
        return made

    def _started(self) -> Instance:
        folder = self._held.entry.place
        path, words = os.path.join(folder, BUNDLE), self.recipe.command(folder)
        environment = given_memory() if self.memory else {}
        return Instance(path, words, environment, rewinds=self._rewinding)


class _Held:
    """The bundle of a recipe, made where it is missing, which stays as long as this is used.

    Raises:
        LimpetError: it cannot be made.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe, self._cache = recipe, Cache.default()
        self._looked = Looked.kept(self._cache, recipe.words())
        found = self._cache.held(self._looked.bundle) if self._looked else None
        self.entry = found or self._made()
        if recipe.leads_out:  # a start does something already
            self.is_same()

    def is_same(self) -> bool:
        """Whether this is what would be made now, where that was not looked at; else it is then."""
        looked, self._looked = self._looked, None
        with unless_ending():
            if looked is None or looked.is_same():
                return True
            before, self.entry = self.entry, self._made()
        before.__exit__()
        return False

    def _made(self) -> Entry:
        from limpet.sandbox.bundles import made

        self._looked = None
        return made(self._recipe, self._cache)

    def __reduce__(self) -> NoReturn:
        raise PlanError(
            "a sandbox or a snapshot of one is this process's, and is neither pickled nor copied",
            hint="make it where it is used, or send a snapshot as a file: save(path), load(path)",
        )

    def __del__(self) -> None:
        if hasattr(self, "entry"):
            self.entry.__exit__()
