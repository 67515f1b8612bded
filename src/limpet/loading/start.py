"""What to start for a name: the file, a program on PATH, or the interpreter of a script.

``#!`` lines are read as Linux does (``execve(2)``, ``fs/binfmt_script.c``).  This is on the path of
every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from limpet.errors import ImageError
from limpet.loading.asked import NOTHING, Asked, Wants, asked_of
from limpet.loading.interpreters import Interpreter, known
from limpet.loading.shims import chosen, is_shim
from limpet.plain import plain, quoted

LOOKED_AT = 256
"""Bytes of a script that Linux looks at (``BINPRM_BUF_SIZE``)."""

DEEPEST = 5
"""Scripts whose interpreters are scripts, one behind the other, at most."""

_MOST_WHY = 3
"""Files of which each is said why it is packed."""

_BLANK = b" \t"


@dataclass(frozen=True)
class Start:
    """A program, the words that it is started with, and what it has to find.

    ``words`` begin with its ``argv[0]`` and end before the user's arguments; ``files`` are scripts
    and texts of this host by their path in the guest; ``why`` says how the program was found, if it
    was not simply named, and what is packed for it; ``wants`` is what else its words ask for.
    ``given`` says what words of the program's name, which is packed for that.
    """

    program: Path
    words: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    wants: Wants = NOTHING
    given: tuple[str, ...] = ()


def start_of(
    app: Path, root: Path | None = None, words: Sequence[str] = (), *, gives: bool = True
) -> Start:
    """What starts when a user names ``app``.

    Args:
        app: a path, or a name that is looked up in PATH when there is no such file here.
        root: the folder to be packed, in which an interpreter is looked for first.
        words: what the program is given.
        gives: words may name what is packed; else only an interpreter's own words do.

    Raises:
        ImageError: it is a pipe or a device, or a script's ``#!`` line names no program that can
            be started.
    """
    program, why = app, tuple[str, ...]()
    if os.sep not in str(app) and not app.exists():
        found = in_path(str(app))
        if found:
            program, why = Path(found), (f"{app} is {found}, found in PATH",)
    _check_kind(program)
    given = str(app)
    guest = given if program is app else str(program)
    start = _through(Start(program, (given,), {}, why), guest, root)
    which = known(start.program)
    if which is None:
        return start
    asked = asked_of(which, (*start.words[1:], *words), points=gives)
    return _interpreted(start, which, root, asked)


def _check_kind(path: Path) -> None:
    """Who opens a pipe waits, and some devices have no end."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # who reads it says what is wrong
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ImageError(f"{path}: not a regular file", hint="give a program or a .c file")


def _interpreted(start: Start, which: Interpreter, root: Path | None, asked: Asked) -> Start:
    """``start`` of a known interpreter: with the text that it is given, and called by its path.

    It finds its library by that; else it looks for itself in PATH, which a guest does not have.
    """
    given = {
        each: path
        for each, path in asked.texts.items()
        if not (root and os.path.exists(f"{root}{each}"))
    }
    why = [
        f"{path} is packed for {which.name}"
        for each, path in given.items()
        if each not in start.files
    ]
    if len(why) > _MOST_WHY:
        why[_MOST_WHY:] = [f"{len(why) - _MOST_WHY} more files are"]
    return replace(
        start,
        words=(os.path.abspath(start.program), *start.words[1:]),
        files={**given, **start.files},
        why=(*start.why, *why),
        wants=asked.wants,
        given=tuple(_told(each, list(files.values())) for each, files in asked.pointed.items()),
    )


def _told(word: str, files: Sequence[Path]) -> str:
    """What to say of ``files`` that are packed since a program's word names their module."""
    more = f" and {len(files) - 1} more" if files[1:] else ""
    return f"gives the guest a copy of {quoted(str(min(files)))}{more} for {quoted(word)}"


def _through(start: Start, name: str, root: Path | None) -> Start:
    """``start`` with every script replaced by its interpreter; ``name`` is the script's there."""
    first = start.program
    for _ in range(DEEPEST + 1):
        line = _first_line(start.program)
        if line is None:
            return start
        words, program, why = _interpreter(start.program, line, root)
        files = {**start.files, posixpath.normpath(posixpath.join("/", name)): start.program}
        start = Start(program, (*words, name, *start.words[1:]), files, (*start.why, why))
        name = words[0] if os.sep in words[0] else str(program)
    raise ImageError(
        f"{quoted(first)}: more than {DEEPEST} scripts are each other's interpreters",
        hint="give the program that is to run it",
    )


def _first_line(path: Path) -> bytes | None:
    """What stands behind ``#!``, ``None`` for a file that is no script or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            start = stream.read(LOOKED_AT)
    except OSError:
        return None  # whoever reads it in full says so
    if not start.startswith(b"#!"):
        return None
    line, newline, _ = start[2:].partition(b"\n")
    words = line.strip(_BLANK)
    cut = len(start) == LOOKED_AT and not newline
    if b"\0" in line or not words or (cut and len(words.split()) < 2):
        what = "names no interpreter" if not words else "is too long or not text"
        raise ImageError(
            f"{quoted(path)}: its #! line {what}", hint="begin it with #! and the path of a program"
        )
    return words


def _interpreter(script: Path, line: bytes, root: Path | None) -> tuple[tuple[str, ...], Path, str]:
    """The words in front of the script's name, the interpreter, and how it was found."""
    first = line.replace(b"\t", b" ").partition(b" ")[0]
    path, argument = os.fsdecode(first), os.fsdecode(line[len(first) :].strip(_BLANK))
    if path in ("/usr/bin/env", "/bin/env"):
        return _by_env(script, argument)
    found = _in_root(path, root) or Path(path)
    if not found.is_file():
        raise ImageError(
            f"{quoted(script)}: its interpreter {quoted(path)} does not exist",
            hint=f"install it, or change the first line of {quoted(script.name)}",
        )
    return (path, argument) if argument else (path,), found, f"{script} is a script of {found}"


def _by_env(script: Path, argument: str) -> tuple[tuple[str, ...], Path, str]:
    """What ``env`` would start: a guest has no ``exec``."""
    split = argument.startswith("-S")
    words = argument[2:].split() if split else [argument]
    found = in_path(words[0]) if words and words[0] else None
    if (
        not words
        or not words[0]
        or words[0].startswith("-")
        or "=" in words[0]
        or set("'\"\\$") & set(argument)
    ):
        raise ImageError(
            f"{quoted(script)}: its first line asks env for more than a program: {plain(argument)}",
            hint="name the interpreter's path there, and give variables with --env",
        )
    if found is None:
        raise ImageError(
            f"{quoted(script)}: its interpreter {quoted(words[0])} is nowhere in PATH",
            hint=f"install it, or change the first line of {quoted(script.name)}",
        )
    return tuple(words), Path(found), f"{script} is a script of {found}, found in PATH"


def in_path(name: str) -> str | None:
    """The program of that name in PATH; of a shim of pyenv's, what it would run."""
    import shutil  # which takes long, and most programs are named by their path

    found = shutil.which(name)
    if found is None or not is_shim(found):
        return found
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    others = [each for each in folders if not is_shim(os.path.join(each, name))]
    return chosen(found) or shutil.which(name, path=os.pathsep.join(others))


def _in_root(path: str, root: Path | None) -> Path | None:
    """The file at ``path`` of the folder that is packed, if it does not lead out of there."""
    if root is None:
        return None
    found = Path(os.path.realpath(f"{root}/{path}"))
    inside = found.is_relative_to(os.path.realpath(root))
    return found if inside and found.is_file() else None
