"""Packing a folder of the host's: what is found is packed, and the rest is one clear error."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.errors import TreeError
from limpet.formats.tree import layout
from limpet.formats.tree.read import read_tree
from limpet.formats.tree.write import pack_nodes
from limpet.loading.files import TIME, Finder, pack
from tests.support.trees import unpack


def test_kinds(tmp_path: Path) -> None:
    """Files, empty ones, folders, links, hard links, and names that are not UTF-8."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "empty").touch()
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("folder/../file")
    os.link(tmp_path / "file", tmp_path / "hard")
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    found = unpack(pack(tmp_path))
    assert found == {
        b"": (stat.S_IFDIR, b""),
        b"/file": (stat.S_IFREG, b"content"),
        b"/empty": (stat.S_IFREG, b""),
        b"/folder": (stat.S_IFDIR, b""),
        b"/folder/inner": (stat.S_IFDIR, b""),
        b"/link": (stat.S_IFLNK, b"folder/../file"),
        b"/hard": (stat.S_IFREG, b"content"),
        b"/\xff\xfe": (stat.S_IFREG, b"odd"),
    }
    assert pack(tmp_path).data.count(b"content") == 1


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(NAMES, st.binary(max_size=5000), max_size=12))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, files: dict[bytes, bytes]) -> None:
    """Any names and contents, made in any order, give one tree."""
    trees = []
    for order in (list(files), list(reversed(files))):
        root = tmp_path_factory.mktemp("tree")
        for name in order:
            path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
            path.write_bytes(files[name])
            os.utime(path, (1, 1))
        os.utime(root, (1, 1))
        trees.append(pack(root))
    assert trees[0].data == trees[1].data
    expected = {b"/" + name: (stat.S_IFREG, content) for name, content in files.items()}
    assert unpack(trees[0]) == {b"": (stat.S_IFDIR, b""), **expected}


def test_single_files(tmp_path: Path) -> None:
    """--file lays files over the tree, making the folders they need."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    found = unpack(pack(root, {"/a": tmp_path / "new", "/deep/er/b": tmp_path / "new"}))
    assert found[b"/a"] == found[b"/deep/er/b"] == (stat.S_IFREG, b"new")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _device(path: Path) -> None:
    if os.geteuid():
        pytest.skip("*** making a device node needs root ***")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


KINDS = {
    "a socket": _socket,
    "a named pipe": os.mkfifo,
    "a character device": _device,
}


@pytest.mark.parametrize("what", KINDS)
def test_refused(tmp_path: Path, what: str) -> None:
    """What cannot be packed is named, and nothing waits on it."""
    KINDS[what](tmp_path / "odd")
    with pytest.raises(TreeError) as caught:
        pack(tmp_path)
    assert caught.value.message == f"{tmp_path}/odd: {what} cannot be packed"
    assert caught.value.hint


def test_missing(tmp_path: Path) -> None:
    """Roots and files that are not there, or not what they should be."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for root, files, message in (
        (tmp_path / "no", {}, "cannot be packed: No such file"),
        (tmp_path / "file", {}, "not a folder"),
        (None, {"/x": tmp_path / "no"}, "cannot be read: No such file"),
        (None, {"/x": tmp_path / "folder"}, "a folder, not a file"),
        (None, {"x": tmp_path / "file"}, "the guest's path must be absolute"),
        (None, {"/" + "x" * 256: tmp_path / "file"}, "a name is too long"),
        (tmp_path, {"/folder": tmp_path / "file"}, "there is a folder of that name"),
        (tmp_path, {"/file/x": tmp_path / "file"}, "file is a file in the tree"),
    ):
        with pytest.raises(TreeError) as caught:
            pack(root, files)
        assert message in caught.value.message
        assert caught.value.hint


