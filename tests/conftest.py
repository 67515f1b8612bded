"""What all tests share: guests built once, run on every backend that this host has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from limpet.contract import Backend
from tests.support import network
from tests.support.bundles import BACKENDS, Maker


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    """Builds bundles."""
    yield Maker(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend that works on this host."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def tap() -> Iterator[network.Tap]:
    """A TAP interface of this test's own."""
    with network.tap() as made:
        yield made
