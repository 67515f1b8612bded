"""Caches of a test's own, with what takes long to make and is the same for every guest."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from limpet.guests.linux import library
from limpet.tools.cache import Cache
from limpet.tools.toolchain import compile_program, libc_mark, shared_folder


def seeded(path: Path) -> Path:
    """An empty cache at ``path`` but for zig's own folder, with a libc, and the library OS.

    Both are as the shared cache has them.
    """
    shared_cache = Cache.default()
    path.mkdir(0o700, parents=True)
    with shared_folder(shared_cache) as shared:
        if not (shared / libc_mark()).exists():
            source = path.with_name(f"{path.name}.c")
            source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
            compile_program([source], path.with_name(f"{path.name}.program"))
        shutil.copytree(shared, path / shared.name, copy_function=_linked)
    with library.objects(shared_cache) as objects:
        for compiled in {each.parent for each in objects}:
            shutil.copytree(compiled, path / compiled.name, copy_function=_linked)
    return path


def _linked(source: str, target: str) -> None:
    """The same file again, which costs nothing; what another test removes meanwhile is left out."""
    with suppress(FileNotFoundError):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
