"""A library OS in the cache that is not as it was made is not linked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from limpet.errors import BuildError
from limpet.guests.linux import library
from limpet.tools.cache import Cache
from tests.support.caches import seeded


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has one."""
    return seeded(tmp_path_factory.mktemp("damaged") / "whole")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (library.USUAL, "core-together1.c.o"),
        (library.USUAL, "x86_64-entry.S.o"),
        (library.USUAL, "made"),
        (library.SELDOM, "seldom-parts-volumes-together1.c.o"),
    ],
)
@pytest.mark.parametrize("how", ["another byte", "shorter", "gone"])
def test_told_by_its_name(whole: Path, tmp_path: Path, folder: str, name: str, how: str) -> None:
    """With what to remove; then it is made again."""
    (entry,) = whole.glob(f"{folder}-*")
    copy = tmp_path / entry.name
    for each in (library.USUAL, library.SELDOM):
        (one,) = whole.glob(f"{each}-*")
        shutil.copytree(one, tmp_path / one.name)
    cache, path = Cache(tmp_path), copy / name
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) * (how != "shorter"))
    with pytest.raises(BuildError, match="is damaged") as raised, library.objects(cache):
        pass
    assert str(raised.value).startswith(f"{path}: ")
    assert raised.value.hint and raised.value.hint.startswith(f"rm -r {copy}")
    path.write_bytes(data)
    with library.objects(cache) as known:
        assert path in known or name == "made"
