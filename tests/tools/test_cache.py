"""The cache: whole entries, a size, nobody else's hands, and several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpet.errors import BuildError, PlanError
from limpet.tools import upkeep
from limpet.tools.cache import Cache

MIB = 1 << 20


def key(number: int, word: str = "bundle") -> str:
    """A key like those of entries."""
    return f"{word}-{number:064x}"


def filled(size: int = 1) -> Callable[[Path], None]:
    """Makes an entry of that many bytes."""

    def make(folder: Path) -> None:
        (folder / "content").write_bytes(os.urandom(size))

    return make


def never(_: Path) -> None:
    """What is there already is not made again."""
    raise AssertionError("made again")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache of ten MiB."""
    return Cache(tmp_path / "cache", 10 * MIB)


def names(cache: Cache) -> set[str]:
    """What is in it."""
    return {path.name for path in cache.root.iterdir()}


def test_made_once(cache: Cache) -> None:
    """An entry is made once, is private whatever the umask, and nothing else is left."""
    old = os.umask(0)
    try:
        with cache.folder(key(1), filled()) as made:
            content = (made / "content").read_bytes()
    finally:
        os.umask(old)
    with cache.folder(key(1), never) as found:
        assert (found / "content").read_bytes() == content
    assert names(cache) == {key(1)}
    assert cache.root.stat().st_mode & 0o777 == 0o700
    assert not any(path.stat().st_mode & 0o022 for path in cache.root.rglob("*"))


def test_failure_leaves_nothing(cache: Cache) -> None:
    """What cannot be made is not there, and can be made later."""

    def fail(folder: Path) -> None:
        filled()(folder)
        raise BuildError("no")

    with pytest.raises(BuildError, match="no"):
        cache.folder(key(1), fail)
    assert names(cache) == set()
    with cache.folder(key(1), filled()):
        assert names(cache) == {key(1)}


def test_oldest_goes(cache: Cache) -> None:
    """What was not used for the longest time makes room, use counts, and the newest stays."""
    for number in range(4):
        with cache.folder(key(number), filled(2 * MIB)) as path:
            os.utime(path, (number + 1, number + 1))
    with cache.folder(key(0), never):  # used now
        pass
    with cache.folder(key(4), filled(4 * MIB)):
        pass
    assert names(cache) == {key(0), key(2), key(3), key(4)}
    assert upkeep.size(cache) <= cache.limit


def test_more_than_fits(cache: Cache) -> None:
    """Something larger than the whole cache is there while it is used, and goes next."""
    with cache.folder(key(1), filled(20 * MIB)) as path:
        assert (path / "content").exists()
    with cache.folder(key(2), filled()):
        assert names(cache) == {key(2)}


def test_in_use_stays(cache: Cache) -> None:
    """An entry that is held is not thrown out, by this process or another, however old it is."""
    with cache.folder(key(1), filled(6 * MIB)) as held:
        os.utime(held, (1, 1))
        fill = (
            "import os, sys; from pathlib import Path; from limpet.tools.cache import Cache\n"
            "cache = Cache(Path(sys.argv[1]), 10 << 20)\n"
            "make = lambda path: (path / 'content').write_bytes(bytes(6 << 20)) and None\n"
            "[cache.folder(f'bundle-{n:064x}', make).__exit__() for n in (2, 3)]\n"
        )
        subprocess.run([sys.executable, "-c", fill, cache.root], check=True)
        assert (held / "content").exists()
        assert names(cache) == {key(1), key(3)}
    with cache.folder(key(4), filled(6 * MIB)):
        assert key(1) not in names(cache)


def test_only_entries_are_thrown_out(tmp_path: Path) -> None:
    """A folder that holds more than a cache loses nothing."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    (home / "thesis").write_bytes(bytes(30 * MIB))
    (home / "bundle-mine").mkdir()
    cache = Cache(home, 0)
    for number in range(3):
        with cache.folder(key(number), filled(MIB)):
            pass
    assert names(cache) == {"thesis", "bundle-mine", key(2)}


WORKER = """
import os, random, sys
from pathlib import Path
from limpet.tools import upkeep
from limpet.tools.cache import Cache

cache = Cache(Path(sys.argv[1]), 4 << 20)
random.seed(int(sys.argv[2]))

def make(folder):
    for name in "abc":
        (folder / name).write_bytes(bytes([number]) * (100 << 10))

