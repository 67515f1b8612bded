"""Commands started where no virtual machine can be made."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

_HIDE = "mount --bind /dev/null /dev/kvm && mount -o remount,bind,nodev /dev/kvm"


def without_kvm(command: Sequence[str | Path]) -> list[str | Path]:
    """The command in a mount namespace where ``/dev/kvm`` cannot be opened; a skip where there is
    none to be had."""
    hidden = ["unshare", "-m", "sh", "-c", f'{_HIDE} && exec "$@"', "sh"]
    problem = _problem(*hidden)
    if problem:
        pytest.skip(f"no mount namespaces here: {problem}")
    return [*hidden, *command]


@cache
def _problem(*hidden: str) -> str:
    done = subprocess.run([*hidden, "true"], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""
