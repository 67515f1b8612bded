"""What a sandbox is started from, any number of times: a bundle that is held, and what it gets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from limpet.errors import PlanError
from limpet.sandbox import given
from limpet.sandbox.exchange import Limits
from limpet.sandbox.instance import Instance
from limpet.sandbox.memory import Memory, given_memory
from limpet.sandbox.recipe import REWIND, Recipe
from limpet.sandbox.starting import unless_ending
from limpet.sandbox.tools import Tool, Tools
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

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
            self._held = _Held(recipe.bundle(Cache.default()))
        self.memory: Memory | None = None
        self._rewinding, self._refused = False, [False]  # one for all that are made of this
        self.most = recipe.options.memory + _DATA

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
        made = copy.copy(self)
        made.memory, made.tools = memory, tools
        return made

    @property
    def bundle(self) -> Path:
        """The file that is started."""
        return self._held.entry.path / "bundle"

    @property
    def rewinds(self) -> bool:
        """Whether a guest of this can be taken back to an earlier state."""
        return REWIND in self.recipe.options.features and not self._refused[0]

    def rewinds_not_here(self) -> bool:
        """The host does not let a guest of this be kept, which a process needs it for; whether."""
        self._refused[0] = self.recipe.options.backends == ("process",)
        return self._refused[0]

    def rewinding(self) -> Prepared:
        """The same, whose guests wait to be kept, where that can be."""
        made = copy.copy(self)
        made._rewinding = self.rewinds
        return made

    def start(self) -> Instance:
        """A guest that waits.

        Raises:
            NeverRan: it cannot be started.
        """
        entry = self._held.entry.path
        words = self.recipe.command(entry)
        environment = given_memory() if self.memory else {}
        made = Instance(self.bundle, words, environment, rewinds=self._rewinding)
        if self.memory:
            try:
                self.memory.give(made.input, self.limits.wall)
            except BaseException:
                made.close()
                raise
        return made


class _Held:
    """An entry of the cache, which stays there as long as this is used."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def __del__(self) -> None:
        self.entry.__exit__()
