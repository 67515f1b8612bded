"""A bundle as an auditor reads it: in a copy that nobody can change between two looks."""

from __future__ import annotations

from pathlib import Path

from limpet.errors import BuildError, PlanError
from limpet.formats.bundle.read import BundleFile, read_apart, read_bundle
from limpet.tools import upkeep
from limpet.tools.cache import Cache


def read_own(path: Path, cache: Cache | None = None) -> BundleFile:
    """The bundle at ``path``; a large one is not in memory.

    Raises:
        ImageError: the file cannot be read, or there is no room for a copy.
        BundleError: it is not a bundle.
    """
    try:
        with upkeep.workspace(cache or Cache.default()) as folder:
            return read_apart(path, folder)
    except (BuildError, PlanError):  # no place for a copy: it is read into memory
        return read_bundle(path)
