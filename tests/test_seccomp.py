"""How few system calls are left to a monitor; test_filter_proof.py shows that no other is."""

from __future__ import annotations

from conftest import Maker
from test_guests import HELLO

import limpet
from limpet.contract import Backend


def test_few_calls_are_left(make: Maker, backend: Backend) -> None:
    """A hello leaves its monitor at most three distinct system calls."""
    made = limpet.plan(
        limpet.load(make.compile(HELLO.replace("getenv", "(char *)(long)!"), "small")),
        limpet.Options(backends=(backend,)),
    )
    wanted = {"exit_group", "write"} | ({"ioctl"} if backend == "kvm" else set())
    assert set(made.filters[backend].calls) == wanted