def test_unreadable(tmp_path: Path) -> None:
    """A file without permission is named (as another user than root)."""
    if os.geteuid():
        (tmp_path / "secret").touch(mode=0)
        with pytest.raises(TreeError, match="cannot be read: Permission denied"):
            pack(tmp_path)
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            tmp_path.chmod(0o755)
            (tmp_path / "secret").touch(mode=0)
            for parent in tmp_path.parents[:3]:
                parent.chmod(0o755)
            os.setuid(65534)
            pack(tmp_path)
        except TreeError as error:
            status = 0 if "cannot be read: Permission denied" in error.message else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_copies_are_equal(tmp_path: Path) -> None:
    """Other times and owners give the same bytes; other contents, modes and kept times do not."""
    for name in ("a", "b"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_bytes(b"content")
        (tmp_path / name / "link").symlink_to("sub")
    for at, path in enumerate((tmp_path / "b", *(tmp_path / "b").rglob("*"))):
        os.utime(path, (1000 + at, 2000 + at), follow_symlinks=False)
        if not os.geteuid():
            os.chown(path, 1234, 1234, follow_symlinks=False)
    one, two = pack(tmp_path / "a"), pack(tmp_path / "b")
    assert one.data == two.data
    assert {entry.modified for entry in one.entries} == {TIME}
    kept = pack(tmp_path / "b", keep_times=True)
    assert {entry.modified // 10**9 for entry in kept.entries} == {2000, 2001, 2002, 2003}
    (tmp_path / "b" / "sub" / "file").chmod(0o600)
    assert pack(tmp_path / "b").data != one.data


def test_time_is_known_to_zip(tmp_path: Path) -> None:
    """A packed file's time can be written to an archive, in whatever time zone."""
    for hours in (-12, 14):
        then = time.gmtime(TIME // 10**9 + hours * 3600)
        zipfile.ZipInfo("name", then[:6])


def test_hard_links(tmp_path: Path) -> None:
    """Thousands of names of one file are packed once, and in a moment."""
    (tmp_path / "0").write_bytes(b"content")
    for at in range(1, 4000):
        os.link(tmp_path / "0", tmp_path / str(at))
    started = time.process_time()
    made = pack(tmp_path)
    assert time.process_time() - started < 1
    assert made.data.count(b"content") == 1
    records = [layout.record(made.data, index) for index in range(1, 4001)]
    assert {(each["links"], each["inode"], each["size"]) for each in records} == {(4000, 1, 7)}


PEAK = """
import resource, sys
from pathlib import Path
from limpet.loading.files import pack
pack(Path(sys.argv[1], "small"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = len(pack(Path(sys.argv[1], "large")).data)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


def test_memory(tmp_path: Path) -> None:
    """Packing takes hardly more memory than what is packed."""
    for folder, size in (("small", 10), ("large", 10 << 20)):
        (tmp_path / folder).mkdir()
        for name in range(10):
            (tmp_path / folder / str(name)).write_bytes(os.urandom(size))
    argv: list[str | Path] = [sys.executable, "-c", PEAK, tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.3


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed however deep it gets, which Python's own rmtree cannot."""
    yield tmp_path
    subprocess.run(["rm", "-rf", "--", *map(str, tmp_path.iterdir())], check=True)


def _deep(path: Path, levels: int, name: str) -> None:
    """Folders within folders, however long their path gets."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path)
        for _ in range(levels):
            os.mkdir(name)
            os.chdir(name)
        Path("file").write_bytes(b"deep")
    finally:
        os.fchdir(before)
        os.close(before)


def test_nested(folder: Path) -> None:
    """1,500 folders within each other are packed and read back."""
    _deep(folder, 1500, "d")
    made = pack(folder)
    assert len(made.entries) == 1502
    assert made.entries[-1].path == "/d" * 1500 + "/file"
    assert read_tree(made.data, "made") == made.entries


def test_too_deep_here(folder: Path) -> None:
    """A folder so deep that the host cannot name what is in it."""
    _deep(folder, 200, "x" * 99)
    with pytest.raises(TreeError, match="cannot be read: File name too long") as caught:
        pack(folder)
    assert len(caught.value.message) < 500
    assert caught.value.hint


def test_too_deep_in_the_guest(tmp_path: Path) -> None:
    """A path that no program could name; the longest that one can name is packed."""
    (tmp_path / "file").touch()
    longest = "/x" * 2045 + "/four"
    assert pack(None, {longest: tmp_path / "file"}).entries[-1].path == longest
    with pytest.raises(TreeError, match="a path of 4096 bytes in the guest; Linux allows 4095"):
        pack(None, {longest + "s": tmp_path / "file"})


def test_too_large(tmp_path: Path) -> None:
    """Sparse files of terabytes, and many that are too much together, are refused unread."""
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    (tmp_path / "many").mkdir()
    for name in range(17):
        with (tmp_path / "many" / f"{name:02}").open("wb") as stream:
            stream.truncate(1 << 28)
    started = time.monotonic()
    with pytest.raises(TreeError, match=r"/sparse: 1099511627776 bytes; with it .* 4096 MiB"):
        pack(tmp_path / "one")
    with pytest.raises(TreeError, match=r"/16: 268435456 bytes; with it .* 4096 MiB"):
        pack(tmp_path / "many")
    with pytest.raises(TreeError, match="/sparse: 1099511627776 bytes"):
        pack(None, {"/x": tmp_path / "one" / "sparse"})
    assert time.monotonic() - started < 5
    for name in range(1, 20):  # links to one file are one file
        os.link(tmp_path / "many" / "00", tmp_path / "one" / str(name))
    (tmp_path / "one" / "sparse").unlink()
    assert len(pack(tmp_path / "one").data) < 1 << 29


def _grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def _rewrite(path: Path) -> None:
    time.sleep(0.02)  # longer than the clock of files takes for a step
    path.write_bytes(b"CONTENT")


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "grows": (_grow, "changed"),
    "shrinks": (lambda path: os.truncate(path, 3), "changed"),
    "other content": (_rewrite, "changed"),
    "vanishes": (Path.unlink, "vanished"),
    "a pipe": (_replace_by_pipe, "changed"),
    "a link": (_replace_by_link, "vanished"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes(tmp_path: Path, change: str) -> None:
    """A file that is not as it was found is one clear error, and nothing waits for it."""
    (tmp_path / "file").write_bytes(b"content")
    found = Finder(False).root(tmp_path)
    act, message = CHANGES[change]
    act(tmp_path / "file")
    with pytest.raises(TreeError) as caught:
        pack_nodes(found)
    assert caught.value.message == f"{tmp_path}/file: {message} while it was packed"
    assert caught.value.hint


def test_vanishes_while_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there when it is listed, and no more when it is looked into."""
    (tmp_path / "a").mkdir()
    listed = os.listdir

    def then_removed(path: str) -> list[str]:
        names = listed(path)
        for name in names:
            os.rmdir(os.path.join(path, name))
        return names

    monkeypatch.setattr(os, "listdir", then_removed)
    with pytest.raises(TreeError, match="/a: vanished while it was packed"):
        pack(tmp_path)


def test_files_without_a_size() -> None:
    """What the kernel makes up while it is read is refused by name."""
    with pytest.raises(TreeError, match="does not hold the 0 bytes that it says it has") as caught:
        pack(None, {"/x": Path("/proc/self/status")})
    assert "/proc" in (caught.value.hint or "")


def test_names_are_quoted(tmp_path: Path) -> None:
    """A name cannot write to the terminal."""
    name = b"a\nlimpet: fine\x1b[31m\xff"
    os.mkfifo(os.fsencode(tmp_path) + b"/" + name)
    with pytest.raises(TreeError) as caught:
        pack(tmp_path)
    assert r"/a\nlimpet: fine\x1b[31m\xff: a named pipe" in caught.value.message
    assert caught.value.message.isprintable()
