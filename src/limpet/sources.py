"""Where the C of both sides is, and the folders that its ``#include`` lines start from."""

from __future__ import annotations

from pathlib import Path

C_ROOT = Path(__file__).parent / "c"
GUEST_ROOT = C_ROOT / "guest"
MONITOR_ROOT = C_ROOT / "monitor"

_SHARED = (C_ROOT, C_ROOT / "contract")
GUEST_INCLUDES = tuple(f"-I{path}" for path in (GUEST_ROOT, *_SHARED))
MONITOR_INCLUDES = tuple(f"-I{path}" for path in (MONITOR_ROOT, *_SHARED))
