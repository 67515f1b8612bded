"""Generators that packages have of their own are seeded again, by the name that each has for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from limpet.running.warm.guest import RENEWED

STAND_IN = """{2}
import types
made = sys.modules[{0!r}] = types.ModuleType({0!r})
made.number = b"of the moment"
made.{1} = lambda *given: setattr(made, "number", given or os.urandom(8))
renew_modules()
print(made.number)
"""


@pytest.mark.parametrize(
    ("package", "seed"),
    [("polars", "set_random_seed"), ("torch", "seed"), ("uuid_utils", "reseed_rng")],
)
def test_of_packages(package: str, seed: str) -> None:
    """Two starts do not have the same numbers; one of that name that cannot do it is left."""
    text = STAND_IN.format(package, seed, RENEWED.read_text("utf-8"))

    def start(text: str) -> str:
        argv = [sys.executable, "-I", "-S", "-c", text]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert len({start(text) for _ in range(2)} | {"b'of the moment'\n"}) == 3
    assert start(text.replace(f"made.{seed} =", "made.other =")) == "b'of the moment'\n"
