"""Which files the words of a command line give to a guest, and which they do not."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from limpet.errors import PlanError
from limpet.loading import named
from limpet.loading.named import Named, NamedFile, named_in
from tests.support import ROOT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file of seven bytes, and a folder beside it."""
    folder = tmp_path / "here"
    (folder / "sub").mkdir(parents=True)
    (folder / "data.json").write_text('{"a":1}')
    (folder / "sub" / "data").write_text("sub")
    monkeypatch.chdir(folder)
    return folder


def hint(word: str) -> str:
    """Why a word gives nothing."""
    found = named_in([word])
    assert not found.files
    return " ".join(found.hints)


@pytest.mark.parametrize(
    ("word", "guest"),
    [
        ("data.json", "/data.json"),
        ("./data.json", "/data.json"),
        ("sub//data", "/sub/data"),
        ("../here/data.json", "/here/data.json"),
        ("../../../../../../../../../../../..{here}/data.json", "{here}/data.json"),
        ("{here}/data.json", "{here}/data.json"),
        ("//{here}/data.json", "{here}/data.json"),
    ],
)
def test_where_it_is(here: Path, word: str, guest: str) -> None:
    """A file is where the word leads to from the guest's working folder, which is /."""
    word, guest = word.format(here=here), guest.format(here=here)
    found = named_in(["-x", word, "no such file", "x" * 300, ""])
    assert found == Named({guest: NamedFile(word, os.path.realpath(word), os.stat(word).st_size)})


@pytest.mark.usefixtures("here")
def test_what_is_no_name() -> None:
    """Options, values within them and words that are no names of files are not guessed at."""
    Path("-f").write_text("x")
    words = ["-f", "--file=data.json", "file=data.json", "data.json,data.json", " data.json"]
    assert named_in(words) == Named()


def test_what_is_the_guests_own(here: Path) -> None:
    """A path that the guest has already is not another file."""
    words = ["/proc/version", "/dev/null", "/sys/kernel/notes", "/etc/passwd", "//etc/passwd"]
    assert named_in([*words, "/../etc/passwd", "/", ".", ".."]) == Named()
    assert named_in(["data.json"], taken=["/data.json"]) == Named()
    assert named_in(["sub"], taken=["/sub/app.py"]) == Named()
    assert named_in(["sub/data", "sub", "sub/"], mounted=["/sub"]) == Named()
    (here / "subway").write_text("x")
    assert list(named_in(["subway"], mounted=["/sub"]).files) == ["/subway"]
    root = here / "sub"
    assert named_in(["data"], root=root) == Named()
    assert list(named_in(["data.json"], root=root).files) == ["/data.json"]


