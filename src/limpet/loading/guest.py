"""``load``: a guest as read — the program, its system call sites, its file tree.

A guest is a static Linux ELF file, a ``.c`` file, or a folder with a ``limpet.toml``; the latter
two are compiled with the pinned toolchain.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpet.arch.x86_64 import sites
from limpet.arch.x86_64.sites import Scan
from limpet.errors import ImageError, ManifestError
from limpet.formats import tree
from limpet.formats.tree import Tree
from limpet.loading import image
from limpet.loading.image import Image
from limpet.tools import toolchain
from limpet.tools.cache import Cache

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Guest:
    """Everything that is known of a guest before anything is decided."""

    image: Image
    scan: Scan
    tree: Tree = field(default_factory=Tree)


def load(
    path: Path | str,
    *,
    root: Path | None = None,
    files: Mapping[str, Path] | None = None,
    progress: Progress = lambda _: None,
    cache: Cache | None = None,
) -> Guest:
    """Read the guest at ``path``.

    Args:
        path: an ELF file, a ``.c`` file or a folder with ``limpet.toml``.
        root: a folder to pack as the guest's read-only file tree.
        files: single files over it, by their path in the guest.
        progress: told what takes a moment.

    Raises:
        InputError: anything given cannot be used; names it and what to do.
    """
    path = Path(path)
    cache = cache or Cache.default()
    program = path
    if path.is_dir():
        manifest = _manifest(path)
        program = _compile(manifest.sources, manifest.flags, cache, progress)
        root = root or manifest.root
    elif path.suffix == ".c":
        program = _compile((path,), (), cache, progress)
    read = image.parse(image.read_file(program), str(program if program == path else path))
    progress("reading the program")
    return Guest(read, sites.scan(read), tree.pack(root, files))


@dataclass(frozen=True)
class _Manifest:
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    root: Path | None


def _manifest(folder: Path) -> _Manifest:
    """``limpet.toml``: ``sources`` and ``flags`` (lists of strings), ``root`` (a folder)."""
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
    sources: tuple[Path, ...], flags: tuple[str, ...], cache: Cache, progress: Progress
) -> Path:
    made_with = (toolchain.version(), toolchain.GUEST_PROGRAM, "without debug", flags)
    state = hashlib.sha256(repr(made_with).encode())
    for source in sources:
        try:
            state.update(image.read_file(source))
        except ImageError as error:
            raise ImageError(error.message, hint=error.hint) from None
        for header in sorted(source.parent.glob("*.h")):
            state.update(header.read_bytes())

    def make(output: Path) -> None:
        progress("compiling (the first time builds a C library, which takes a minute)")
        toolchain.compile_program(sources, output, flags)

    return cache.file(f"program-{state.hexdigest()}", make)
