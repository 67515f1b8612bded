"""``doctor`` starts a guest: one that does not come to its end is told."""

from __future__ import annotations

import pytest

from limpet.running import tried
from limpet.tools.cache import Cache


def test_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status and its last words are what is said, and that backend is missing."""
    monkeypatch.setattr(tried, "_CODE", b"\x0f\x0b")
    check = tried.guest_check("process", Cache.default())
    assert not check.ok and check.backend == "process"
    assert "one ended with status 132: limpet: the guest" in check.detail
