"""The content-addressed cache: what was made once from the same inputs is not made again.

Keys name everything that determines the content, so nothing in it ever goes stale; deleting the
folder is always safe.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import BuildError

_UNFINISHED, _LONG_AGO = ".new-", 24 * 3600
"""How a folder of something unfinished is called, and after how many seconds nobody makes it."""


@dataclass(frozen=True)
class Cache:
    """A folder of files and folders named by the digest of what they were made from."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """``$LIMPET_CACHE``, or ``limpet`` in the user's cache folder."""
        chosen = os.environ.get("LIMPET_CACHE")
        if chosen:
            return cls(Path(chosen))
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base) / "limpet")

    def file(self, key: str, make: Callable[[Path], None]) -> Path:
        """The file for ``key``; ``make`` writes it to the path it is given when it is not there."""
        return self._entry(key, make)

    def folder(self, key: str, make: Callable[[Path], None]) -> Path:
        """The folder for ``key``; ``make`` fills it when it is not there."""

        def fill(path: Path) -> None:
            path.mkdir()
            make(path)

        return self._entry(key, fill)

    def path(self, key: str) -> Path:
        """Where the entry of ``key`` is or would be."""
        return self.root / key

    def _clear_up(self) -> None:
        """Remove what was left by somebody who was killed long ago."""
        for path in self.root.glob(f"{_UNFINISHED}*"):
            try:
                if time.time() - path.stat().st_mtime > _LONG_AGO:
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:  # somebody else was first
                continue

    def _entry(self, key: str, make: Callable[[Path], None]) -> Path:
        target = self.path(key)
        if target.exists():
            return target
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._clear_up()
            workspace = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
        except OSError as error:
            raise BuildError(
                f"{self.root}: the cache cannot be written: {error.strerror}",
                hint="set LIMPET_CACHE to a folder that can",
            ) from error
        try:
            made = workspace / "entry"
            make(made)
            try:
                os.rename(made, target)
            except OSError:
                if not target.exists():  # somebody else may have been first
                    raise
        finally:
            shutil.rmtree(workspace, ignore_errors=True)
        return target
