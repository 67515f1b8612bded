"""Volumes: folders of the host's, as a program sees them, and nothing above them."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from limpet.arch.x86_64.syscalls import NUMBERS
from limpet.contract import Backend
from limpet.errors import PlanError
from limpet.formats import manifest
from limpet.running import devices
from tests.guests.linux.test_least import HEAD
from tests.support import SUPPORT
from tests.support.bundles import BUSYBOX, Made, Maker, Ran, execute, need
from tests.support.refusing import refusing

MANY = 700
"""Names in one folder: more than one answer of getdents64 holds."""


def fill(folder: Path) -> Path:
    """A folder with what a program can meet in one, readable for everybody."""
    deep = folder / "sub" / "deep"
    deep.mkdir(parents=True)
    (folder / "a").write_bytes(b"hello\n")
    (folder / "empty").touch()
    (deep / "f").write_bytes(bytes(i * 7 % 251 for i in range(300_000)))
    many = folder / "many"
    many.mkdir()
    for i in range(MANY):
        (many / f"a name that is rather long, number {i}").touch()
    with (folder / "large").open("wb") as large:
        large.seek((5 << 30) + 3)
        large.write(b"behind 5 GiB\n")
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo")
    fill_rights(folder)
    return folder


LINKS = {
    "link": "a",
    "sub/up": "../a",
    "sub/round": "../sub/deep/../../a",
    "folder": "sub/deep",
    "dangling": "nothing",
    "loop": "loop",
    "absolute": "/etc/passwd",
    "out": "../../../../../../../../../../etc/passwd",
    "own": "/data/sub",
    "magic": "/proc/self/root/etc/passwd",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One, with a secret beside it."""
    (tmp_path / "secret").write_text("secret\n")
    return fill(tmp_path / "host")


@pytest.fixture
def busybox(make: Maker, backend: Backend) -> Made:
    """All of busybox, with a folder of the host's at /data."""
    program = need(BUSYBOX, "busybox-static")
    return make(program, backend, devices=("volume:/data:ro",))


def at(made: Made, folder: Path, *words: str) -> Ran:
    """``busybox WORDS`` with ``folder``."""
    return made.run(f"--volume:/data={folder}", "--", *words)


SAME: tuple[Sequence[str], ...] = (
    ("cat", "D/a", "D/empty", "D/link", "D/sub/up", "D/sub/round", "D/a/", "D/no", "D/a/b"),
    ("cat", "D/folder/../../a", "D/./sub//deep/../up", "D/sub", "D/loop", "D/dangling"),
    ("md5sum", "D/sub/deep/f", "D/folder/f"),
    ("find", "D/sub", "-type", "f", "-o", "-type", "l"),
    ("ls", "-1", "D/many"),
    ("ls", "-l", "D/link", "D/sub/"),
    ("stat", "-c", "%n %s %f %h %u %g %X %Y %i", "D/a", "D/sub", "D/fifo", "D/large"),
    ("stat", "-L", "-c", "%s %F", "D/link", "D/folder", "D/dangling"),
    ("readlink", "D/link", "D/sub/up", "D/a"),
    ("dd", "if=D/large", "bs=1048576", "skip=5120", "status=none"),
    ("tail", "-c", "9", "D/large"),
    ("tar", "cf", "-", "-C", "D", "a", "sub", "link"),
    ("sh", "-c", "cd D/sub/deep && pwd && cd ../.. && pwd && cd folder && pwd -P"),
    ("sh", "-c", "cd D/a; cd D/no; test -r D/a && test ! -x D/a && test -d D/folder && echo yes"),
    ("grep", "-r", "hello", "D/sub", "D/a"),
    ("du", "-a", "D/sub"),
    ("sh", "-c", "echo D/s*/d*/* D/nothing*"),
)


@pytest.mark.parametrize("words", SAME, ids=lambda words: " ".join(words)[:30])
def test_same_as_linux(busybox: Made, folder: Path, words: Sequence[str]) -> None:
    """Reading, naming, listing and errors are those of the same program on the folder itself."""
    native = execute(
        ["busybox", *(each.replace("D/", f"{folder}/") for each in words)], BUSYBOX, cwd=folder
    )
    ran = at(busybox, folder, *(each.replace("D/", "/data/") for each in words))
    here = str(folder).encode()
    expected = native.stdout.replace(here, b"/data"), native.stderr.replace(here, b"/data")
    if words[0] in ("find", "grep", "du"):
        assert sorted(ran.stdout.splitlines()) == sorted(expected[0].splitlines())
    else:
        assert ran.stdout == expected[0]
    assert (ran.status, ran.stderr) == (native.status, expected[1])


