"""``Guest``: a guest as read — the program, its system call sites, its file tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from limpet.arch.x86_64.sites import Scan
from limpet.formats.image import Image
from limpet.formats.tree.layout import Tree


@dataclass(frozen=True)
class Guest:
    """Everything that is known of a guest before anything is decided."""

    image: Image
    scan: Scan
    tree: Tree = field(default_factory=Tree)
