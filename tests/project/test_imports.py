"""Imports run one way, from the command line down to the contract."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "limpet"

FOUNDATION = ("errors", "plain", "version", "sources")
"""Modules that everybody may use, and that use nobody."""

ROOMS = (
    "contract",
    "formats",
    "tools",
    "arch",
    "loading",
    "planning",
    "guests",
    "building",
    "running",
    "sandbox",
    "audit",
    "cli",
)
"""From the bottom up: a room uses only itself and what stands before it."""


def modules() -> dict[str, Path]:
    """Every module of the product by its name below ``limpet``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[tuple[str, int, bool]]:
    """What a module imports of ours, in which line, and whether as soon as it is imported.

    What stands below ``TYPE_CHECKING`` counts: who names a type knows about it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        for name in names:
            if name.startswith("limpet."):
                yield name.removeprefix("limpet."), node.lineno, id(node) not in late


def room(name: str) -> str:
    """The room of a module."""
    return name.split(".", maxsplit=1)[0]


def test_every_folder_is_a_room() -> None:
    """Whoever adds one says where it stands."""
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS)
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert files == set(FOUNDATION)


@pytest.mark.parametrize("name", sorted(set(modules()) - {"", "__main__"}))
def test_imports_run_down(name: str) -> None:
    """A room uses only what stands below it, late imports included."""
    order = [*FOUNDATION, *ROOMS]
    known = modules()
    for other, line, _ in imported(known[name]):
        if other not in known:
            continue  # a name in a module
        mine, theirs = order.index(room(name)), order.index(room(other))
        allowed = theirs <= mine if room(name) not in FOUNDATION else theirs < mine
        assert allowed, f"{known[name]}:{line}: {room(name)} uses {other}"


def test_guest_kinds_are_known_to_nobody() -> None:
    """Outside of guests, nobody names a kind of guest; the commands of Solo5's tenders do."""
    kinds = {path.name for path in (PACKAGE / "guests").iterdir() if (path / "kind.py").exists()}
    assert {"linux", "solo5"} <= kinds
    for name, path in modules().items():
        if room(name) in ("guests", ""):
            continue
        for other, line, _ in imported(path):
            named = other.split(".")[:2]
            assert not (named[0] == "guests" and named[1:] and named[1] in kinds), (
                f"{path}:{line}: {name} uses {other}"
            )


def test_no_circles() -> None:
    """Within a room too, no module needs itself, late imports included."""
    known = modules()
    uses = {
        name: {other for other, _, _ in imported(path) if other in known and other != name}
        for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join([*above[above.index(name) :], name])
        if name in done:
            return
        for other in sorted(uses[name]):
            if other and not name.startswith(f"{other}."):  # a package is imported before its own
                visit(other, (*above, name))
        done.add(name)

    for name in sorted(uses):
        visit(name, ())
