"""What a sandbox is started from, any number of times: a bundle that is held, and what it gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from limpet.sandbox.instance import Instance, Limits
from limpet.sandbox.recipe import Recipe
from limpet.sandbox.tools import Tool, Tools
from limpet.tools.cache import Cache

File = bytes | str | os.PathLike[str]


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
        files: Mapping[str, File],
        tools: Mapping[str, Tool],
    ) -> None:
        self.recipe, self.limits, self.tools = recipe, limits, Tools(tools)
        self.files = {path: _contents(given) for path, given in files.items()}
        self._held = recipe.bundle(Cache.default())

    def __del__(self) -> None:
        if hasattr(self, "_held"):
            self._held.__exit__()

    def start(self) -> Instance:
        """A guest that waits.

        Raises:
            NeverRan: it cannot be started.
        """
        return Instance(self._held.path / "bundle", [str(self.recipe.interpreter)])


def _contents(given: File) -> bytes | Path:
    if isinstance(given, bytes):
        return given
    return given.encode() if isinstance(given, str) else Path(given)
