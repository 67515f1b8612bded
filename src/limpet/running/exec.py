"""Become a bundle: the last step of ``limpet run``, with nothing of Python left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from limpet.errors import RunError


def replace(path: Path, argv: Sequence[str]) -> None:
    """Replace this process by the bundle at ``path``; returns only by raising.

    Raises:
        RunError: it cannot be started.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that is inherited
    try:
        os.execv(path, list(argv))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: cannot be started: {error}", hint="delete it and try again"
        ) from error
