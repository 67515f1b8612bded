"""The name of a plan, from that of everything but its packed files and from theirs."""

from __future__ import annotations

import hashlib


def filled(outline: str, tree: str) -> str:
    """The digest of the plan whose :attr:`Plan.outline` and :attr:`Tree.digest` these are."""
    return hashlib.sha256(f"{outline} {tree}".encode()).hexdigest()
