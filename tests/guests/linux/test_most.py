"""How large the library OS can be: known before it is compiled, and compiled once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from limpet.building.bundle import build
from limpet.cli.job import Job
from limpet.cli.say import Progress
from limpet.errors import ImageError, ToolchainError
from limpet.guests.linux import library, most
from limpet.guests.registry import load, plan
from limpet.planning.options import Options
from limpet.tools.cache import Cache
from limpet.tools.freestanding import sizes_of
from tests.support.bundles import Maker

OPTIONS = Options(backends=("process",), memory=64 << 20)

OPENS = '#include <fcntl.h>\nint main(void) { return open("/v/x", O_RDONLY) < 0; }\n'


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


@pytest.mark.parametrize("which", ["text", "rodata", "data"])
def test_what_takes_more_is_planned_again(
    make: Maker, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """With what was measured, and only then: a guest that has room enough keeps its plan."""
    guest = load(make.compile("int main(void) { return 0; }", "small"))
    usual = build(plan(guest, OPTIONS))
    assert build(plan(guest, OPTIONS, measured=True)).data == usual.data
    little = replace(most.ROOM, **{which: 64})
    monkeypatch.setattr(most, "ROOM", little)
    first = plan(guest, OPTIONS)
    bundle = build(first)
    assert bundle.plan.digest() == plan(guest, OPTIONS, measured=True).digest() != first.digest()


@pytest.mark.parametrize(
    ("options", "needs"),
    [(OPTIONS, False), (replace(OPTIONS, devices=("volume:/v",)), True)],
    ids=["has_none", "has_volume"],
)
def test_what_few_have_is_linked_where_it_is_needed(
    make: Maker, monkeypatch: pytest.MonkeyPatch, options: Options, needs: bool
) -> None:
    """A bundle is the same whether all was there to be linked, or what is usual alone."""
    asked = []
    real = library.objects

    def objects(cache: Cache, which: Sequence[str] = (library.USUAL, library.SELDOM)) -> Any:
        asked.append(tuple(which))
        return real(cache, which)

    known = plan(load(make.compile(OPENS, "opens")), options)
    monkeypatch.setattr(library, "objects", objects)
    few = build(known).data
    assert asked == [(library.USUAL,), (library.USUAL, library.SELDOM)][: 1 + needs]
    monkeypatch.setattr(library, "objects", lambda cache, _=None: real(cache))
    assert build(known).data == few


def test_what_is_only_explained_is_not_compiled(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan needs nothing that is compiled."""
    path, begun = make.compile("int main(void) { return 0; }", "small"), list[object]()
    monkeypatch.setattr(library, "_library", lambda *_: begun.append(1))
    with Progress() as progress:
        assert Job(path, OPTIONS).plan(progress).regions
    assert not begun


def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs it while it is compiled waits."""
    times = []

    def made(folder: Path, which: str, started: Callable[[], object]) -> None:
        started()
        time.sleep(0.2)
        times.append(folder)

    monkeypatch.setattr(library, "_make", made)
    library.begin(Cache(tmp_path))
    assert not times
    with library._library(Cache(tmp_path), library.USUAL):
        assert len(times) == 1


def test_who_begins_is_not_kept_by_what_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs it is told."""

    def fails(folder: Path, which: str, started: Callable[[], object]) -> None:
        raise ToolchainError("it does not compile")

    monkeypatch.setattr(library, "_make", fails)
    begins = Thread(target=library.begin, args=(Cache(tmp_path),), daemon=True)
    begins.start()
    begins.join(20)
    assert not begins.is_alive()
    known = library.objects(Cache(tmp_path))
    with pytest.raises(ToolchainError, match="it does not compile"), known:
        pass


def test_nothing_is_begun_for_what_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who named the wrong file has the error at once, and is not kept."""
    path, begun = tmp_path / "text", list[object]()
    path.write_text("not a program\n")
    monkeypatch.setattr(library, "begin", lambda *given: begun.append(given))
    with pytest.raises(ImageError), Progress() as progress:
        Job(path, OPTIONS).plan(progress, builds=True)
    assert not begun
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ImageError), Progress() as progress:
        Job(path, OPTIONS).plan(progress, builds=True)
    assert begun
