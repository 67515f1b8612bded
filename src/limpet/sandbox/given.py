"""What a user gives for a sandbox: each error names the argument, and one that is right."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from limpet.contract.backends import BACKENDS
from limpet.contract.pages import MIN_MEMORY, PAGE
from limpet.errors import PlanError
from limpet.running.kvm import kvm_problem

if TYPE_CHECKING:
    from pathlib import Path

    from limpet.contract import Backend
    from limpet.running.devices import Volume

File = bytes | str | os.PathLike[str]


def memory(given: int) -> int:
    """Bytes; 0 for what is usual.

    Raises:
        PlanError: nobody can have so many.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        if given == 0 or (given >= MIN_MEMORY and given % PAGE == 0):
            return given
        what = f"of whole pages, and at least {MIN_MEMORY >> 20} MiB"
        raise PlanError(f"memory: {given} bytes: give some {what}", hint="memory=64 << 20")
    raise PlanError(f"memory: {given!r} is no number of bytes", hint="memory=64 << 20")


def interpreter(python: str | os.PathLike[str]) -> str:
    """Its path: that of an environment's, or what its name leads to.

    Raises:
        PlanError: it is no path.
    """
    if not isinstance(python, str | os.PathLike):
        raise PlanError(f"python: {python!r} is no path", hint='python=".venv"')
    path = os.fspath(python)
    if os.path.isdir(path):  # an environment
        return os.path.join(path, "bin", "python")
    if not path or "/" in path or os.path.exists(path):
        return path
    import shutil

    return shutil.which(path) or path


def backend(given: Backend | None) -> Backend:
    """The one, by default what is best here.

    Raises:
        PlanError: there is no such.
    """
    if not given:
        return "process" if kvm_problem() else "kvm"
    if given not in BACKENDS:
        raise PlanError(f"backend: {given!r} is no backend", hint=" or ".join(BACKENDS))
    return given


def path(given: str | os.PathLike[str]) -> str:
    """Of a guest's.

    Raises:
        PlanError: it is none.
    """
    found = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(found, str):
        raise PlanError(f"{given!r} is no path in a guest", hint='for example "/in.txt"')
    return found


def contents(name: str, given: File) -> bytes | Path:
    """Of a file, or the file of this host that has them.

    Raises:
        PlanError: it is neither.
    """
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str | os.PathLike):
        raise PlanError(f"{name}: {given!r} is no contents", hint="a text, bytes, or a Path of one")
    if isinstance(given, str):
        return given.encode()
    from pathlib import Path

    return Path(given)


def read(name: str, given: File) -> bytes:
    """The contents themselves.

    Raises:
        PlanError: it has none.
        ImageError: the file cannot be read.
    """
    found = contents(name, given)
    if isinstance(found, bytes):
        return found
    from limpet.formats.files import read_file

    return read_file(found)


def _texts(name: str, given: Sequence[str], example: str) -> tuple[str, ...]:
    """What is to be a list of texts.

    Raises:
        PlanError: it is a text, or has something else in it.
    """
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    if isinstance(given, str) or not all(isinstance(each, str) for each in found):
        raise PlanError(
            f"{name}: {given!r} is not a list of texts", hint=f'for example {name}=["{example}"]'
        )
    return found


def destinations(connect: Sequence[str]) -> tuple[str, ...]:
    """As ``limpet run --connect`` takes them.

    Raises:
        PlanError: one is not written as it should be.
    """
    given = _texts("connect", connect, "example.com:443")
    if given:
        from limpet.formats.destinations import destinations

        for each in given:
            destinations(each)
    return given


def folders(volumes: Sequence[str]) -> tuple[Volume, ...]:
    """As ``limpet run --volume`` takes them; a later working folder does not change them.

    Raises:
        PlanError: one is not written as it should be, or is no folder.
    """
    given = _texts("volumes", volumes, "./data:/data:ro")
    if not given:
        return ()
    from dataclasses import replace

    from limpet.running.devices import volume

    found = map(volume, given)
    return tuple(replace(each, path=os.path.abspath(each.path)) for each in found)


def packages(packages: Sequence[str]) -> tuple[str, ...]:
    """Modules, or what pip installs.

    Raises:
        PlanError: one is neither.
    """
    for each in _texts("packages", packages, "numpy"):
        if not re.fullmatch(r"\w+([-.]\w+)*", each):
            raise PlanError(
                f"packages: {each!r} is no module, and nothing that pip installs",
                hint='for example packages=["numpy", "scikit-learn"]',
            )
    return tuple(packages)
