"""What known interpreters need beside them: one entry each, and how to tell one.

An interpreter is known by the name of its file and by its library, which lies where the program
itself looks for it; nothing is run to find out.  The first look is on the path of every cached
``limpet run``, so this imports nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Interpreter:
    """One that is known.

    ``program`` is a pattern for the name of its file; ``{1}`` in the paths below is its group.

    Its home is the first folder, from that of the file upwards, with ``landmark`` below it.
    ``library`` is the folder that is packed from there, without names that match ``leave``, and
    ``also`` are folders of the host.  What matches ``times`` keeps its time of change.

    An environment is the folder that the program is in, as it was named, or the one above, if that
    has ``mark``; ``environment`` is the folder of it that is packed, without ``unneeded``.  Without
    a ``mark`` there are none.

    ``valued`` are options with a word behind them, ``module`` the one whose word is a module, and
    ``ends`` the one behind which no file is named.  Modules are texts with ``suffix``, files with
    one of ``suffixes``, or folders; their names stand in a text where ``imports`` matches, and they
    are looked for beside the text and then in the folders ``modules``, which start at the home.
    """

    name: str
    program: str
    landmark: str
    library: str
    leave: Sequence[str]
    also: Sequence[str]
    times: str
    mark: str
    environment: str
    unneeded: Sequence[str]
    valued: Sequence[str]
    module: str
    ends: str
    suffix: str
    suffixes: tuple[str, ...]
    imports: str
    modules: Sequence[str]

    def known_as(self, name: str) -> Interpreter | None:
        """It as the program whose file has that name, with the paths filled in."""
        match = re.fullmatch(self.program, name)
        if match is None:
            return None
        which = match[1]
        return replace(
            self,
            name=f"{self.name} {which}".rstrip(),
            landmark=self.landmark.format("", which),
            library=self.library.format("", which),
            also=[each.format("", which) for each in self.also],
            environment=self.environment.format("", which),
            modules=[each.format("", which) for each in self.modules],
        )


MOST_TEXT = 1 << 20
"""Bytes of a text whose lines are looked at."""

_NONE = r"(?!)()()"
"""For :attr:`Interpreter.imports`: what a text uses is not read from it."""

KNOWN = (
    Interpreter(
        name="CPython",
        program=r"python(3\.[0-9]+t?)",
        landmark="lib/python{1}/os.py",
        library="lib/python{1}",
        leave=(
            "config-*",  # for who links it into a program
            "dist-packages",
            "ensurepip",
            "idle_test",
            "idlelib",
            "site-packages",
            "test",
            "tests",
            "turtledemo",
        ),
        also=("/usr/lib/locale/C.utf8",),
        times="*.py",  # else no compiled file is believed to be of its source
        mark="pyvenv.cfg",
        environment="lib/python{1}/site-packages",
        unneeded=("pip", "pip-*"),  # which wants sockets and other programs
        valued=("-W", "-X", "--check-hash-based-pycs"),
        module="-m",
        ends="-c",
        suffix=".py",
        suffixes=(".py", ".so"),
        imports=r"(?m)(?:^|;)[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+))",
        modules=(
            "lib/python{1}/site-packages",
            "local/lib/python{1}/dist-packages",
            "lib/python3/dist-packages",
        ),
    ),
    Interpreter(
        name="Perl",
        program=r"perl()",
        landmark="lib/x86_64-linux-gnu/perl-base/strict.pm",
        library="lib/x86_64-linux-gnu/perl-base",  # what scripts use most; the rest is ten times it
        leave=(),
        also=(),
        times="",
        mark="",
        environment="",
        unneeded=(),
        valued=("-I",),
        module="-\0",  # modules are no programs
        ends="-e",
        suffix=".pm",
        suffixes=(".pm",),
        imports=_NONE,
        modules=(),
    ),
    Interpreter(
        name="Ruby",
        program=r"ruby(3\.[0-9])",
        landmark="lib/ruby/{1}.0/set.rb",
        library="lib/ruby/{1}.0",
        leave=("bundler", "irb", "rdoc"),
        also=("/usr/lib/x86_64-linux-gnu/ruby/{1}.0", "/usr/lib/ruby/vendor_ruby"),
        times="",
        mark="",
        environment="",
        unneeded=(),
        valued=("-I", "-r", "-C", "-E"),
        module="-\0",
        ends="-e",
        suffix=".rb",
        suffixes=(".rb",),
        imports=_NONE,
        modules=(),
    ),
)


def known(program: Path | str) -> Interpreter | None:
    """The interpreter that the file ``program`` is by its name, links followed."""
    name = os.path.basename(os.path.realpath(program))
    found = (each.known_as(name) for each in KNOWN)
    return next((each for each in found if each), None)


def home_of(program: Path | str, which: Interpreter) -> str | None:
    """The folder that the library of ``program`` is below, links followed; see ``landmark``."""
    folder = os.path.dirname(os.path.realpath(program))
    while not os.path.isfile(os.path.join(folder, which.landmark)):
        if folder == "/":
            return None
        folder = os.path.dirname(folder)
    return folder


def imported(text: bytes, imports: str) -> set[str]:
    """The first words of the names of modules that a text uses, where ``imports`` matches."""
    found = re.findall(imports, text[:MOST_TEXT].decode(errors="replace"))
    names = [one for one, _ in found] + [each for _, many in found for each in many.split(",")]
    words = [each.split() for each in names]
    return {each[0].partition(".")[0] for each in words if each} - {""}


def in_guest(path: Path | str) -> str:
    """Where a path that a user named leads to in a guest, whose working folder is /."""
    return posixpath.normpath(posixpath.join("/", str(path)))


def texts_of(which: Interpreter, words: Sequence[str]) -> Mapping[str, Path]:
    """The program's text among the ``words`` behind it: files of this host by path in the guest.

    What is not there is left to the program, which says so.
    """
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in which.valued:
            del waiting[:1]
        elif word.startswith(which.ends):
            return {}
        elif word.startswith(which.module):
            name = word.removeprefix(which.module) or next(iter(waiting), "")
            return _module(which, name.partition(".")[0])
        elif word in ("-", "--") or not word.startswith("-"):
            name = word if word != "--" else next(iter(waiting), "")
            path = Path(name)
            return {in_guest(path): path} if path.is_file() else _folder(path)
    return {}


def _module(which: Interpreter, name: str) -> Mapping[str, Path]:
    """A module of the working folder, with all that is below it."""
    path = Path(f"{name}{which.suffix}")
    if name and path.is_file():
        return {in_guest(path): path}
    return _folder(Path(name)) if name else {}


def _folder(path: Path) -> Mapping[str, Path]:
    """The files in a folder that a user named: a program may be one."""
    found: dict[str, Path] = {}
    for at, folders, names in os.walk(path):
        folders[:] = [each for each in folders if not each.startswith((".", "__pycache__"))]
        found |= {in_guest(f"{at}/{each}"): Path(at, each) for each in names}
    return found
