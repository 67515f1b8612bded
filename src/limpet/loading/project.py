"""The program behind what a user names: an ELF file, a ``.c`` file or a ``limpet.toml`` folder.

The latter two are compiled with the pinned toolchain.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limpet.errors import ImageError, ManifestError
from limpet.formats.image import read_file
from limpet.loading.guest import Progress
from limpet.tools import toolchain
from limpet.tools.cache import Cache


@dataclass(frozen=True)
class Found:
    """A program: where it is, what errors call it, and the file tree that comes with it."""

    path: Path
    name: str
    root: Path | None = None


def program_of(path: Path, progress: Progress, cache: Cache) -> Found:
    """The program at ``path``, compiled where it is C.

    Raises:
        InputError: it cannot be compiled, or its ``limpet.toml`` is wrong.
    """
    if path.is_dir():
        manifest = _manifest(path)
        program = _compile(manifest.sources, manifest.flags, path, cache, progress)
        return Found(program, str(path), manifest.root)
    if path.suffix == ".c":
        return Found(_compile((path,), (), path.parent, cache, progress), str(path))
    return Found(path, str(path))


@dataclass(frozen=True)
class _Manifest:
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    root: Path | None


def _manifest(folder: Path) -> _Manifest:
    """``limpet.toml``: ``sources`` and ``flags`` (lists of strings), ``root`` (a folder).

    Paths in it start at the folder that it is in.
    """
    path = folder / "limpet.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(
            f"{folder}: a folder without limpet.toml",
            hint="give a program, a .c file, or a folder with limpet.toml",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: {error}", hint="mend the file") from None
    unknown = table.keys() - {"sources", "flags", "root"}
    if unknown:
        raise ManifestError(
            f"{path}: unknown key {min(unknown)}", hint="known are sources, flags and root"
        )
    sources = tuple(folder / name for name in _strings(path, table, "sources"))
    if not sources:
        raise ManifestError(f"{path}: no sources", hint='add: sources = ["main.c"]')
    root = table.get("root")
    if root is not None and not isinstance(root, str):
        raise ManifestError(f"{path}: root must be a string", hint='for example root = "tree"')
    return _Manifest(sources, _strings(path, table, "flags"), folder / root if root else None)


def _strings(path: Path, table: dict[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ManifestError(f"{path}: {key} must be a list of strings", hint=f'{key} = ["..."]')
    return tuple(value)


def _compile(
    sources: tuple[Path, ...],
    flags: tuple[str, ...],
    folder: Path,
    cache: Cache,
    progress: Progress,
) -> Path:
    made_with = (toolchain.version(), toolchain.GUEST_PROGRAM, "without debug", flags)
    state = hashlib.sha256(repr(made_with).encode())
    for source in sources:
        try:
            state.update(read_file(source))
        except ImageError as error:
            raise ImageError(error.message, hint=error.hint) from None
        for header in sorted(source.parent.glob("*.h")):
            state.update(header.read_bytes())

    def make(output: Path) -> None:
        progress("compiling (the first time builds a C library, which takes a minute)")
        toolchain.compile_program(sources, output, flags, folder=folder)

    return cache.file(f"program-{state.hexdigest()}", make)
