"""What comes as a file of a volume is opened, on kvm, is good for a moment only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.native import INT, U64, Library


@pytest.mark.parametrize(
    ("later", "calls", "traces", "good"),
    [
        (19_000, 0, 0, 1),
        (21_000, 0, 0, 0),  # nanoseconds
        (0, 1, 0, 0),  # somebody outside may have told the guest that there is something new
        (0, 0, 1, 0),  # who reads is noted
    ],
)
def test_a_moment(
    native: Callable[[str], Library], later: int, calls: int, traces: int, good: int
) -> None:
    """Nothing else was asked of the host, no time has passed, and nobody could tell."""
    assert native("ahead")("is_good", INT, U64, U64, INT)(later, calls, traces) == good