for turn in range(120):
    number = random.randrange(30)
    with cache.folder(f"bundle-{number:064x}", make) as path:
        for name in "abc":
            assert (path / name).read_bytes() == bytes([number]) * (100 << 10), (number, name)
        if turn % 10 == 0:
            cache.put_text(f"inputs-{number:064x}", f"{number} " * 1000)
        text = cache.text(f"inputs-{number:064x}")
        assert text in (None, f"{number} " * 1000)
print("whole")
"""


def test_many_at_once(cache: Cache) -> None:
    """Processes that make, use and throw out the same entries: whole for each, small in the end."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, cache.root, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in range(4)
    ]
    for worker in workers:
        assert worker.communicate(timeout=100)[0] == "whole\n"
    small = Cache(cache.root, 4 * MIB)
    with small.folder(key(99), filled()):
        assert upkeep.size(small) <= small.limit
    assert not [name for name in names(cache) if name.startswith(".new-")]


def test_left_by_the_killed(cache: Cache) -> None:
    """What a killed process left goes after a while; what somebody works in never does."""
    with upkeep.workspace(cache) as mine:
        left = cache.root / ".new-left"
        left.mkdir()
        for path in (left, mine):
            os.utime(path, (1, 1))
        with cache.folder(key(1), filled()):
            assert names(cache) == {key(1), mine.name}
    assert names(cache) == {key(1)}


def _open_to_all(path: Path) -> None:
    path.chmod(0o777)


def _open_to_group(path: Path) -> None:
    path.chmod(0o770)


def _not_ours(path: Path) -> None:
    os.chown(path, 1234, 1234, follow_symlinks=False)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