def test_paths_that_lead_out(busybox: Made, folder: Path) -> None:
    """Absolute links and ``..`` lead into the guest's own tree, not into the host's."""
    own = at(busybox, folder, "cat", "/etc/passwd").stdout
    assert own and own != Path("/etc/passwd").read_bytes()
    for path in (
        "/data/absolute",
        "/data/out",
        "/data/../etc/passwd",
        "/data/sub/../../etc/passwd",
    ):
        assert at(busybox, folder, "cat", path).stdout == own, path
    assert at(busybox, folder, "cat", "/data/own/up").stdout == b"hello\n"
    assert at(busybox, folder, "cat", "/data/../data/sub/../../data/a").stdout == b"hello\n"
    assert at(busybox, folder, "cat", "/data/../secret").stderr.endswith(
        b"No such file or directory\n"
    )
    assert at(busybox, folder, "cat", "/data/magic").stdout in (b"", own)
    ran = at(busybox, folder, "sh", "-c", "cd /data/sub; cd ..; pwd; cd ..; pwd; echo *")
    assert ran.stdout == b"/data\n/\ndata dev etc proc run sys tmp\n"


REFUSED = {
    ("touch", "/data/new"): b"Read-only file system",
    ("rm", "/data/a"): b"Read-only file system",
    ("mkdir", "/data/new"): b"Read-only file system",
    ("mkdir", "/data/a"): b"File exists",
    ("mkdir", "/data/no/new"): b"No such file or directory",
    ("rmdir", "/data/sub"): b"Read-only file system",
    ("rmdir", "/data"): b"Device or resource busy",
    ("mv", "/data", "/elsewhere"): b"Device or resource busy",
    ("mv", "/data/a", "/data/b"): b"Read-only file system",
    ("ln", "/data/a", "/data/b"): b"Read-only file system",
    ("ln", "-s", "x", "/data/b"): b"Read-only file system",
    ("chmod", "600", "/data/a"): b"Read-only file system",
    ("truncate", "-s", "0", "/data/a"): b"Read-only file system",
    ("cat", "/data/fifo"): b"Operation not supported",
}


def test_read_only(busybox: Made, folder: Path) -> None:
    """A volume to read stays as it is, with the errors of a file system that is read-only."""
    before = sorted((each, each.lstat()) for each in folder.rglob("*"))
    for words, error in REFUSED.items():
        ran = at(busybox, folder, *words)
        assert ran.status == 1, words
        assert error in ran.stderr, (words, ran.stderr)
    assert [(p, s.st_mtime_ns, s.st_mode) for p, s in before] == [
        (p, p.lstat().st_mtime_ns, p.lstat().st_mode) for p in sorted(folder.rglob("*"))
    ]


ASKS = r"""
    call(OPEN, (long)"/data/a", 0, 0, 0, 0, 0);           /* who opens nothing has no volume */
    long said = call(21, (long)"/data/a", 4, 0, 0, 0, 0); /* access, R_OK */
    said += call(21, (long)"/data/a", 2, 0, 0, 0, 0) + call(21, (long)"/data/sub", 3, 0, 0, 0, 0);
    end(-said);
}
"""


@pytest.mark.parametrize(("way", "refused"), [(":ro", errno.EROFS), ("", 0)])
def test_asked_first(make: Maker, backend: Backend, folder: Path, way: str, refused: int) -> None:
    """Who asks whether a file or a folder can be written is told as who tries."""
    program = make.compile(HEAD + ASKS, "asks", "-nostdlib")
    made = make(program, backend, devices=(f"volume:/data{way}",))
    assert made.run(f"--volume:/data={folder}") == Ran(2 * refused, b"", b"")


