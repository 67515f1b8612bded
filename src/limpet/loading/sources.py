"""C that was compiled before: what came out then, if all that it was made from is still the same.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from limpet.tools import pinned
from limpet.tools.cache import Cache
from limpet.tools.inputs import Inputs
from limpet.version import __version__


def is_source(path: Path) -> bool:
    """Whether this has to be compiled: a ``.c`` file, or a folder with a ``limpet.toml``."""
    return path.suffix == ".c" or path.is_dir()


def key(path: Path) -> str:
    """Under which the cache knows what was compiled from the C at ``path``."""
    words = (os.path.abspath(path), pinned.version(), pinned.GUEST_PROGRAM, __version__)
    return f"inputs-{hashlib.sha256(repr(words).encode()).hexdigest()}"


def known(path: Path, cache: Cache) -> Inputs | None:
    """What the C at ``path`` was compiled to, ``None`` when it has to be compiled.

    Raises:
        LimpetError: the cache is not to be used, or there is no toolchain.
    """
    text = cache.text(key(path))
    inputs = Inputs.parse(text) if text else None
    return inputs if inputs and inputs.same else None
