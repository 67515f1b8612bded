"""What known interpreters need beside them: one entry each, and how to tell one.

An interpreter is known by the name of its file and by its library, which lies where the program
itself looks for it; nothing is run to find out.  The first look is on the path of every cached
``limpet run``, so this imports nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Interpreter:
    """One that is known.

    ``program`` is a pattern for the name of its file; ``{1}`` in the paths below is its group.

    Its home is the first folder, from that of the file upwards, with ``landmark`` below it.
    ``library`` is the folder that is packed from there, without names that match ``leave``, and
    ``also`` are folders of the host, from the home on.  What matches ``times`` keeps its time of
    change.

    An environment is the folder that the program is in, as it was named, or the one above, if that
    has ``mark``; ``environment`` is the folder of it that is packed, without ``unneeded``.  Without
    a ``mark`` there are none.

    Of its options, each a letter, ``valued`` have a value in the rest of their word or in the next
    one, ``glued`` in the rest alone; ``long`` are words with a word behind them.  The value of
    ``text`` is a program, that of ``module`` is a module that is one, and that of ``uses`` names
    a module; no other follows on ``ends``.  With ``alone`` it looks for its own library alone.

    Modules are texts with ``suffix``, files with one of ``suffixes``, or folders; with ``deep``
    between the parts of their names each is a file of its own, else they are packed by the first
    part.  Their names stand in a text where ``imports`` matches, but not in what ``prose``
    matches, and in a program's words that match ``points``, as its group.  They are looked for in
    the folders ``beside`` the text and then in the folders ``modules``, which are patterns and
    start at the home; what belongs to one is in the folder of its name below ``parts``.
    ``telling`` are files of an environment that say what is in it, and those that match
    ``startup`` are texts that are run at each start.  ``zones`` are modules that look for
    the host's time zones, and ``terminals`` those that look for what a terminal can do.
    """

    name: str
    program: str
    landmark: str
    library: str
    suffix: str
    leave: Sequence[str] = ()
    also: Sequence[str] = ()
    times: str = ""
    mark: str = ""
    environment: str = ""
    unneeded: Sequence[str] = ()
    valued: str = ""
    glued: str = ""
    long: Sequence[str] = ()
    text: str = ""
    module: str = ""
    ends: str = ""
    uses: str = ""
    alone: str = ""
    suffixes: tuple[str, ...] = ()
    imports: str = r"(?!)"
    modules: Sequence[str] = ()
    prose: str = r"(?!)"
    points: str = r"(?!)"
    deep: str = ""
    beside: Sequence[str] = ("",)
    parts: str = ""
    telling: Sequence[str] = ()
    startup: str = ""
    zones: Sequence[str] = ()
    terminals: Sequence[str] = ()

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

_POINTS = r"([A-Za-z_]\w*)(?:\.\w+)*:[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?"
"""An object of a module's, as servers are told of their application: ``main:app``.  Source: the
specification of entry points of the Python Packaging Authority."""

KNOWN = (
    Interpreter(
        name="CPython",
        program=r"python(3\.[0-9]+t?)",
        landmark="lib/python{1}/os.py",
        library="lib/python{1}",
        leave=(
            "*.opt-[12].pyc",  # as much again, for -O alone, which does without
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
        unneeded=("pip", "pip-*", "ziglang", "ziglang-*"),  # which start other programs
        valued="cmWX",
        long=("--check-hash-based-pycs",),
        text="c",
        module="m",
        ends="cm",
        alone="S",
        suffix=".py",
        suffixes=(".py", ".so"),
        imports=(
            r"(?m)(?:^|;|\b(?:try|else|finally):)[ \t]*"
            r"(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+))"
            r"|\b(?:import_module|__import__)\([ \t]*['\"]([\w.]+)"
            rf"|\b(?:run|serve|Config|Granian)\([ \t\n]*['\"]{_POINTS}['\"]"
        ),
        points=_POINTS,
        modules=(
            "lib/python{1}/site-packages",
            "local/lib/python{1}/dist-packages",
            "lib/python3/dist-packages",
        ),
        telling=tuple(f"*.dist-info/{each}" for each in ("METADATA", "*.txt")),
        startup="*.pth",
        zones=("dateutil", "pandas", "zoneinfo"),
        terminals=("asciimatics", "blessed", "curses", "urwid"),
    ),
    Interpreter(
        name="Perl",
        program=r"perl()",
        landmark="lib/x86_64-linux-gnu/perl-base/strict.pm",
        library="lib/x86_64-linux-gnu/perl-base",  # what scripts use most; the rest is ten times it
        valued="eEI",
        glued="CDdFiMmVx",
        text="eE",
        uses="Mm",
        suffix=".pm",
        suffixes=(".pm", ".pl", ".ix", ".al", ".so"),
        imports=(
            r"(?m)(?:^|[;{])[ \t]*(?:(?:use|require|no)[ \t]+(?!parent\b|base\b)([A-Za-z_][\w:]*)"
            r"|use[ \t]+(?:parent|base)[ \t]+[^\w;]*(?:norequire\W+)?(?:qw\W+)?"
            r"([\w:]+)(?:[ \t'\",]+([\w:]+))?)"
        ),
        modules=(
            "../etc/perl",
            "local/lib/x86_64-linux-gnu/perl/5.*",
            "local/share/perl/5.*",
            "lib/x86_64-linux-gnu/perl5/5.*",
            "share/perl5",
            "lib/x86_64-linux-gnu/perl/5.*",
            "share/perl/5.*",
        ),
        prose=r"(?ms)^=[a-z]\w*.*?(?:^=cut\b|\Z)|^__END__$.*",
        deep="::",
        beside=("", "lib"),
        parts="auto",
    ),
    Interpreter(
        name="Ruby",
        program=r"ruby(3\.[0-9])",
        landmark="lib/ruby/{1}.0/set.rb",
        library="lib/ruby/{1}.0",
        leave=("bundler", "irb", "rdoc"),
        also=("/usr/lib/x86_64-linux-gnu/ruby/{1}.0", "/usr/lib/ruby/vendor_ruby"),
        valued="eEIrC",
        glued="0FiKTWx",
        long=("--encoding", "--external-encoding", "--internal-encoding"),
        text="e",
        suffix=".rb",
        suffixes=(".rb",),  # its library is packed whole
    ),
    Interpreter(
        name="Java",
        program=r"java()",
        landmark="lib/modules",
        library="lib",
        leave=("ct.sym", "src.zip"),  # for its compiler, and for who debugs
        also=("conf", *(f"/etc/java-{each}-openjdk" for each in (11, 17, 21, 25))),
        glued="DX",
        suffix=".class",  # they are named by --class-path, in no text
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


def installed_in(program: Path | str, which: Interpreter) -> list[str]:
    """The folders in which ``program``, a path that its user names, has its packages."""
    folder = os.path.dirname(os.path.abspath(program))
    above = (folder, os.path.dirname(folder))
    environments = [each for each in above if os.path.isfile(f"{each}/{which.mark}")]
    found = [f"{each}/{which.environment}" for each in environments[:1] if which.mark]
    home = home_of(program, which) or "/"
    return found + [os.path.normpath(f"{home}/{each}") for each in which.modules]


def imported(text: bytes, which: Interpreter) -> set[str]:
    """The names of modules that a text uses, as far as they say what is packed."""
    told = re.sub(which.prose, "", text[:MOST_TEXT].decode(errors="replace"))
    found = [each for groups in _matches(which.imports, told) for each in groups]
    names = {module_of(each, which) for many in found for each in many.split(",")}
    return names - {""}


def _matches(pattern: str, text: str) -> list[tuple[str, ...]]:
    return [match.groups(default="") for match in re.finditer(pattern, text)]


def module_of(words: str, which: Interpreter) -> str:
    """The module that ``words`` begin with: as much of its name as says what is packed."""
    match = re.match(r"[\s'\"-]*([\w.:]*)", words)
    name = match[1] if match else ""
    return name.strip(":") if which.deep else name.partition(".")[0]


def in_guest(path: Path | str) -> str:
    """Where a path that a user named leads to in a guest, whose working folder is /."""
    return posixpath.normpath(posixpath.join("/", str(path)))
