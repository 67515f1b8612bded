"""What memory does, a sentence each, beside Linux."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from limpet.contract import BACKENDS
from tests.support import SUPPORT
from tests.support.bundles import Maker, execute

SOURCE = (SUPPORT / "programs" / "memory.c").read_text()
SENTENCES = re.findall(r"CASE\((\w+)\)[,}]", SOURCE)


def said(text: bytes) -> dict[str, str]:
    """What was seen of each case."""
    first, *cases = text.decode().split("case ")
    assert not first
    return {each.split(maxsplit=1)[0]: each for each in cases}


@pytest.fixture(scope="module", params=BACKENDS)
def both(
    make: Maker, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Natively and in a guest, a dynamic program each."""
    program = make.compile(SOURCE, "memory", "-O1", "-w", compiler="gcc")
    native = execute(["memory", str(tmp_path_factory.mktemp("native"))], program)
    ran = make(program, request.param, memory=64 << 20).run("/tmp")
    assert (ran.status, ran.stderr, native.status) == (0, b"", 0)
    return said(native.stdout), said(ran.stdout)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_memory(both: tuple[Mapping[str, str], Mapping[str, str]], sentence: str) -> None:
    """The case of that name says the same."""
    native, guest = both
    assert guest[sentence] == native[sentence]
    assert len(SENTENCES) == len(native) == len(guest)
