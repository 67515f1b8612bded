"""How large the library OS can be: known before it is compiled, and compiled once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from limpet.building.bundle import build
from limpet.cli.job import Job
from limpet.cli.say import Progress
from limpet.errors import ImageError, Outgrown, ToolchainError
from limpet.guests.linux import library, most
from limpet.guests.registry import load, plan
from limpet.planning.options import Options
from limpet.tools.cache import Cache
from limpet.tools.freestanding import sizes_of
from tests.support.bundles import Maker

OPTIONS = Options(backends=("process",))


def test_a_plan_need_not_wait() -> None:
    """The library OS is smaller than what is kept for it; if not, give it more."""
    assert most.sizes(Cache.default()) == most.ROOM


def test_what_is_only_measured_is_larger(tmp_path: Path) -> None:
    """Than what is linked would be, which is optimized."""
    for name in ("measured", "linked"):
        (tmp_path / name).mkdir()
    large = most.measured(most.extremes(), tmp_path / "measured", most.FLAGS)
    most.measured(most.extremes(), tmp_path / "linked", library.FLAGS)
    small = sizes_of((tmp_path / "linked").glob("*.o"))
    assert large.text > small.text
    assert large.rodata > small.rodata and large.data > small.data


def test_what_has_outgrown_its_plan_is_not_linked(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that did not wait is told so; one that does is the same, or another."""
    guest = load(make.compile("int main(void) { return 0; }", "small"))
    early = plan(guest, OPTIONS, early=True)
    assert early.digest() == plan(guest, OPTIONS).digest()
    monkeypatch.setattr(most, "ROOM", replace(most.ROOM, data=most.ROOM.data + 4096))
    with pytest.raises(Outgrown, match="small: what stands beside it has another size"):
        build(early)
    later = plan(guest, OPTIONS)
    assert later.digest() != early.digest() and build(later).data


def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs it while it is compiled waits."""
    times = []

    def made(folder: Path, started: Callable[[], object]) -> None:
        started()
        time.sleep(0.2)
        times.append(folder)

    monkeypatch.setattr(library, "_make", made)
    library.begin(Cache(tmp_path))
    assert not times
    with library._library(Cache(tmp_path)):
        assert len(times) == 1


def test_who_begins_is_not_kept_by_what_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs it is told."""

    def fails(folder: Path, started: Callable[[], object]) -> None:
        raise ToolchainError("it does not compile")

    monkeypatch.setattr(library, "_make", fails)
    begins = Thread(target=library.begin, args=(Cache(tmp_path),), daemon=True)
    begins.start()
    begins.join(20)
    assert not begins.is_alive()
    with pytest.raises(ToolchainError, match="it does not compile"):
        library.sizes(Cache(tmp_path))


def test_nothing_is_begun_for_what_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who named the wrong file has the error at once, and is not kept."""
    path, begun = tmp_path / "text", list[Cache]()
    path.write_text("not a program\n")
    monkeypatch.setattr(library, "begin", begun.append)
    with pytest.raises(ImageError), Progress() as progress:
        Job(path, OPTIONS).plan(progress, early=True)
    assert not begun
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ImageError), Progress() as progress:
        Job(path, OPTIONS).plan(progress, early=True)
    assert begun
