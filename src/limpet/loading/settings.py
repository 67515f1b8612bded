"""What a ``limpet.toml`` says.  It may come from a stranger, so it is read within bounds.

Its words become arguments of the compiler.  None may be an option that writes files or loads code
(:mod:`limpet.loading.flags`), nor ``@FILE``, which the compiler replaces by what the file holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from limpet.errors import ManifestError
from limpet.loading.flags import check_flags
from limpet.plain import quoted

MOST = 1 << 18
"""Bytes of the file."""

_KEYS = {"sources", "flags", "root"}


@dataclass(frozen=True)
class Settings:
    """The file's contents; paths start at the folder that it is in."""

    sources: tuple[str, ...]
    flags: tuple[str, ...]
    root: str | None


def read_settings(data: bytes, where: str) -> Settings:
    """The file whose bytes are ``data``; ``where`` is what errors call it.

    Raises:
        ManifestError: it is not such a file.
    """
    table = _table(data, where)
    unknown = table.keys() - _KEYS
    if unknown:
        raise ManifestError(
            f"{where}: unknown key {quoted(min(unknown))}", hint="known are sources, flags and root"
        )
    sources, flags = _strings(where, table, "sources"), _strings(where, table, "flags")
    if not sources:
        raise ManifestError(f"{where}: no sources", hint='add: sources = ["main.c"]')
    for name in sources:
        if name[:1] in ("-", "@", ""):
            what = f"a source cannot start with {name[0]}" if name else "a source without a name"
            raise ManifestError(f"{where}: {what}", hint="write ./ before it")
    root = table.get("root")
    if root is not None:
        _check_text(where, "root", root, 'root = "tree"')
    check_flags(flags, where)
    return Settings(sources, flags, root)


def _table(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MOST:
        raise ManifestError(f"{where}: more than {MOST} bytes", hint="keep the lists shorter")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where}: {quoted(str(error))}", hint="mend the file") from None


def _strings(where: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
    value, example = table.get(key, []), f'{key} = ["..."]'
    if not isinstance(value, list):
        raise ManifestError(f"{where}: {key} must be a list of strings", hint=example)
    for each in value:
        _check_text(where, key, each, example)
    return tuple(value)


def _check_text(where: str, key: str, value: object, example: str) -> None:
    if not isinstance(value, str):
        kind = "a string" if key == "root" else "a list of strings"
        raise ManifestError(f"{where}: {key} must be {kind}", hint=f"for example {example}")
    if "\0" in value:
        raise ManifestError(f"{where}: {key} has a zero byte", hint="take it out")