def test_at_start(busybox: Made, folder: Path) -> None:
    """What is wrong with the words of a start is said in one line, before anything runs."""
    for words, line in (
        ([f"--volume:/data={folder}/no"], f"limpet: cannot attach {folder}/no: no such folder"),
        ([f"--volume:/data={folder}/a"], f"limpet: cannot attach {folder}/a: not a folder"),
        ([f"--volume:/dota={folder}"], "limpet: Resource not declared in manifest: '/dota'"),
        ([f"--volume:/data={folder}"] * 2, "limpet: /data: attached twice"),
        ([], "limpet: Device '/data' declared but not attached."),
    ):
        ran = busybox.run(*words, "--", "cat", "/data/a")
        first = ran.stderr.decode().splitlines()[0]
        assert (ran.status, ran.stdout, first) == (125, b"", line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["volume:data:ro"], "a volume cannot be at 'data'"),
        (["volume:/:ro"], "a volume cannot be at '/'"),
        (["volume:/a/../b:ro"], "a volume cannot be at '/a/../b'"),
        (["volume:/a//b:ro"], "a volume cannot be at '/a//b'"),
        (["volume:/" + "a" * 67 + ":ro"], "a volume cannot be at"),
        (["volume:/proc/self:ro"], "a volume cannot be at /proc/self: proc is the guest's own"),
        (["volume:/a:ro", "volume:/a/b:ro"], "the volumes /a and /a/b lie in one another"),
        (["volume:/a:ro", "volume:/a:ro"], "two volumes at /a"),
    ],
)
def test_places(words: list[str], said: str) -> None:
    """A volume is at one absolute path of its own."""
    with pytest.raises(PlanError) as caught:
        manifest.declared(words)
    assert caught.value.message.startswith(said)


def test_out_of_reach(tmp_path: Path) -> None:
    """A folder's mode says what whoever a guest of root's is cannot do there."""
    uid, gid = tmp_path.stat().st_uid, tmp_path.stat().st_gid
    other = (uid + 1, gid + 1)
    for mode, user, read, written in (
        (0o700, other, True, True),
        (0o755, other, False, True),
        (0o750, (uid + 1, gid), False, True),
        (0o705, (uid + 1, gid), True, True),
        (0o777, other, False, False),
        (0o703, other, True, True),
    ):
        tmp_path.chmod(mode)
        said = [devices.Volume(str(tmp_path), "/a", ro).out_of_reach(*user) for ro in (True, False)]
        tmp_path.chmod(0o700)
        assert list(map(bool, said)) == [read, written], (mode, user)
    assert devices.Volume(str(tmp_path / "none"), "/a").out_of_reach(5, 5) is None


def test_an_owner_who_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What helps is not what has been done already."""
    status = os.stat_result((0o40500, 1, 1, 2, 1000, 1000, 0, 0, 0, 0))
    with monkeypatch.context() as own:
        own.setattr(os, "stat", lambda _: status)
        said = devices.Volume(str(tmp_path), "/a").out_of_reach(1000, 1000) or ""
    assert said.endswith(f": chmod u+rwx {tmp_path}")


def test_words(tmp_path: Path) -> None:
    """``--volume HOST:GUEST[:ro]``, and what is wrong with it."""
    (tmp_path / "file").touch()
    found = devices.volume(f"{tmp_path}:/data:ro")
    assert list(found.words()) == [f"--volume:/data={tmp_path}"]
    for given, said in (
        ("/data", "not HOST:GUEST"),
        (f"{tmp_path}/no:/data:ro", "no such folder"),
        (f"{tmp_path}/file:/data:ro", "not a folder"),
        (f"{tmp_path}:/data:rw", "only ro can stand behind the path, and not rw"),
        (f"{tmp_path}:data:ro", "a volume cannot be at 'data'"),
    ):
        with pytest.raises(PlanError) as caught:
            devices.volume(given)
        assert said in caught.value.message
    for given, said in (
        ("./here:/data:ro", "is said at each"),
        ("/data:zz", "only ro can stand behind the path, and not zz"),
    ):
        with pytest.raises(PlanError, match=said):
            devices.mount_only(given)


def given(folder: Path) -> Path:
    """A folder to write in, for everybody: a monitor that root starts is nobody."""
    (folder / "folder").mkdir(parents=True)
    (folder / "there").write_text("was there before")
    (folder / "link").symlink_to("there")
    (folder / "dangling").symlink_to("folder/../target")
    (folder / "loop").symlink_to("loop")
    for each in (folder, folder / "folder", folder / "there"):
        each.chmod(0o777)
    fill_rights(folder)
    return folder


def fill_rights(folder: Path) -> None:
    """Every folder above can be passed."""
    for each in folder.parents:
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o555)


MAIN = "int main(int count, char **words) {"
IN_A_THREAD = """
#include <pthread.h>

static void *start(void *words) {
    return (void *)(long)program(2, words);
}

