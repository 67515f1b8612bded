"""Files that the words of a command line name: who starts a guest gives them to it by that.

A word that a program takes for a file of its working folder leads there in a guest too, whose
working folder is ``/``.  Words that begin with ``-`` are not guessed at.  This is on the path of
every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limpet.errors import PlanError
from limpet.loading.interpreters import in_guest
from limpet.plain import quoted
from limpet.tools.units import kilobytes

MOST = 64 << 20
"""Bytes of all files that are given to one guest: each of their changes makes a bundle."""

OWN_FOLDERS = ("/dev", "/proc", "/sys", "/.limpet")
OWN_FILES = frozenset(
    f"/etc/{each}"
    for each in (
        *("group", "hostname", "hosts", "localtime", "mtab", "nsswitch.conf", "passwd"),
        *("protocols", "resolv.conf", "services"),
    )
)
"""What a guest has of its own where nothing is packed there."""

_SHOWN = 5
"""Files that are told by name."""

_DESCRIPTORS, _STANDARD = "/dev/fd/", ("0", "1", "2")
_NO_FILES = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@dataclass(frozen=True)
class NamedFile:
    """A file of the host's, as the user wrote it; ``size`` is what it had when it was found."""

    word: str
    real: str
    size: int


@dataclass(frozen=True)
class Named:
    """What words name: ``files`` by their path in the guest, and ``hints`` about what is none."""

    files: Mapping[str, NamedFile] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    @property
    def paths(self) -> dict[str, Path]:
        """Where the files are, as it is told: a link that changes now leads nowhere else."""
        return {guest: Path(each.real) for guest, each in self.files.items()}

    def told(self, given: Iterable[str]) -> str:
        """What to say of those that were ``given``, by their path in the guest; or nothing."""
        files = [self.files[each] for each in given]
        if not files:
            return ""
        texts = [f"{quoted(each.word)} ({_size(each)})" for each in files[:_SHOWN]]
        more = files[_SHOWN:]
        if more:
            size = kilobytes(sum(each.size for each in more))
            texts.append(f"{len(more)} more file{'s' * (len(more) > 1)} ({size})")
        both = " and ".join(texts[-2:])
        copies = "a copy" if len(files) == 1 else "copies"
        return f"gives the guest {copies} of {', '.join([*texts[:-2], both])}"

    def changed(self, given: Iterable[str]) -> list[str]:
        """What to say of those that were ``given`` and are not what they were when it was told."""
        now = {guest: _bytes_of(self.files[guest].real) for guest in given}
        return [
            f"{quoted(self.files[guest].word)} has changed meanwhile: the copy may be another size "
            "(--no-given gives none)"
            for guest, size in now.items()
            if size != self.files[guest].size
        ]

    def lost(self, given: Collection[str]) -> list[str]:
        """Hints about those that were not ``given``: the guest has something else there."""
        return [
            _not_given(each.word, _another(each.word))
            for guest, each in self.files.items()
            if guest not in given and _is_another(each.real, guest)
        ]


NOTHING = Named()


def named_in(
    words: Iterable[str],
    taken: Iterable[str] = (),
    mounted: Iterable[str] = (),
    root: Path | None = None,
) -> Named:
    """The files that ``words`` name.

    Args:
        taken: paths in the guest that are packed already.
        mounted: folders of the guest that are the host's.
        root: the folder that is packed.

    Raises:
        PlanError: two of them would have the same path in the guest.
    """
    finder = _Finder(frozenset(taken), (*OWN_FOLDERS, *mounted), root)
    for word in dict.fromkeys(words):
        if not word.startswith("-"):
            finder.take(word)
    return Named(finder.files, tuple(finder.hints))


