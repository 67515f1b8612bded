"""The broker's code: compiled by itself, with the calls of its filter."""

from __future__ import annotations

import re
from pathlib import Path

from limpet.audit import seccomp_decode
from limpet.planning.broker import broker_filter, host_numbers
from limpet.planning.regions import BROKER_BASE, BROKER_SIZE
from limpet.planning.seccomp import KILL_PROCESS
from limpet.sources import C_ROOT
from limpet.tools import freestanding
from limpet.tools.cache import Cache


def test_its_code(tmp_path: Path) -> None:
    """Compiled by itself it has no data, and it makes the calls of its filter and no others."""
    made = freestanding.broker(
        BROKER_BASE, BROKER_BASE + BROKER_SIZE, host_numbers(), Cache(tmp_path)
    )
    assert len(made) <= BROKER_SIZE
    text = "".join(path.read_text() for path in (C_ROOT / "broker").glob("*.c"))
    made_calls = {each.lower() for each in re.findall(r"\bNR_([A-Z0-9_]+)", text)}
    assert made_calls == set(broker_filter().calls)
    decoded = seccomp_decode.decode(broker_filter().assemble({}))
    assert decoded.default == KILL_PROCESS
    assert decoded.checks_architecture
