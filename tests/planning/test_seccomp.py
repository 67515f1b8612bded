"""How few system calls are left to a monitor; test_filter_proof.py shows that no other is."""

from __future__ import annotations

import limpet
from limpet.contract import Backend
from tests.support.bundles import Maker
from tests.support.sources import HELLO


def test_few_calls_are_left(make: Maker, backend: Backend) -> None:
    """A hello leaves its monitor at most three distinct system calls."""
    made = limpet.plan(
        limpet.load(make.compile(HELLO.replace("getenv", "(char *)(long)!"), "small")),
        limpet.Options(backends=(backend,)),
    )
    wanted = {"exit_group", "write"} | ({"ioctl"} if backend == "kvm" else set())
    assert set(made.filters[backend].calls) == wanted
