"""The packed file tree: what goes in comes out, the same folder gives the same bytes."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.errors import TreeError
from limpet.formats.tree import HEAD, RECORD, Tree, pack

Found = dict[bytes, tuple[int, bytes]]


def unpack(tree: Tree) -> Found:
    """Path to type and content, by the format's own words."""
    data = tree.data
    (count, _) = struct.unpack_from(HEAD.format, data)
    names = [field.name for field in RECORD.fields]
    records = [
        dict(
            zip(
                names,
                struct.unpack_from(RECORD.format, data, HEAD.size + i * RECORD.size),
                strict=True,
            )
        )
        for i in range(count)
    ]
    found: Found = {}

    def walk(index: int, path: bytes) -> None:
        record = records[index]
        kind = stat.S_IFMT(record["mode"])
        if kind != stat.S_IFDIR:
            found[path] = kind, data[record["data"] : record["data"] + record["size"]]
            return
        found[path] = kind, b""
        children = range(record["data"], record["data"] + record["size"])
        labels = [data[records[i]["name"] :][: records[i]["name_length"]] for i in children]
        assert labels == sorted(labels)
        for child, label in zip(children, labels, strict=True):
            walk(child, path + b"/" + label)

    walk(0, b"")
    return found


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
