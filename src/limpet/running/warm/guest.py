"""The files that a Python with a moment starts with: what runs until it, and room for texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from limpet.loading.interpreters import home_of, known
from limpet.running.warm.script import Script
from limpet.running.warm.texts import filler
from limpet.tools.cache import Cache
from limpet.tools.entries import Entry

FOLDER = "/.limpet"
"""In the guest; it is gone when a script runs."""

STUB = f"{FOLDER}/importlib_bootstrap.py"
"""Called so that ``warnings`` takes its frames for those of an import (``_warnings.c``)."""

FIRST = f"{FOLDER}/first"
"""What that evaluates: it leaves nothing in ``__main__``."""

TEXTS = f"{FOLDER}/run/files"
"""Nobody looks into its folder before the moment: what is known of it would be kept."""

HOOKS = "snapshot_restore_py"
"""The module of the hooks."""

RENEWED = Path(__file__).parent / "renewed.py"
"""Makes anew what modules have of random numbers, in whatever guest of Python goes on."""

_PIECES = ("renewed", "boot", "program")
"""Files beside this that run in one namespace, in this order."""

_WITH_MOMENT = ("renewed", "boot", "moment", "program")
"""Those of a script that comes to its moment by itself."""

_HERE = Path(__file__).parent


def guest_files(script: Script, *, teardown: bool, cache: Cache) -> Entry:
    """An entry of the cache with the files, as :func:`laid` finds them."""
    names = tuple((each.name, each.members) for each in script.imports)
    boot = f"boot({names!r}, {len(script.options)}, {FOLDER!r})"
    stub = _stub(script.packed)
    stub += f"# {script.options!r}\n".encode(errors="backslashreplace")  # has begun with them
    first = _first(_PIECES, boot, teardown=teardown)
    return _kept({"stub": stub, "first": first, "texts": filler(script.texts.room)}, cache)


def files_with_moment(options: int, cache: Cache) -> Entry:
    """An entry of the cache for a script that is to be stopped at its moment.

    Args:
        options: words that are the interpreter's own options.
    """
    first = _first(_WITH_MOMENT, f"watch({options}, {FOLDER!r})", teardown=True)
    return _kept({"stub": _stub(()), "first": first}, cache)


def _kept(contents: Mapping[str, bytes], cache: Cache) -> Entry:
    state = sha256()
    for name, content in contents.items():
        state.update(f"{name} {len(content)} ".encode() + content)

    def make(folder: Path) -> None:
        for name, content in contents.items():
            (folder / name).write_bytes(content)

    return cache.folder(f"boot-{state.hexdigest()}", make)


def laid(folder: Path) -> Mapping[str, Path]:
    """Where the files of :func:`guest_files` are in the guest, and what they run."""
    return {**_laid(folder, _PIECES), TEXTS: folder / "texts"}


def laid_with_moment(folder: Path) -> Mapping[str, Path]:
    """The same of :func:`files_with_moment`."""
    return _laid(folder, _WITH_MOMENT)


def _laid(folder: Path, pieces: tuple[str, ...]) -> Mapping[str, Path]:
    runs = {f"{FOLDER}/{each}": _HERE / f"{each}.py" for each in pieces}
    return {STUB: folder / "stub", FIRST: folder / "first", **runs}


def hooks_of(program: Path) -> Mapping[str, Path]:
    """The module of the hooks, which is there whether a script starts warm or not."""
    which = known(program)
    home = home_of(program, which) if which else None
    if which is None or home is None:
        return {}
    return {f"{home}/{which.library}/{HOOKS}.py": _HERE / f"{HOOKS}.py"}


def _stub(packed: Iterable[str]) -> bytes:
    """What Python is started with; its first lines name what is to be packed."""
    lines = "".join(f"import {name}\n" for name in packed)
    own = '{"__name__": "limpet", "__file__": __file__, "fresh": dict(globals())}'
    first = f'compile(__loader__.get_data({FIRST!r}), __file__, "eval")'
    text = f'()\n"""\n{lines}"""\nraise eval({first}, {own})\n'
    return text.encode(errors="surrogateescape")


def _first(pieces: tuple[str, ...], words: str, *, teardown: bool) -> bytes:
    """Runs the pieces apart from ``__main__``.

    Args:
        words: what gives those that name the program.
    """
    read = f'open(f"{FOLDER}/{{each}}", "rb")'
    read = f"(lambda file: (file.read(), file.close()))({read})[0]"
    return (
        f'([exec(compile({read}, __file__, "exec"), globals()) for each in {pieces!r}],\n'
        f"run(fresh, lambda: {words}, {teardown}))[1]\n"
    ).encode()
