"""What ``run`` has for scripts of Python: which one runs them, and from where."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from limpet.cli import say
from limpet.errors import PlanError
from limpet.plain import quoted
from limpet.tools.inputs import begins_with

which_python = click.option(
    "--python",
    metavar="PATH",
    help="Interpreter or environment of a script; else that of $VIRTUAL_ENV or PATH.",
)

_OPTIONS = (
    which_python,
    click.option(
        "--warm",
        metavar="IMPORTS",
        help='Import this before the start ("import json, re"); else what it imports first.',
    ),
    click.option("--cold", is_flag=True, help="Start the interpreter each time."),
    click.option(
        "--teardown", is_flag=True, help="Let the interpreter take itself apart at its end."
    ),
)


WORDS = ("-c", "-m", "-")
"""In the place of a program: what stands behind is for Python."""

OPTIONS = frozenset("bBdEiIOPsSuvVWxX")
"""Letters of what only an interpreter of Python takes."""


def for_python(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--python``, ``--warm``, ``--cold`` and ``--teardown``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_python(app: Path, arguments: Sequence[str] = ()) -> bool:
    """Whether ``app`` is a program of Python by its name, or a word that only Python knows.

    Args:
        arguments: what stands behind it, where it may be an option of the interpreter's.
    """
    if str(app) in WORDS or (app.suffix in (".py", ".pyz") and app.is_file()):
        return True
    if str(app).startswith("-") and arguments:
        from limpet.running.warm.words import words_of

        parts = words_of((str(app), *arguments))
        return bool(parts and parts.rest and is_python(Path(parts.rest[0])))
    if begins_with(app, b"PK\3\4"):
        return _has_program(app)
    return (app / "__main__.py").is_file() and not (app / "limpet.toml").exists()


def _has_program(archive: Path) -> bool:
    """Whether it is one that python takes as a program."""
    import zipfile

    try:
        with zipfile.ZipFile(archive) as opened:
            return "__main__.py" in opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def by_python(
    app: Path, arguments: tuple[str, ...], python: str | None
) -> tuple[Path, tuple[str, ...]]:
    """What to start for a script: an interpreter, with the script in front of its arguments.

    A script with a ``#!`` line says itself which one, unless the user does.

    Raises:
        PlanError: there is no interpreter.
    """
    if not is_python(app, arguments) or (python is None and _says_itself(app)):
        return app, arguments
    return interpreter(python), (str(app), *arguments)


def interpreter(python: str | None) -> Path:
    """The interpreter that the user names, of the virtual environment, or in PATH.

    Raises:
        PlanError: there is none, or a script in its place.
    """
    from limpet.loading.start import in_path

    environment = os.environ.get("VIRTUAL_ENV")
    named = python or environment
    if named and os.path.isdir(named):
        named = os.path.join(named, "bin", "python")
    found = in_path(named or "python3")
    if found is None:
        what = f"{quoted(named)}: no such interpreter" if named else "there is no python3 in PATH"
        raise PlanError(what, hint="name one: --python /usr/bin/python3")
    if _says_itself(Path(found)):
        raise PlanError(
            f"{quoted(found)}: a script that starts an interpreter, and no interpreter",
            hint="name one: --python /usr/bin/python3",
        )
    return Path(found)


_PATHS = ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP")
"""Variables with paths that an interpreter looks for when it starts."""


def tell_of_paths(given: Mapping[str, Any], volumes: Iterable[str] = ()) -> None:
    """Say of which paths that ``--env`` gives to Python nothing was packed, and how it would be.

    Args:
        volumes: where the guest has folders of the host's.
    """
    if given["root"]:
        return
    packed = [*map(os.path.abspath, given["include"]), *volumes]
    packed += [each.rpartition(":")[2] for each in given["files"]]
    for each in given["environment"]:
        name, _, value = each.partition("=")
        value = value or os.environ.get(name, "")
        for path in value.split(":") if name in _PATHS else ():
            whole = os.path.abspath(path)
            if not path or not os.path.exists(path) or _has(packed, whole):
                continue
            other = "" if path == whole else f" --env {name}={whole}"
            say.note(f"{name}: the guest has nothing of {path}: --include {whole}{other} gives it")


def _has(packed: Iterable[str], path: str) -> bool:
    """Whether something of what is packed lies there, or above or below it."""
    return any(
        f"{path}/".startswith(f"{each.rstrip('/*')}/") or each.startswith(f"{path}/")
        for each in packed
    )


def _says_itself(app: Path) -> bool:
    return begins_with(app, b"#!")