@pytest.mark.usefixtures("here")
def test_what_is_another_file() -> None:
    """Who names a file where the guest has its own is told that it is not that one."""
    for name in ("etc/hosts", "dev/null", "usr/bin/env"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("the user's")
    for word in ("etc/hosts", "dev/null"):
        assert hint(word).startswith(f"{word} is not given to the guest: it has something of its")
    assert named_in(["etc/hosts"], taken=["/etc/hosts"]) == Named()
    found = named_in(["usr/bin/env", "data.json"])
    assert not found.hints and not found.lost(found.files)
    assert [each.split()[0] for each in found.lost(["/data.json"])] == ["usr/bin/env"]
    assert not named_in(["/usr/bin/env"]).lost(())


def test_own_files_are_those_of_the_library_os() -> None:
    """What it makes itself in /etc is known by name."""
    parts = ROOT / "src/limpet/c/guest/parts"
    text = "".join(path.read_text() for path in parts.glob("*/etc.c"))
    names = re.findall(r'(?:FILE|LINK)\("([^"]+)"', text)
    assert len(names) > 8
    assert {f"/etc/{each}" for each in names} == named.OWN_FILES


def test_no_files(here: Path) -> None:
    """What is no file that can be read, and may be meant as one, has a hint."""
    os.mkfifo("pipe")
    (here / "su").write_text("x")
    (here / "su").chmod(0o4755)
    (here / "sg").write_text("x")
    (here / "sg").chmod(0o2755)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        assert "a socket, and" in hint("socket")
    assert "a pipe, and" in hint("pipe")
    assert "as another user (--file su:/su)" in hint("su")
    assert "as another user" in hint("sg")
    assert hint("sub") == "sub is not given to the guest: a folder (--volume sub:/sub:ro)"
    assert "without .." in hint("sub/../data.json")
    assert "without .." in hint(f"{here}/sub/../data.json")
    (here / "pty").symlink_to("/dev/null")
    assert hint("pty") == ""
    ends = os.pipe()
    assert "a descriptor" in hint(f"/dev/fd/{ends[0]}")
    for each in ends:
        os.close(each)


@pytest.mark.usefixtures("here")
def test_links_are_told() -> None:
    """A link is what it leads to, and the line says where that is."""
    os.symlink("/etc/hostname", "link")
    os.symlink("data.json", "beside")
    os.symlink("..", "up")
    found = named_in(["link", "beside", "up/here/data.json", "data.json"])
    told = found.told(found.files)
    size, here = os.stat("/etc/hostname").st_size, os.path.realpath(".")
    assert f"link ({size} bytes of /etc/hostname)" in told
    assert f"beside (7 bytes of {here}/data.json)" in told
    assert f"up/here/data.json (7 bytes of {here}/data.json)" in told
    assert told.endswith(" and data.json (7 bytes)")
    os.unlink("link")
    os.symlink("/etc/shadow", "link")
    assert found.paths["/link"] == Path("/etc/hostname")


@pytest.mark.usefixtures("here")
def test_one_line() -> None:
    """It is one line however many there are, and whatever they are called."""
    for at in range(9):
        Path(f"{at}\n\x1b[2K").write_text("x" * at)
    words = [f"{at}\n\x1b[2K" for at in range(9)]
    found = named_in(words)
    told = found.told(found.files)
    assert told.isprintable()
    assert told.endswith("4\\n\\x1b[2K (4 bytes) and 4 more files (1 kB)")
    assert "0\\n\\x1b[2K (0 bytes), 1\\n\\x1b[2K (1 byte), " in told
    assert Named().told(()) == ""


@pytest.mark.usefixtures("here")
def test_sizes() -> None:
    """What all are together has a limit; what is too much does not count."""
    for name, size in {"big": named.MOST + 1, "half": named.MOST - 7, "small": 8}.items():
        with open(name, "wb") as stream:
            stream.truncate(size)
    found = named_in(["half", "big", "data.json", "small", "../here/big"])
    assert list(found.files) == ["/half", "/data.json"]
    hints = " ".join(found.hints)
    assert "at most 64 MiB (--file big:/big; --no-given for none)" in hints
    assert "small is not given" in hints
    assert (
        "(--volume ../here:/here:ro or --file ../here/big:/here/big; --no-given for none)" in hints
    )


def test_what_is_written_meanwhile(here: Path) -> None:
    """What was told of a file is no more than it was then: whoever gives it is told."""
    found = named_in(["data.json", "sub/data"])
    assert found.changed(found.files) == []
    with (here / "data.json").open("a") as stream:
        stream.write("more")
    (here / "sub" / "data").unlink()
    first, second = found.changed(found.files)
    assert first.startswith("data.json has changed meanwhile: the copy may be another size")
    assert second.startswith("sub/data has changed meanwhile")


def test_two_of_one_name(here: Path) -> None:
    """Two files that would have one name are refused: the program would take one for the other."""
    (here.parent / "data.json").write_text("another")
    with pytest.raises(PlanError, match="would both be"):
        named_in(["data.json", "../data.json"])
    os.link("sub/data", here.parent / "data")
    with pytest.raises(PlanError, match="would both be"):
        (here / "data").write_text("another")
        named_in(["data", "../data"])
    assert len(named_in(["data.json", "./data.json", "data.json"]).files) == 1
