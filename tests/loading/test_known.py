"""What is kept of a shared object's code is what its code says, or it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpet.arch.x86_64.sites import Branches, Finder, Scan
from limpet.errors import BuildError
from limpet.formats.image import Image, read_program
from limpet.guests.linux.read import read
from limpet.guests.registry import load
from limpet.loading import known, objects
from limpet.loading.known import read_alone, read_code
from limpet.loading.links import Links
from limpet.loading.objects import read_object
from limpet.tools.cache import Cache
from tests.support.bundles import Maker

LOADER = Path("/lib64/ld-linux-x86-64.so.2")


@pytest.fixture
def loader() -> Image:
    """An object with system calls, functions and names."""
    image = read_object(LOADER.read_bytes(), str(LOADER))
    assert image is not None
    return image


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with nothing in it."""
    return Cache(tmp_path / "cache")


def _entry(cache: Cache) -> Path:
    (found,) = cache.root.glob("code-*")
    return found


def test_it_is_the_same(loader: Image, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept is what is read, and nothing is read for it."""
    read = read_code(loader, None)
    assert read[0].flow is not None and read[1].sites and read[0].exports
    assert read_code(loader, cache) == read
    monkeypatch.setattr(known, "_read", None)
    again = read_code(loader, cache)
    assert again == read
    assert again[1].branches.near == read[1].branches.near


def test_a_program_alone(make: Maker, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a static program is what is read, and it is no shared object's."""
    program = make.compile('#include <stdio.h>\nint main(void) { return puts("x"); }\n', "alone")
    image = read(read_program(program.read_bytes(), "alone"))
    assert image is not None
    monkeypatch.setattr(known, "SMALL", 0)
    first = read_alone(image, cache)
    entry = _entry(cache)
    read_code(image, cache)
    assert len(list(cache.root.glob("code-*"))) == 2
    monkeypatch.setattr(known, "scan", None)
    again = read_alone(image, cache)
    assert again == first and again.sites
    assert again.branches.near == first.branches.near
    assert entry.exists()


@pytest.mark.parametrize("how", ["shorter", "another byte", "empty"])
def test_damage(loader: Image, cache: Cache, how: str) -> None:
    """A damaged entry is made again."""
    read = read_code(loader, cache)
    entry = _entry(cache)
    good = entry.read_bytes()
    bad = {"shorter": good[:-9], "another byte": good.replace(b'"hidden":', b'"hidden":1', 1)}
    entry.write_bytes(bad.get(how, b""))
    assert read_code(loader, cache) == read
    assert entry.read_bytes() == good


def test_somebody_else(loader: Image, cache: Cache) -> None:
    """One that others can have written is refused, however sound it looks."""
    read_code(loader, cache)
    _entry(cache).chmod(0o666)
    with pytest.raises(BuildError, match="somebody else may have written it"):
        read_code(loader, cache)


def test_another_object(loader: Image, cache: Cache) -> None:
    """An object with other bytes has an entry of its own."""
    read_code(loader, cache)
    data = bytearray(loader.data)
    data[-1] ^= 1
    other = read_object(bytes(data), str(LOADER))
    assert other is not None
    read_code(other, cache)
    assert len(list(cache.root.glob("code-*"))) == 2


def test_what_it_took_to_read_objects_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """All branches of all of them are more memory than they are themselves."""

    def computed(image: Image, _: Cache) -> tuple[Links, Scan]:
        finder = Finder(image)
        assert finder.near_branches is vars(finder)["near_branches"]
        return Links(), Scan((), 0, frozenset(), Branches(finder))

    monkeypatch.setattr(objects, "read_code", computed)
    guest = load("/usr/bin/env")
    finders = [each.scan.branches.finder for each in guest.objects]
    assert finders and not any("near_branches" in vars(each) for each in finders)
    assert "near_branches" in vars(guest.scan.branches.finder)  # its verdict has the program's
