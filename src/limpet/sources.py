"""Where the C of both sides is, and the folders that its ``#include`` lines start from."""

from __future__ import annotations

from pathlib import Path

C_ROOT = Path(__file__).parent / "c"
GUEST_ROOT = C_ROOT / "guest"
MONITOR_ROOT = C_ROOT / "monitor"

ARCHITECTURE = "x86_64"
"""The folder of what an architecture has of its own, in ``contract`` and in ``monitor``."""

_SHARED = (C_ROOT, C_ROOT / "contract", C_ROOT / "contract" / ARCHITECTURE)
GUEST_INCLUDES = tuple(f"-I{path}" for path in (GUEST_ROOT, *_SHARED))
MONITOR_INCLUDES = tuple(
    f"-I{path}" for path in (MONITOR_ROOT, MONITOR_ROOT / ARCHITECTURE, *_SHARED)
)
