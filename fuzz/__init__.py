"""Fuzzing: ``python -m fuzz TARGET``.  Each target has a saved corpus in ``corpus/TARGET``."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FILE_MOST = 4096
"""Bytes of one input."""

READERS = (
    "elf",
    "dynamic",
    "notes",
    "tree",
    "record",
    "project",
    "bundle",
    "answers",
    "gdb",
    "frames",
)
NATIVE = ("hypercalls", "libos", "broker", "porter")
TARGETS = (*READERS, *NATIVE, "plan")
