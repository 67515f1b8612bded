"""Whether the toolchain is the one that it says it is: what is made again is only as good as it.

The packages that a bundle's bytes depend on are pinned by version in pyproject.toml and by hash in
requirements.lock; this looks at what is installed.
"""

from __future__ import annotations

import hashlib
from functools import cache

from limpet.errors import ToolchainError
from limpet.tools.pinned import version, zig

KNOWN = {
    "ziglang 0.17.1": "58959f01285c05a74276f09327b551d42ed6006bf325a78dc661a024e314987b",
}
"""SHA-256 of ``zig``, which is compiler and linker, in the package for x86-64 Linux."""


@cache
def check() -> None:
    """Nothing, or an error when ``zig`` is not the file of the package that is pinned.

    Raises:
        ToolchainError: it is another file, or of a version that is not known here.
    """
    with zig().open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if KNOWN.get(version()) != found:
        raise ToolchainError(
            f"{zig()}: not the compiler of {', '.join(KNOWN)} that this Limpet was made with "
            f"({version()}, SHA-256 {found[:16]}…): what it makes proves nothing",
            hint="pip install --force-reinstall ziglang==0.17.1",
        )
