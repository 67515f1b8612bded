"""``Recipe``: what a sandbox starts from, as its user asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limpet.errors import PlanError
from limpet.sandbox import given
from limpet.sandbox.memory import VARIABLE
from limpet.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from limpet.contract import Backend
    from limpet.planning.options import Options
    from limpet.running.devices import Volume

AGENT = os.path.join(os.path.dirname(__file__), "guest")
"""Where the agent is."""

WORDS = ["-I", "-c", "import sys; sys.path.append('/.limpet'); import limpet_guest.__main__"]
"""The interpreter's, to start it."""

BUNDLE, ANEW = "bundle", "anew"
"""In the entry of a recipe: the bundle, and that each start starts an interpreter."""

_REWIND = "rewind"
"""The feature of a monitor that takes a guest back to an earlier state."""

_JIT = "jit"
"""That of one that lets the program run code that it makes."""

_STARTER = "starter"
"""That of one that ends a guest with who started it, which may be killed."""


class Recipe:
    """An interpreter, what it has imported, and what it may do.

    ``python`` is an interpreter of this host, ``packages`` names what is packed for it, modules or
    what pip installs, ``warm`` is code that has run before anything else does, ``volumes`` are
    folders of this host.  Where that code uses a way out each start runs it anew: nothing of it is
    in a snapshot.
    """

    def __init__(
        self,
        python: str = "",
        packages: tuple[str, ...] = (),
        warm: str = "",
        *,
        backend: Backend = "process",
        memory: int = 0,
        connect: tuple[str, ...] = (),
        volumes: tuple[Volume, ...] = (),
        jit: bool = False,
    ) -> None:
        self.python, self.packages, self.warm = python, packages, warm
        self._program = python or os.path.realpath(sys.executable)
        if not os.path.isabs(self._program):
            self._program = os.path.join(os.getcwd(), self._program)
        self.backend, self.memory = backend, memory
        self.connect, self.volumes, self.jit = connect, volumes, jit
        more = ((_REWIND, self.rewinds), (_JIT, jit))
        self._features = ("signals", _STARTER, *(each for each, wanted in more if wanted))
        self._devices = tuple(f"volume:{each.name}{':ro' * each.read_only}" for each in volumes)

    @classmethod
    def of(
        cls,
        *,
        backend: Backend | None,
        python: str | os.PathLike[str],
        packages: Sequence[str],
        warm: str,
        memory: int,
        connect: Sequence[str] = (),
        volumes: Sequence[str] = (),
        jit: bool = False,
    ) -> Recipe:
        """As a user gives it.

        Raises:
            PlanError: something is not what it should be.
        """
        if not isinstance(warm, str):
            raise PlanError(f"warm: {warm!r} is no text", hint='warm="import json"')
        python = given.interpreter(python)
        if packages and not python and sys.prefix != sys.base_prefix:
            python = sys.executable  # whose packages these are
        if not isinstance(jit, bool):
            raise PlanError(f"jit: {jit!r} is neither True nor False", hint="jit=True")
        return cls(
            python,
            given.packages(packages),
            warm,
            backend=given.backend(backend),
            memory=given.memory(memory),
            connect=given.destinations(connect),
            volumes=given.folders(volumes),
            jit=jit,
        )

    @property
    def interpreter(self) -> Path:
        """By default the one that runs this, without its environment's packages."""
        from pathlib import Path

        return Path(self.python or os.path.realpath(sys.executable))

    @property
    def leads_out(self) -> bool:
        """Whether there is more than its memory."""
        return bool(self.connect or self.volumes)

    @property
    def rewinds(self) -> bool:
        """Whether its guests can be taken back to an earlier state, all of which is in memory."""
        return not self.leads_out and not self.jit  # which the host's kernel knows of

    def options(self) -> Options:
        """Those of its bundle."""
        from limpet.planning.options import Options

        return Options(
            backends=(self.backend,),
            memory=self.memory,
            devices=self._devices,
            snapshot=True,
            features=self._features,
            environment=(VARIABLE,),
            connect=self.connect,
        )

    def command(self, folder: str) -> list[str]:
        """What the bundle in ``folder`` is started with."""
        attached = [word for each in self.volumes for word in each.words()]
        anew = WORDS if self.leads_out and os.path.exists(os.path.join(folder, ANEW)) else []
        return [self._program, *attached, *(["--"] if attached else []), *anew]

    def words(self) -> str:
        """All that it is, and whose."""
        asked = (self._program, self.packages, self.warm)
        allowed = (self.backend, self.memory, self.connect, self._devices, self._features)
        return repr((__version__, AGENT, asked, allowed))