class _Finder:
    """Looks at words, one after the other."""

    def __init__(self, taken: frozenset[str], folders: Sequence[str], root: Path | None) -> None:
        self._taken, self._folders, self._root = taken, folders, root
        self._bytes = 0
        self.files: dict[str, NamedFile] = {}
        self.hints: list[str] = []

    def take(self, word: str) -> None:
        try:
            status = os.stat(word)
        except (OSError, ValueError):
            return  # it is no file, or the program says what is wrong with it
        guest = f"/{in_guest(word).lstrip('/')}"  # it may begin with two
        if guest.startswith(_DESCRIPTORS) and guest[len(_DESCRIPTORS) :] not in _STANDARD:
            self._hint(word, "a descriptor, and it has a standard input")
        if self._is_there(guest):
            own = guest in OWN_FILES - self._taken or _is_below(guest, OWN_FOLDERS)
            if own and stat.S_ISREG(status.st_mode) and _is_another(word, guest):
                self._hint(word, _another(word))
            return
        why = _refused(word, guest, status) or self._too_much(word, guest, status)
        if why:
            self._hint(word, why)
        elif stat.S_ISREG(status.st_mode):
            self._give(guest, NamedFile(word, os.path.realpath(word), status.st_size))

    def _hint(self, word: str, why: str) -> None:
        self.hints.append(_not_given(word, why))

    def _is_there(self, guest: str) -> bool:
        """Whether the guest has, or will have, something else at that path."""
        below = _is_below(guest, self._folders)
        packed = self._root is not None and os.path.lexists(f"{self._root}{guest}")
        inside = any(each.startswith(f"{guest.rstrip('/')}/") for each in self._taken)
        return below or packed or inside or guest in self._taken | OWN_FILES | {"/"}

    def _too_much(self, word: str, guest: str, status: os.stat_result) -> str:
        self._bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if self._bytes <= MOST:
            return ""
        self._bytes -= status.st_size
        what = f"{kilobytes(status.st_size)}, and all are to be at most {MOST >> 20} MiB"
        folder, below = posixpath.split(word)[0] or ".", posixpath.dirname(guest)
        where = f"--volume {quoted(folder)}:{quoted(below)}:ro or " if below != "/" else ""
        return f"{what} ({where}--file {quoted(word)}:{quoted(guest)}; --no-given for none)"

    def _give(self, guest: str, file: NamedFile) -> None:
        other = self.files.setdefault(guest, file)
        if other.real != file.real:
            raise PlanError(
                f"{quoted(other.word)} and {quoted(file.word)} would both be {quoted(guest)} in "
                "the guest, whose working folder is /",
                hint=f"--file {quoted(file.word)}:/other and that name instead, or --no-given",
            )


def _is_below(guest: str, folders: Iterable[str]) -> bool:
    return any(f"{guest}/".startswith(f"{each.rstrip('/')}/") for each in folders)


def _is_another(word: str, guest: str) -> bool:
    """Whether it is another file than the host has at that path, which a guest may well have."""
    return os.path.realpath(word) != os.path.realpath(guest)


def _another(word: str) -> str:
    name = f"--file {quoted(word)}:/other and that name instead"
    return f"it has something of its own under that name ({name})"


def _not_given(word: str, why: str) -> str:
    return f"{quoted(word)} is not given to the guest: {why}"


def _refused(word: str, guest: str, status: os.stat_result) -> str:
    """Why it is not given, if somebody may have expected that it is."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        return f"a folder (--volume {quoted(word)}:{quoted(guest)}:ro)"
    if kind in _NO_FILES:
        return f"{_NO_FILES[kind]}, and it has a standard input"
    if kind != stat.S_IFREG:
        return ""
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return f"a program that runs as another user (--file {quoted(word)}:{quoted(guest)})"
    if ".." in word.lstrip("./").split("/"):
        return "its name goes through a folder that is not there (name it without ..)"
    if not os.access(word, os.R_OK):
        return "it cannot be read"
    return ""


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _size(file: NamedFile) -> str:
    """How large it is, and where it is if its name does not say so."""
    size = (
        kilobytes(file.size) if file.size >= 1000 else f"{file.size} byte{'s' * (file.size != 1)}"
    )
    direct = os.path.normpath(os.path.join(os.path.realpath("."), file.word))
    return size if file.real == direct else f"{size} of {quoted(file.real)}"
