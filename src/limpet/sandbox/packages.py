"""The packages of a sandbox: its user names modules, or what pip knows them by."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackagePath
from pathlib import Path

from limpet.errors import PlanError
from limpet.loading import editable
from limpet.loading.interpreters import Interpreter, installed_in
from limpet.loading.seen import GLOB
from limpet.tools.inputs import ABSENT


def modules_of(packages: Sequence[str], python: Path, which: Interpreter) -> tuple[str, ...]:
    """The modules of ``packages`` that ``python`` has: those named, or ``sklearn`` of scikit-learn.

    Raises:
        PlanError: one is neither a module's name nor installed.
    """
    folders = installed_in(python, which)
    return tuple(module for each in packages for module in _modules(each, folders, python))


def _modules(name: str, folders: Sequence[str], python: Path) -> Sequence[str]:
    found = set[str]()
    for each in Distribution.discover(name=name, path=list(folders)):
        files = each.files or ()
        found |= {_module(file.parts) for file in files} - {"", "__pycache__"} or _elsewhere(each)
    if found and name.partition(".")[0] not in found:
        return sorted(found)
    if not all(map(str.isidentifier, name.split("."))):
        raise _missing(name, python)
    return [name]


def _elsewhere(each: Distribution) -> set[str]:
    """The modules of what is installed where it is written.

    Its folder may have others beside them: then they are those of its name.
    """
    told = {line for line in (each.read_text("top_level.txt") or "").split() if line.isidentifier()}
    startup = [file for file in each.files or () if file.name.endswith(".pth")]
    places = [place for file in startup for place in editable.folders(_text(file))]
    beside = {_module((name,)) or _package(place, name) for place in places for name in _in(place)}
    own = {name for name in beside if _plain(name) == _plain(each.name)}
    return told or own or beside - {"", "setup", "conftest", "docs", "test", "tests"}


def _text(file: PackagePath) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _package(folder: str, name: str) -> str:
    return name if name.isidentifier() and os.path.isdir(f"{folder}/{name}") else ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _module(parts: Sequence[str]) -> str:
    """Of a file that was installed, by the first part of its path, or none.

    An object has a tag of its interpreter in its name, which may be another than this one.
    """
    name = parts[0]
    if len(parts) == 1:
        name = name.partition(".")[0] if name.endswith((".py", ".so")) else ""
    return name if name.isidentifier() and not name.startswith(editable.OWN) else ""


def check_packed(modules: Sequence[str], there: Mapping[str, str], python: Path) -> None:
    """Each was found.

    Raises:
        PlanError: the interpreter has no such module.
    """
    found = {
        os.path.basename(path).partition(".")[0]
        for path, state in there.items()
        if state != ABSENT and not path.startswith(GLOB)
    }
    for each in modules:
        top = each.partition(".")[0]
        if top not in found and top not in sys.builtin_module_names:
            raise _missing(top, python)


def _missing(name: str, python: Path) -> PlanError:
    return PlanError(
        f"packages: {python} has no module {name}",
        hint=f"{python} -m pip install it there, or give python= another environment's",
    )
