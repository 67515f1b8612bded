"""Something prepared that is kept, also beyond this process: in a file."""

from __future__ import annotations

import os
from typing import Self

from limpet.errors import PlanError
from limpet.sandbox.prepared import Prepared


class Kept:
    """Something prepared, with memory that can be written to a file and read from one."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what :meth:`Sandbox.snapshot` gave to a file, which only its owner may read.

        It has the memory alone: to go on from it takes the same interpreter, Limpet and backend.

        Raises:
            PlanError: nothing has run yet, so that there is nothing to keep.
            BuildError: the place cannot be written.
        """
        memory = self._prepared.memory
        if memory is None:
            raise PlanError(
                "nothing has run in it: the same arguments give the same again",
                hint="save what Sandbox.snapshot() gives",
            )
        from pathlib import Path

        from limpet.sandbox import saved

        saved.write(self._prepared, memory, Path(path))

    def load(self, path: str | os.PathLike[str]) -> Self:
        """What goes on from a file that :meth:`save` wrote, with the limits and tools of this.

        ``Sandbox.prepare`` has to have been given what the sandbox was made with.  Who wrote the
        file has the guest that goes on, and nothing else.

        Raises:
            BundleError: it is no such file, or damaged.
            VersionError: it is of another Limpet.
            PlanError: it is of another backend, or of another interpreter.
            NeverRan: from ``start``: this processor can less than the one that it was taken on.
        """
        from pathlib import Path

        from limpet.sandbox import saved

        prepared = self._prepared
        memory = saved.load(prepared, Path(path))
        return type(self)(prepared.with_memory(memory, prepared.tools))