int main(int count, char **words) {
    pthread_t thread;
    void *status = (void *)1L;
    (void)count;
    pthread_create(&thread, NULL, start, words);
    pthread_join(thread, &status);
    return (int)(long)status;
}
"""


def compiled(make: Maker, name: str, in_a_thread: bool) -> Path:
    """A program of support; what it does a thread does, on a stack of its own in the library OS."""
    source = (SUPPORT / "programs" / f"{name}.c").read_text(encoding="utf-8")
    assert MAIN in source
    if in_a_thread:
        source = source.replace(MAIN, MAIN.replace("int main", "static int program")) + IN_A_THREAD
    return make.compile(source, name)


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_writing(make: Maker, backend: Backend, tmp_path: Path, in_a_thread: bool) -> None:
    """Making, writing, cutting and syncing files is as on Linux, errors included."""
    program = compiled(make, "volumes", in_a_thread)
    made = make(program, backend, devices=("volume:/w",))
    native = execute(["volumes", str(given(tmp_path / "native"))], program)
    folder = given(tmp_path / "guest")
    ran = made.run(f"--volume:/w={folder}", "--", "/w")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert (ran.status, ran.stderr, native.status) == (0, b"", 0)
    names = {each.relative_to(folder) for each in folder.rglob("*")}
    here = tmp_path / "native"
    assert names == {each.relative_to(here) for each in here.rglob("*")}
    for name in names:
        if (folder / name).is_file():
            assert (folder / name).read_bytes() == (here / name).read_bytes()


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_names(make: Maker, backend: Backend, tmp_path: Path, in_a_thread: bool) -> None:
    """Names are made, moved and removed as on Linux, errors included."""
    program = compiled(make, "names", in_a_thread)
    made = make(program, backend, devices=("volume:/w",))
    here, folder = given(tmp_path / "native"), given(tmp_path / "guest")
    for each in (here, folder):  # who changes modes and times owns the file
        os.chown(each / "there", 65534, 65534)
        os.lchown(each / "link", 65534, 65534)
    os.chown(folder, 65534, 65534)  # and is root in the guest
    native = execute(["names", str(here)], program)
    ran = made.run(f"--volume:/w={folder}", "--", "/w")
    assert ran.stdout.decode().splitlines() == native.stdout.decode().splitlines()
    assert (ran.status, ran.stderr, native.status) == (0, b"", 0)
    names = {each.relative_to(folder) for each in folder.rglob("*")}
    assert names == {each.relative_to(here) for each in here.rglob("*")}


def test_modes_before_linux_6_6(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """A host without fchmodat2 changes the modes of files that can be opened."""
    made = make(need(BUSYBOX, "busybox-static"), backend, devices=("volume:/w",))
    for name, mode in (("read", 0o400), ("written", 0o200), ("closed", 0)):
        (tmp_path / name).touch()
        os.chown(tmp_path / name, 65534, 65534)
        (tmp_path / name).chmod(mode)
    fill_rights(tmp_path / "read")
    words = ["busybox", f"--volume:/w={tmp_path}", "--", "chmod", "640", "/w/read", "/w/written"]
    done = subprocess.run(
        [*words, "/w/closed"],
        executable=made.path,
        capture_output=True,
        preexec_fn=refusing(NUMBERS["fchmodat2"], errno.ENOSYS),
        check=False,
    )
    assert done.stderr == b"chmod: /w/closed: Permission denied\n"
    modes = [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("read", "written")]
    assert modes == [0o640, 0o640] and not stat.S_IMODE((tmp_path / "closed").stat().st_mode)


def test_bounded_output(make: Maker, backend: Backend, folder: Path) -> None:
    """The parent that counts output has no folder: what it has open instead is none."""
    program = need(BUSYBOX, "busybox-static")
    made = make(program, backend, devices=("volume:/data:ro",), max_output=100)
    assert at(made, folder, "cat", "/data/a") == Ran(0, b"hello\n", b"")
    ran = at(made, folder, "cat", "/data/large")
    assert (ran.status, len(ran.stdout)) == (123, 100)


def test_help(make: Maker, backend: Backend) -> None:
    """A bundle says which folder it wants."""
    program = need(BUSYBOX, "busybox-static")
    made = make(program, backend, devices=("volume:/data:ro",), features=("help",))
    ran = made.run("--help")
    assert (ran.status, ran.stdout.count(b"--volume:/data=FOLDER")) == (0, 1)
