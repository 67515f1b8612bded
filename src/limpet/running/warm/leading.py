"""What a text imports before it does anything else: that can be done before it is started.

An import behind other statements may see what these have done, so it stays where it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MOST = 4096
"""Imports, and texts one behind the other, that are looked at."""


@dataclass(frozen=True)
class Import:
    """A module by its whole name, and what is wanted of it, which may be modules too."""

    name: str
    members: tuple[str, ...] = ()


def leading(text: bytes, own: Mapping[str, bytes]) -> tuple[Import, ...]:
    """The imports at the start of ``text``, in their order.

    Args:
        own: texts of modules that are the program's, by their names; what these import first is
            followed, and where one does more than that, everything behind it is left.
    """
    found: list[Import] = []
    for each in _of(text, own, set()):
        if each is None or len(found) == MOST:
            break
        found.append(each)
    return tuple(dict.fromkeys(found))


def _of(text: bytes, own: Mapping[str, bytes], known: set[str]) -> Iterator[Import | None]:
    """The imports of one text; ``None`` where it does something else."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield None
        return
    for statement in statements:
        if _does_nothing(statement):
            continue
        imports = _imports(statement)
        if not imports:
            yield None
            return
        for each in imports:
            yield from _one(each, own, known)


def _one(each: Import, own: Mapping[str, bytes], known: set[str]) -> Iterator[Import | None]:
    top = each.name.partition(".")[0]
    if top not in own:
        yield each
    elif each.name != top:
        yield None  # a package of one's own does what it does
    elif top not in known:
        known.add(top)
        yield from _of(own[top], own, known)


def _does_nothing(statement: ast.stmt) -> bool:
    """Whether it neither changes nor sees anything outside of its text."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        given = statement.args
        has_defaults = given.defaults or any(given.kw_defaults)
        annotated = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        notes = any(each.annotation for each in annotated) or statement.returns
        return not (statement.decorator_list or has_defaults or notes)
    if isinstance(statement, ast.Assign):
        names = all(isinstance(each, ast.Name) for each in statement.targets)
        return names and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _imports(statement: ast.stmt) -> tuple[Import, ...]:
    """What it imports, if that is all that it does."""
    if isinstance(statement, ast.Import):
        return tuple(Import(each.name) for each in statement.names)
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        return (Import(statement.module, tuple(each.name for each in statement.names)),)
    return ()
