"""Whether a bundle was made again, which proves what it is; reading shows what it seems to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from limpet.errors import LimpetError
from limpet.formats.bundle.read import BundleFile
from limpet.tools.cache import Cache

Outcome = Literal["same", "differs", "impossible", "not tried"]


@dataclass(frozen=True)
class Remade:
    """What came of making a bundle again, and what there is to say about it."""

    outcome: Outcome
    words: tuple[str, ...]

    @property
    def proven(self) -> bool:
        """Whether the bundle is what this Limpet makes of the guest inside, byte for byte."""
        return self.outcome == "same"

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        word = "VERIFIED" if self.proven else "NOT VERIFIED"
        return f"{word}: {'; '.join(self.words)}"


NOT_TRIED = Remade("not tried", ("only read, not made again",))


def remake(bundle: BundleFile, cache: Cache | None = None) -> Remade:
    """Make ``bundle`` again from what is inside it, and compare."""
    from limpet.audit.verify import verify_bundle

    try:
        verdict = verify_bundle(bundle, cache)
    except LimpetError as error:
        return Remade("impossible", (f"it cannot be made again here: {error.message}",))
    if verdict.same:
        tools = f"Limpet {verdict.limpet}, {verdict.toolchain}"
        memory = ", with the memory that is in it" if bundle.record.options.get("snapshot") else ""
        return Remade("same", (f"made again with {tools}{memory}: the same, byte for byte",))
    words = (
        f"made again, {each.part} has {each.count} other bytes, the first at {each.offset:#x}"
        for each in verdict.differences[:8]
    )
    return Remade("differs", tuple(words))
