"""The bundle of a recipe: an interpreter that waits, made and noted with what it was made from."""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from limpet.building.bundle import build
from limpet.errors import LimpetError, PlanError, RunError, TimeLimit
from limpet.guests.registry import load, plan
from limpet.guests.usual import usual
from limpet.loading import seen
from limpet.loading.guest import Guest
from limpet.loading.interpreters import home_of, known
from limpet.plain import plain
from limpet.running.snapshot import Ended, attempt
from limpet.running.warm.guest import RENEWED, hooks_of
from limpet.sandbox.looked import Looked, own_files, states
from limpet.sandbox.packages import check_packed, modules_of
from limpet.sandbox.recipe import AGENT, ANEW, BUNDLE, WORDS, Recipe
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

_THERE = "/.limpet/limpet_guest"
"""Where the agent is in a guest."""

LONGEST_WARM = 300
"""Seconds that packages and ``warm`` may take, once for all sandboxes alike."""

_LOOKS = '"""\nimport zoneinfo\n"""\n'
"""Names what looks for files of the host's, and does not import it."""

_MONITOR = "limpet: "
_NO_MEMORY = "ran out of its"
"""What a monitor's words begin with, and those about memory have in them."""

_LEAST_MEMORY = 32 << 20
"""Bytes in which any interpreter alone starts, and runs something."""

_MOST_SAID = 300
"""Characters of what an interpreter said last that an error repeats."""

_PACKAGES = "-packages/"
"""In the path of what was installed, below the interpreter's own library or elsewhere."""

_DATA = "/usr/share/"
"""The system's: what is below is replaced, and not edited."""


def made(recipe: Recipe, cache: Cache) -> Entry:
    """The folder with the bundle, which stays while it is held.

    Raises:
        LimpetError: it cannot be made.
    """
    words = recipe.words()
    with tempfile.TemporaryDirectory(prefix="limpet-") as folder:
        own = own_files()
        guest = _guest(recipe, Path(folder))
        found = {path: state for path, state in guest.seen.items() if folder not in path}
        text = seen.written(found)
        digest = hashlib.sha256(f"{words}\0{own}\0{text}".encode(errors="surrogateescape"))
        key = digest.hexdigest()
        entry = cache.folder(f"warm-{key}", lambda to: _make(recipe, guest, to))
    cache.put_text(f"seen-{key}", text)
    looked = {"bundle": f"warm-{key}", "seen": key, "own": own, "looked": time.time()}
    looked |= {"python": str(recipe.interpreter), **_shown(found, recipe.interpreter)}
    if seen.same(text):  # else it changed meanwhile, and the next start makes another
        Looked(cache, words, looked).keep()
    return entry


def _shown(found: Mapping[str, str], python: Path) -> dict[str, Any]:
    """What shows that some of that is another: folders, the program and objects, then the rest.

    A folder has changed where something in it is another, unless that was edited in its place.
    """
    library = _library(python)
    files = [each for each in found if not each.startswith(seen.GLOB)]
    objects = [each for each in files if ".so" in os.path.basename(each)]
    agent = glob.glob(f"{AGENT}/*.py")
    folders = {os.path.dirname(each) for each in (*files, *agent)} | {str(python), *objects, *agent}
    edited = {each for each in files if _is_edited(each, library) and os.path.isfile(each)}
    patterns = {each: state for each, state in found.items() if _is_deep(each)}
    return {
        "folders": states(sorted(folders)),
        "edited": states(sorted(edited - folders)),
        "patterns": seen.written(patterns),
    }


def _is_edited(path: str, library: str) -> bool:
    """Whether somebody may edit it in its place."""
    return _PACKAGES in path or not path.startswith((f"{library}/", _DATA))


def _is_deep(path: str) -> bool:
    """Whether it is a pattern of packages that one folder does not answer."""
    folder = os.path.dirname(path.removeprefix(seen.GLOB))
    return path.startswith(seen.GLOB) and _PACKAGES in path and glob.has_magic(folder)


def _guest(recipe: Recipe, folder: Path) -> Guest:
    path = recipe.interpreter
    which = known(path)
    if which is None or not which.name.startswith("CPython") or not path.exists():
        raise PlanError(
            f"{path}: {'not a Python that Limpet knows' if path.exists() else 'no such file'}",
            hint='give one, for example python="/usr/bin/python3"',
        )
    warm, packages = folder / "warm.py", folder / "packages.py"
    warm.write_text(recipe.warm, "utf-8")
    modules = modules_of(recipe.packages, path, which)
    text = _LOOKS + "".join(f"import {each}\n" for each in modules)
    packages.write_text(text, "utf-8")
    files = {f"{_THERE}/{each.name}": each for each in (*Path(AGENT).glob("*.py"), warm, packages)}
    files |= {f"{_THERE}/renewed.py": RENEWED, **hooks_of(path)}
    options = recipe.options()
    usual(path).begin(Cache.default(), options)
    environment, trust = options.environment, bool(options.connect)
    guest = load(path, files=files, environment=environment, trust=trust, builds=False)
    check_packed(modules, guest.seen, path)
    return guest


def _make(recipe: Recipe, guest: Guest, folder: Path) -> None:
    name = str(recipe.interpreter.absolute())
    try:
        found = attempt(plan(guest, recipe.options()), WORDS, name=name, seconds=LONGEST_WARM)
        if isinstance(found, Ended) and found.late:
            raise _too_slow(recipe)
        if isinstance(found, Ended):
            raise _not_ready(recipe, found.status, found.stderr)
        made = found.bundle
    except RunError:
        if not recipe.leads_out:
            raise
        made = build(plan(guest, replace(recipe.options(), snapshot=False)))
        (folder / ANEW).touch()
    made.write(folder / BUNDLE)


def _too_slow(recipe: Recipe) -> TimeLimit:
    what = "warm: its code" if recipe.warm else f"{recipe.interpreter}: it"
    return TimeLimit(
        f"{what} has not come to its end within {LONGEST_WARM} seconds",
        hint="have it do less; what takes longer can be run once and kept: snapshot()",
    )


def _not_ready(recipe: Recipe, status: int, stderr: bytes) -> LimpetError:
    """Why it did not come to its moment: what it said last, and what its monitor says."""
    lines = stderr.decode(errors="replace").strip().split("\n")
    monitors = [each.removeprefix(_MONITOR) for each in lines if each.startswith(_MONITOR)]
    if any(_NO_MEMORY in each for each in monitors):
        return _too_small(recipe)
    own = [each for each in lines if each and not each.startswith((_MONITOR, " "))]
    said = plain("; ".join([*own[-1:], *monitors]))[:_MOST_SAID]
    said = said and f": {said}"
    what = "warm: its code" if recipe.warm else f"{recipe.interpreter}: it"
    hint = f"try it: {recipe.interpreter} -c CODE"
    return RunError(f"{what} ends with status {status}{said}", hint=hint)


def _too_small(recipe: Recipe) -> PlanError:
    memory = recipe.memory
    return PlanError(
        f"memory: {memory} bytes are too few to start {recipe.interpreter} in"
        f"{' with its packages and warm code' * bool(recipe.packages or recipe.warm)}",
        hint=f"memory={max(_LEAST_MEMORY, memory * 2) >> 20} << 20",
    )


def _library(path: Path) -> str:
    """The folder of an interpreter's own modules."""
    which = known(path)
    assert which, "checked when it was read"
    return f"{home_of(path, which)}/{which.library}"
