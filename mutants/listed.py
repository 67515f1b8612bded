"""The list of mutations, as read from its files and held against the sources."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutants import HERE, ROOT


class ListError(Exception):
    """The list is wrong: its message says which entry, and what to mend."""


@dataclass(frozen=True)
class Mutation:
    """A change that takes a protection out.

    ``file`` is below ``src/limpet``, each of ``tests`` below ``tests``, as pytest names them;
    ``removes`` says in plain English which protection is gone.
    """

    name: str
    file: str
    old: str
    new: str
    removes: str
    tests: tuple[str, ...]

    def applied(self, root: Path = ROOT) -> str:
        """The text of the file with the mutation.

        Raises:
            ListError: ``old`` does not stand in it exactly once.
        """
        path = root / "src" / "limpet" / self.file
        if not path.is_file():
            raise ListError(f"{self.name}: there is no {self.file}: mend the list")
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ListError(
                f"{self.name}: its old text stands {count} times in {self.file}, and not once: "
                "mend the list"
            )
        return text.replace(self.old, self.new)


def mutations(folder: Path = HERE / "list") -> tuple[Mutation, ...]:
    """Every mutation of the list, by file and in the order of each.

    Raises:
        ListError: an entry has other members than a :class:`Mutation`, or a name is there twice.
    """
    found: dict[str, Mutation] = {}
    for path in sorted(folder.glob("*.toml")):
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if name in found:
                raise ListError(f"{name}: there twice")
            found[name] = _mutation(name, table)
    return tuple(found.values())


_TEXTS = {"file", "old", "new", "removes"}


def _mutation(name: str, table: dict[str, object]) -> Mutation:
    texts = {key: value for key, value in table.items() if isinstance(value, str)}
    tests = table.get("tests")
    if set(table) != _TEXTS | {"tests"} or set(texts) != _TEXTS:
        raise ListError(f"{name}: an entry has {', '.join(sorted(_TEXTS))} and tests")
    if not isinstance(tests, list) or not tests or texts["old"] == texts["new"]:
        raise ListError(f"{name}: it changes nothing, or names no tests")
    return Mutation(name, tests=tuple(map(str, tests)), **texts)
