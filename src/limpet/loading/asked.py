"""What an interpreter's words ask for: the text that it is to run, and modules that they name.

This is on the path of every cached ``limpet run``, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limpet.loading.interpreters import Interpreter, imported, in_guest, module_of


@dataclass(frozen=True)
class Wants:
    """What a known interpreter is to have beside its texts.

    ``modules`` are names that its words have; with ``alone`` nothing that is installed counts.
    """

    modules: tuple[str, ...] = ()
    alone: bool = False


NOTHING = Wants()


@dataclass
class Asked:
    """What words ask for; ``texts`` are files of this host by path in the guest.

    What is not there is left to the program, which says so.
    """

    texts: Mapping[str, Path] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    alone: bool = False
    given: bool = False
    """Whether the program's text is among the words."""
    pointed: dict[str, Mapping[str, Path]] = field(default_factory=dict)
    """Those of the texts that are there for a word of the program's, by that word."""

    @property
    def wants(self) -> Wants:
        """What there is beside the texts."""
        return Wants(tuple(sorted(self.modules)), self.alone)


def asked_of(which: Interpreter, words: Sequence[str], *, points: bool = True) -> Asked:
    """What the ``words`` behind an interpreter ask for.

    Args:
        points: a word of the program's may name a module.
    """
    asked = Asked()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in which.long:
            del waiting[:1]
        elif word in ("-", "--") or not word.startswith("-"):
            name = word if word != "--" else next(iter(waiting), "")
            if not asked.given:
                path = Path(name)
                asked.texts = {in_guest(path): path} if path.is_file() else _folder(path)
            break
        elif not word.startswith("--") and _take_letters(asked, which, word[1:], waiting):
            break
    for word in waiting if points else ():
        found = re.fullmatch(which.points, word) and _pointed(which, word.partition(":")[0])
        if found:
            asked.pointed[word] = found
            asked.texts = {**found, **asked.texts}
    return asked


def _take_letters(asked: Asked, which: Interpreter, letters: str, waiting: list[str]) -> bool:
    """Take the options of one word; whether no other follows."""
    for at, letter in enumerate(letters):
        asked.alone |= letter in which.alone
        if letter not in which.valued + which.glued:
            continue
        value = letters[at + 1 :]
        if not value and letter in which.valued:
            value = waiting.pop(0) if waiting else ""
        _take(asked, which, letter, value)
        return letter in which.ends
    return False


def _take(asked: Asked, which: Interpreter, letter: str, value: str) -> None:
    if letter in which.text:
        asked.modules |= imported(value.encode(errors="surrogateescape"), which)
        asked.given = True
    elif letter in which.uses:
        asked.modules |= {module_of(value, which)} - {""}
    elif letter in which.module:
        name = value.partition(".")[0]
        asked.texts = _module(which, name)
        if name and not asked.texts:
            asked.modules.add(name)


def _module(which: Interpreter, name: str) -> Mapping[str, Path]:
    """A module of the working folder, with all that is below it."""
    path = Path(f"{name}{which.suffix}")
    if name and path.is_file():
        return {in_guest(path): path}
    return _folder(Path(name)) if name else {}


def _pointed(which: Interpreter, name: str) -> Mapping[str, Path]:
    """What a word names that may mean another thing: a folder without that text is no module."""
    path = name.replace(".", "/")
    texts = (f"{path}{which.suffix}", f"{path}/__init__{which.suffix}")
    return _module(which, name.partition(".")[0]) if any(map(os.path.isfile, texts)) else {}


def _folder(path: Path) -> Mapping[str, Path]:
    """The files in a folder that a user named: a program may be one."""
    found: dict[str, Path] = {}
    for at, folders, names in os.walk(path):
        folders[:] = [each for each in folders if not each.startswith((".", "__pycache__"))]
        found |= {in_guest(f"{at}/{each}"): Path(at, each) for each in names}
    return found
