"""What is to be run warm: a script with its texts, and the modules that are imported before."""

from __future__ import annotations

import ast
import glob
import os
import posixpath
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import PlanError
from limpet.loading.interpreters import Interpreter, imported, in_guest
from limpet.running.warm.beside import beside
from limpet.running.warm.leading import Import, leading
from limpet.running.warm.texts import MOST, Texts, texts_of
from limpet.running.warm.words import Words

_ALWAYS = ("__future__", "builtins", "io", "os", "sys")
"""Modules that are there when a Python has started."""


@dataclass(frozen=True)
class Script:
    """A script that can be run warm.

    ``options`` are the interpreter's own, ``imports`` what is imported before the moment,
    ``packed`` names of modules that are to be in the bundle, ``texts`` what only this start has.
    """

    options: tuple[str, ...]
    imports: tuple[Import, ...]
    packed: tuple[str, ...]
    texts: Texts


def script_of(
    words: Words,
    files: Mapping[str, Path],
    which: Interpreter,
    warm: str | None,
    library: str,
    terminal: bool,
    given: Mapping[str, Path],
    named: Mapping[str, Path],
) -> Script | str:
    """The script of ``words``, or why it cannot be run warm.

    Args:
        files: its texts, by their path in the guest.
        warm: what the user wants to be imported, in Python; else what the script imports first.
        library: the folder of the interpreter's own modules, all of which are packed.
        terminal: whether standard input is one.
        given: other files of the user's, which modules may be imported from as well.
        named: files that are named in its words.

    Raises:
        PlanError: ``warm`` is no list of imports.
        TreeError: a text cannot be read.
    """
    reason = _refused(words, files, which, terminal)
    if reason:
        return reason
    text = _text(words, files)
    if b"\0" in text:
        return "its text has a zero byte"
    found = beside(files, which)
    imports = leading(text, found.own) if warm is None else _wanted(warm)
    imports = tuple(each for each in imports if _top(each.name) not in {*found.own, *_ALWAYS})
    elsewhere = {*found.elsewhere, *(_top(each.name) for each in imports)}
    if words.kind == "-c":
        elsewhere |= imported(text, which)
    if words.kind == "-m" and not files:
        elsewhere.add(_top(words.rest[1]))
    modules = {guest: path for guest, path in named.items() if guest.endswith(which.suffixes)}
    texts = texts_of(found.files, _first_folder(words), {**given, **modules}, named)
    if texts is None:
        return (
            "what it is given, or what lies beside it, is a shared object or more than "
            f"{MOST >> 21} MiB (--volume reads large files where they are; a script in a folder "
            "of its own has less beside it)"
        )
    looks = elsewhere.intersection((*which.zones, *which.terminals))
    packed = (*_installed(elsewhere, library), *sorted(looks))
    return Script(words.options, imports, tuple(dict.fromkeys(packed)), texts)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _installed(names: set[str], library: str) -> tuple[str, ...]:
    """Those that are not the interpreter's own."""
    return tuple(
        each
        for each in sorted(names - set(sys.builtin_module_names))
        if not os.path.exists(f"{library}/{each}")
        and not os.path.exists(f"{library}/{each}.py")
        and not glob.glob(f"{glob.escape(library)}/lib-dynload/{glob.escape(each)}.*")
    )


def _refused(words: Words, files: Mapping[str, Path], which: Interpreter, terminal: bool) -> str:
    if words.kind == "-" and terminal:
        return "it is asked for an interactive Python"
    if words.kind == "-c" and _minor(which) >= 13:
        return "this Python shows the text of -c in its tracebacks"
    if words.kind == "" and in_guest(words.rest[0]) not in files:
        return f"{words.rest[0]} is no file with a script"
    return ""


def _minor(which: Interpreter) -> int:
    return int(which.name.rpartition(".")[2].rstrip("t"))


def _text(words: Words, files: Mapping[str, Path]) -> bytes:
    """What is run, as far as it is known before the start."""
    if words.kind == "-c":
        return words.rest[1].encode(errors="surrogateescape")
    if words.kind == "-":
        return b""
    name = f"{words.rest[1].replace('.', '/')}.py" if words.kind == "-m" else words.rest[0]
    path = files.get(in_guest(name))
    return path.read_bytes() if path and path.is_file() else b""


def _wanted(warm: str) -> tuple[Import, ...]:
    try:
        statements = ast.parse(warm).body
    except (SyntaxError, ValueError):
        statements = []
    found = leading(warm.encode(), {})
    if any(not isinstance(each, ast.Import | ast.ImportFrom) for each in statements) or (
        warm.strip() and not found
    ):
        raise PlanError(f"--warm {warm!r}: not a list of imports", hint='--warm "import json, re"')
    return found


def _first_folder(words: Words) -> str:
    """Where modules are imported from first, in the guest."""
    if words.kind:
        return "/"
    return posixpath.dirname(in_guest(words.rest[0]))
