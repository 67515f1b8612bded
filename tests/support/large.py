"""What takes too long for every run: it runs where ``LIMPET_LARGE`` is set."""

from __future__ import annotations

import os

import pytest

LARGE = "LIMPET_LARGE" in os.environ

large = pytest.mark.skipif(not LARGE, reason="takes long: LIMPET_LARGE=1 runs it")
"""A test that does, or a case of one."""