WAYS: dict[Callable[[Path], None], str] = {
    _open_to_all: "others may write it (mode 777)",
    _open_to_group: "others may write it (mode 770)",
    _not_ours: "it belongs to user 1234, not to you",
    _link: "",
}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@AS_ROOT
@pytest.mark.parametrize("spoil", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("what", ["", key(1), key(1) + "/content"], ids=["root", "entry", "file"])
def test_what_others_could_have_written(
    cache: Cache, spoil: Callable[[Path], None], what: str
) -> None:
    """The cache, an entry, a file in one: nothing is taken, and the error says what to do."""
    with cache.folder(key(1), filled()):
        pass
    path = cache.root / what if what else cache.root
    spoil(path)
    with pytest.raises(BuildError) as caught:
        cache.folder(key(1), never)
    assert caught.value.message.startswith(f"{path}: ")
    assert "somebody else may have written it" in caught.value.message
    assert WAYS[spoil] in caught.value.message
    assert caught.value.hint
    assert f"rm -r {path}" in caught.value.hint


@AS_ROOT
@pytest.mark.parametrize("spoil", WAYS, ids=lambda way: way.__name__)
def test_texts_of_others(cache: Cache, spoil: Callable[[Path], None]) -> None:
    """What is noted about inputs decides what runs, so it has to be ours as well."""
    cache.put_text(key(1, "inputs"), "words")
    assert cache.text(key(1, "inputs")) == "words"
    spoil(cache.root / key(1, "inputs"))
    with pytest.raises(BuildError, match="somebody else may have written it"):
        cache.text(key(1, "inputs"))


@AS_ROOT
@pytest.mark.parametrize(
    ("mode", "owner", "problem"),
    [
        (0o755, 0, ""),
        (0o1777, 0, ""),  # as /tmp is
        (0o777, 0, "others may write"),
        (0o775, 0, ""),  # root's own group
        (0o755, 1234, "belongs to user 1234"),
        (0o1777, 1234, "belongs to user 1234"),
    ],
)
def test_folders_above(tmp_path: Path, mode: int, owner: int, problem: str) -> None:
    """Who can write a folder above could exchange ours; in a sticky one they cannot."""
    above = tmp_path / "above"
    above.mkdir()
    os.chown(above, owner, owner)
    above.chmod(mode)
    cache = Cache(above / "cache")
    if problem:
        with pytest.raises(BuildError, match=problem):
            cache.folder(key(1), filled())
        assert not cache.root.exists()
    else:
        with cache.folder(key(1), filled()):
            pass


@AS_ROOT
def test_link_of_another_user_above(tmp_path: Path) -> None:
    """A link on the way that somebody else owns can lead elsewhere tomorrow."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    with Cache(link / "cache").folder(key(1), filled()):
        pass
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(BuildError, match=f"{link} above it belongs to user 1234"):
        Cache(link / "cache").folder(key(1), never)


@pytest.mark.parametrize("given", ["lots", "-1", "2 apples", "1e9", "٣G"])
def test_bad_size(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A size that is none says what one looks like."""
    monkeypatch.setenv("LIMPET_CACHE_SIZE", given)
    with pytest.raises(PlanError, match=r"LIMPET_CACHE_SIZE: .* is not a size") as caught:
        Cache.default()
    assert caught.value.hint == "LIMPET_CACHE_SIZE=2G"


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the cache is: as told, or in the user's folder for caches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMPET_CACHE_SIZE", "1G")
    monkeypatch.setenv("LIMPET_CACHE", "here")
    assert vars(Cache.default()) == vars(Cache(tmp_path / "here", 1 << 30))
    monkeypatch.delenv("LIMPET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert Cache.default().root == Path("/x/limpet")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/h")
    assert Cache.default().root == Path("/h/.cache/limpet")


def test_full_disk(tmp_path: Path) -> None:
    """No room for an entry is said, and nothing half is left."""
    cache = Cache(tmp_path / "disk" / "cache")
    cache.root.parent.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", str(cache.root.parent)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("no mounts here")
    try:
        with pytest.raises(BuildError, match="cannot be written: No space left") as caught:
            cache.folder(key(1), filled(2 * MIB))
        assert caught.value.hint
        assert "LIMPET_CACHE" in caught.value.hint
        assert names(cache) == set()
    finally:
        subprocess.run(["umount", cache.root.parent], check=True)


def test_few(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of entries that are noted together the last few are kept, and of large ones but two."""
    monkeypatch.setattr(upkeep, "FEW", 3)
    monkeypatch.setattr(upkeep, "FEW_BYTES", 3 * MIB)
    name = key(0, "given")

    def noted(number: int, size: int = 1, base: int | None = None) -> set[str]:
        with cache.folder(key(number), filled(size)):
            pass
        bases = [] if base is None else [key(base)]
        cache.keep_few(name, [*bases, key(number)])
        return names(cache) - {name, key(99)}

    with cache.folder(key(99), filled()):
        pass
    assert noted(1) == {key(1)}
    noted(2, base=1)
    assert noted(3, base=1) == {key(1), key(2), key(3)}
    assert noted(4, base=1) == {key(1), key(3), key(4)}  # the base is as good as new
    assert noted(3) == {key(1), key(3), key(4)}
    assert noted(5) == {key(1), key(4), key(5)}
    assert noted(6, 2 * MIB) == {key(4), key(5), key(6)}
    assert noted(7, 2 * MIB) == {key(6), key(7)}
    assert key(99) in names(cache)


def test_few_but_what_is_used(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody uses stays, and is noted: it goes when nobody does."""
    monkeypatch.setattr(upkeep, "FEW", 2)
    name = key(0, "given")
    with cache.folder(key(1), filled()):
        for number in range(1, 4):
            if number > 1:
                with cache.folder(key(number), filled()):
                    pass
            cache.keep_few(name, [key(number)])
        assert (cache.text(name) or "").split() == [key(1), key(2), key(3)]
    with cache.folder(key(4), filled()):
        pass
    cache.keep_few(name, [key(4)])
    assert names(cache) == {name, key(3), key(4)}


def test_few_noted_at_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who notes while another does waits, and nothing of either is lost."""
    name = key(0, "given")
    for number in (1, 2):
        with cache.folder(key(number), filled()):
            pass
    other = threading.Thread(target=cache.keep_few, args=(name, [key(2)]))
    put = upkeep.put_text

    def slow(*words: Any) -> None:
        monkeypatch.setattr(upkeep, "put_text", put)
        other.start()
        other.join(0.1)
        put(*words)

    monkeypatch.setattr(upkeep, "put_text", slow)
    cache.keep_few(name, [key(1)])
    other.join()
    assert set((cache.text(name) or "").split()) == {key(1), key(2)}


def test_few_that_are_damaged(cache: Cache) -> None:
    """What is noted names entries of the cache, and nothing else is thrown out."""
    outside = cache.root.parent / "outside"
    outside.write_text("x")
    with cache.folder(key(1), filled()):
        pass
    cache.put_text(key(0, "given"), "../outside\n" * 20)
    cache.keep_few(key(0, "given"), [key(1)])
    assert outside.exists()
    assert cache.text(key(0, "given")) == key(1)
