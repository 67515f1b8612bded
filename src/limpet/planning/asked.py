"""What of the verdict on a guest is worth a warning."""

from __future__ import annotations

from limpet.loading.verdict import Asked, Certainty


def warnings(program: str, verdict: tuple[Asked, ...]) -> tuple[str, ...]:
    """What is worth a warning: all but the conceivable."""
    return tuple(
        each.sentence(program) for each in verdict if each.certainty is not Certainty.CONCEIVABLE
    )
