"""Scripts of Python from a bundle that has started already: as Python runs them, and not before."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.audit.verify import verify
from limpet.cli.job import Packing
from limpet.cli.warm import Wanted, deliver_warm, wanted_of, warm_bundle
from limpet.contract import Backend
from limpet.loading.interpreters import imported, known
from limpet.loading.named import named_in
from limpet.loading.start import start_of
from limpet.planning.options import Options
from limpet.running.warm import guest
from limpet.running.warm.report import reason_of, report_of
from limpet.tools.cache import Cache
from tests.support import SUPPORT
from tests.support.bundles import Ran, execute
from tests.support.faults import faults_of
from tests.support.large import LARGE, large

PYTHON = "/usr/bin/python3"
ENDS = SUPPORT / "programs" / "ends.py"
SOURCES = Path(guest.__file__).parents[2]
OUTSIDE = {
    "__init__",
    "beside",
    "environment",
    "guest",
    "leading",
    "report",
    "script",
    "texts",
    "words",
}
"""Files of the folder that no guest has."""

pytestmark = pytest.mark.skipif(not os.path.exists(PYTHON), reason="apt-get install python3")


def wanted(words: Sequence[str], backend: Backend, **given: object) -> Wanted | str:
    """What ``limpet run`` would want for these words in the working folder."""
    names = ("environment", "devices", "connect", "publish")
    others = {each: given.pop(each) for each in names if each in given}
    options = Options(backends=(backend,), **others)  # type: ignore[arg-type]
    packing = Packing(files=given.pop("files", {}))  # type: ignore[arg-type]
    start = start_of(Path(PYTHON), None, words)
    more = {"warm": None, "teardown": False, **given}
    named = named_in(words, start.files)
    return wanted_of(start, words, options, packing, more, named)


@contextmanager
def bundle(words: Sequence[str], backend: Backend, **given: object) -> Iterator[Path]:
    """The warm bundle of these words."""
    found = wanted(words, backend, **given)
    assert isinstance(found, Wanted), found
    with warm_bundle(found, Cache.default()) as ready:
        assert not isinstance(ready, str), ready
        yield ready[0]


def reason(words: Sequence[str], backend: Backend = "process", **given: object) -> str:
    """Why these words start cold."""
    found = wanted(words, backend, **given)
    if isinstance(found, str):
        return found
    with warm_bundle(found, Cache.default()) as why:
        assert isinstance(why, str)
        return why


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.isatty", lambda handle: False)
    return tmp_path


def natively(words: Sequence[str], here: Path, stdin: bytes = b"") -> Ran:
    """The same natively; what it says of its folder is as it would be in a guest."""
    environment = {"LC_CTYPE": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [PYTHON, *words],
        input=stdin,
        capture_output=True,
        env=environment,
        cwd=here,
        timeout=60,
        check=False,
    )
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return alike(Ran(status, done.stdout, done.stderr), here)


def alike(ran: Ran, here: Path) -> Ran:
    """Without what is another in every run, or in the working folder of a guest."""

    def plain(text: bytes) -> bytes:
        text = text.replace(os.fsencode(here) + b"/", b"/").replace(b"//", b"/")
        return re.sub(rb" at 0x[0-9a-f]+>", b">", text)

    return Ran(ran.status, plain(ran.stdout), plain(ran.stderr))


CASES = (
    ["plain", "own", "chain", "group", "interrupt", "atexit", "threads", "finalizers", "generator"]
    + ["files", "hook", "bad hook", "hook exits", "warnings", "unraisable", "closed", "input"]
    + ["source", "asyncio", "recursion", "frames"]
    + [f"exit:{each}" for each in ("", "0", "None", "3", "-1", "259", "True", "'why'", "(1, 2)")]
    + [f"exit:{each}" for each in ("10**30", "'\\udcff'", "2.5")]
)


def test_as_python_does(here: Path, backend: Backend) -> None:
    """Every way to end: what is written, in its order, and the status."""
    (here / "ends.py").write_bytes(ENDS.read_bytes())
    with bundle(["ends.py"], backend) as path:
        for case in CASES:
            words = ["ends.py", case, "b c"]
            found = alike(execute([PYTHON, *words], path, b"in\nput"), here)
            assert found == natively(words, here, b"in\nput"), case


def test_what_a_script_finds(here: Path, backend: Backend) -> None:
    """Its namespace, words and modules are those of a cold start; verify makes the bundle again."""
    (here / "ends.py").write_bytes(ENDS.read_bytes())
    with bundle(["ends.py"], backend) as path:
        assert verify(path).same
        found = alike(execute([PYTHON, "ends.py", "names"], path), here)
        assert found == natively(["ends.py", "names"], here)


def test_named_files(here: Path, backend: Backend) -> None:
    """A script has the files that its words name, but for what its interpreter has there."""
    library = f"/usr/lib/python3.{os.path.realpath(PYTHON).rpartition('.')[2]}/os.py"
    (here / "app.py").write_text(
        "import sys\nprint(*(len(open(x).read()) for x in sys.argv[1:]))\n"
    )
    for name in ("json.txt", "more"):
        (here / name).write_text(name)
    words = ["app.py", "json.txt", library, "more"]
    found = wanted(words, backend)
    assert isinstance(found, Wanted)
    with warm_bundle(found, Cache.default()) as ready:
        assert not isinstance(ready, str)
        size = len(Path(library).read_text())
        assert execute([PYTHON, *words], ready[0]).stdout == f"8 {size} 4\n".encode()
        assert ready[1] == ("/json.txt", "/more")
    (here / "more").write_text("another")
    with bundle(words, backend) as path:
        assert execute([PYTHON, *words[:2], "more"], path).stdout == b"8 7\n"
    (here / "more").write_bytes(Path(PYTHON).read_bytes()[:4096])
    assert "is a shared object or more than 4 MiB (--volume reads large files" in reason(words)


def test_teardown(here: Path) -> None:
    """What C has not written yet is written only where Python takes itself apart."""
    (here / "app.py").write_text("import ctypes\nctypes.CDLL(None).printf(b'of C\\n')\n")
    said = {}
    for teardown in (False, True):
        with bundle(["app.py"], "process", teardown=teardown) as path:
            said[teardown] = execute([PYTHON, "app.py"], path).stdout
    assert said == {False: b"", True: natively(["app.py"], here).stdout}
    assert said[True] == b"of C\n"


def test_other_ways_to_name_a_program(here: Path) -> None:
    """``-c``, ``-m``, standard input, options; of one bundle where the modules are the same."""
    (here / "own.py").write_text("import sys\nprint(__name__, sys.argv)\n1/0\n")
    (here / "wrong.py").write_text("import sys\nif:\n")
    for words, stdin in (
        (["-c", "import sys; print(sys.argv, sys.path[0] == ''); 1/0", "a"], b""),
        (["-", "a"], b"import sys\nprint(sys.argv, __name__)\nx ="),
        (["-m", "own", "a"], b""),
        (["-m", "nothing", "a"], b""),
        (["wrong.py"], b""),
        (["-O", "-W", "error", "own.py"], b""),
    ):
        with bundle(words, "process") as path:
            found = alike(execute([PYTHON, *words], path, stdin), here)
        assert found == natively(words, here, stdin), words


EARLY = "import random, tempfile, uuid; random.random(), tempfile.mktemp(), uuid.uuid4()"
"""Run before the moment."""

WARMED = """import early, asyncio, datetime, json, logging, random, secrets, ssl, tempfile, uuid
import multiprocessing.process, snapshot_restore_py, sys

process = multiprocessing.process.current_process()
print(os := __import__("os").urandom(8).hex())
print(uuid.uuid4(), uuid.getnode() if False else "", secrets.token_hex(8), random.random())
print(tempfile.mktemp(), ssl.RAND_bytes(8).hex(), bytes(process.authkey).hex())
print(datetime.datetime.now().timestamp(), logging._startTime)
"""


def test_nothing_is_the_same_twice(here: Path) -> None:
    """Many starts at once: everything that has to be random is, and it is now."""
    (here / "warmed.py").write_text(WARMED)
    (here / "early").write_text(EARLY)
    files = {"/usr/lib/python3/dist-packages/early.py": here / "early"}
    count = 1000 if LARGE else 20
    with bundle(["warmed.py"], "process", files=files) as path:
        before = time.time()
        started = [
            subprocess.Popen([PYTHON, "warmed.py"], executable=path, stdout=subprocess.PIPE, env={})
            for _ in range(count)
        ]
        lines = [each.communicate()[0].decode().split("\n")[:-1] for each in started]
        after = time.time()
    words = [" ".join(each[:3]).split() for each in lines]
    assert {len(each) for each in words} == {len(words[0])}
    for column in zip(*words, strict=True):
        assert len(set(column)) == count, column
    times = [float(each) for line in lines for each in line[3].split()]
    assert all(before - 1 < each < after + 1 for each in times)


COLD = (
    ("print('imported')", "what is imported prints something"),
    ("1/0", "importing cold raises ZeroDivisionError: division by zero"),
    ("import nothing", "importing cold raises ModuleNotFoundError: No module named 'nothing'"),
    ("import sys; sys.argv[0]", "what is imported looks at sys.argv"),
    ("import os; os.environ['A'] = 'b'", "what is imported sets an environment variable"),
    ("raise SystemExit(3)", "importing cold raises SystemExit: 3"),
    ("import os; os._exit(3)", "Python ends with status 3"),
    ("f = open('/dev/null')", "what is imported leaves a file open"),
    ("import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()", "a thread"),
)


@pytest.mark.parametrize(("text", "why"), COLD)
def test_what_an_import_may_not_do(here: Path, text: str, why: str) -> None:
    """What runs before the moment finds it out: the same natively, where no moment comes."""
    (here / "cold.py").write_text(text)
    folder = here / "box"
    folder.mkdir()
    boot = Path(guest.__file__).with_name("boot.py").read_text()
    renewed = guest.RENEWED.read_text()
    (folder / "stub.py").write_text(
        f"{boot}\nexec({renewed!r})\nboot((('cold', ()),), 0, {str(folder)!r})\n"
    )
    ran = subprocess.run(
        [PYTHON, folder / "stub.py"],
        env={"PYTHONPATH": str(here)},
        stdout=-1,
        stderr=-1,
        check=False,
    )
    report = report_of(ran.stdout, b"")
    if why == "what is imported prints something":  # which only the report can say
        assert report and report.printed
        assert b"/dev/limpet/snapshot" in ran.stderr
    else:
        assert report is None
        assert why in (reason_of(ran.stderr) or f"Python ends with status {ran.returncode}")


def test_what_starts_cold(here: Path) -> None:
    """An import that its monitor refuses something, or that reads or prints, is for the start."""
    refused = "importing cold raises PermissionError: [Errno 13] Permission denied; python"
    refuses, reads = "import mmap; mmap.mmap(-1, 4096, prot=7)", "what is imported reads"
    cases = (refuses, refused), ("input()", reads), ("print()", "what is imported prints")
    for text, why in cases if LARGE else cases[:2]:
        (here / "cold").write_text(text)
        (here / "app.py").write_text("import cold")
        files = {"/usr/lib/python3/dist-packages/cold.py": here / "cold"}
        assert reason(["app.py"], files=files).startswith(why)


def test_what_cannot_be_warm(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the words or the host already say."""
    (here / "app.py").write_text("print(1)")
    (here / "json.py").write_text("print(2)")
    (here / "zero.py").write_bytes(b"print(1)\0")
    assert "zero byte" in reason(["zero.py"])
    assert "no file" in reason(["other.py"])
    assert "more than to run a script" in reason(["-i", "app.py"])
    assert "no file with a script" in reason(["."])
    assert "PYTHONHASHSEED is looked for" in reason(["app.py"], environment=("PYTHONHASHSEED=0",))
    assert "sockets of its starter's" in reason(["app.py"], publish=("fd:3:80",))
    assert "json beside the script" in reason(["json.py"], warm="import json")
    monkeypatch.setattr("os.isatty", lambda handle: True)
    assert "interactive" in reason([])


AWAY = """import early, json, os, socket, sys
print(sorted(os.listdir("/data")))
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
    line.sendall(b"hello")
    print(line.recv(9))
"""


@large
def test_ways_out(here: Path) -> None:
    """Folders and connections are those of the start; what uses one early, or is there, is cold."""
    (here / "app.py").write_text(AWAY)
    (here / "early").write_text("")
    (here / "data").mkdir(0o755)
    (here / "data/a").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        files = {"/usr/lib/python3/dist-packages/early.py": here / "early"}
        ways: dict[str, object] = {
            "devices": ("volume:/data",),
            "connect": (f"127.0.0.1:{port}",),
            "files": files,
        }
        lies = {"devices": (f"volume:{here}",)}
        assert "lies below a folder" in reason([str(here / "app.py")], "process", **lies)
        with bundle(["app.py"], "process", **ways) as path:
            words = [PYTHON, f"--volume:/data={here / 'data'}", "--", "app.py", str(port)]
            with subprocess.Popen(words, executable=path, stdout=subprocess.PIPE) as ran:
                accepted, _ = server.accept()
                with accepted:
                    accepted.sendall(accepted.recv(9).upper())
                assert ran.communicate(timeout=60)[0] == b"['a']\nb'HELLO'\n"
        early = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        for text, why in (("import os; os.listdir('/data')", "looked into"), (early, "connects")):
            (here / "early").write_text(text)
            assert why in reason(["app.py"], "process", **ways)


@pytest.mark.parametrize("folder", ["running/warm", "sandbox/guest"])
def test_what_its_own_files_name(folder: str) -> None:
    """Nothing that is installed: it would be packed for every script, with all that it requires."""
    which = known(Path(PYTHON))
    assert which
    own = [each for each in (SOURCES / folder).glob("*.py") if each.stem not in OUTSIDE]
    names = {name for each in own for name in imported(each.read_bytes(), which)}
    assert own and names <= sys.stdlib_module_names


def test_what_looks_for_files(here: Path) -> None:
    """Modules of the library that want files of the host's are named to whoever packs."""
    (here / "app.py").write_text("import json, zoneinfo, curses\n")
    found = wanted(["app.py"], "process")
    assert isinstance(found, Wanted) and found.script.packed == ("curses", "zoneinfo")


def test_rehearsed(here: Path) -> None:
    """What any start writes comes at once, not a fault each; nothing of the rehearsal is there."""
    (here / "app.py").write_text("import os, sys\nprint(os.listdir('/'), len(sys.argv[1]))\n")
    with bundle(["app.py"], "process") as path:
        ran = execute([PYTHON, "app.py", "word"], path)
        faults = faults_of([PYTHON, "app.py", "word"], path)
        assert execute([PYTHON, "app.py", "-" * 100_000], path).stdout.endswith(b" 100000\n")
    assert b"'app.py'" in ran.stdout
    assert b"rehearsed" not in ran.stdout
    assert faults < 180


def test_its_environment(here: Path) -> None:
    """The variables of a start are there; nothing before it has seen one."""
    text = "import os\nprint(sorted(os.environ.items()), os.getenv('OWN'), os.environb[b'OWN'])\n"
    (here / "app.py").write_text(text)
    with bundle(["app.py"], "process", environment=("OWN=b", "PASSED")) as path:
        ran = subprocess.run(
            [PYTHON, "app.py"],
            executable=path,
            env={"PASSED": "/x"},
            capture_output=True,
            check=False,
        )
    assert (ran.stdout, ran.stderr) == (b"[('OWN', 'b'), ('PASSED', '/x')] b b'b'\n", b"")


def test_put_where_it_is_to_be(here: Path) -> None:
    """A bundle that is built is the one that is run, in a file, a pipe or over another."""
    (here / "app.py").write_text("print('put')\n")
    found, cache = wanted(["app.py"], "process"), Cache.default()
    assert isinstance(found, Wanted), found
    (here / "put").write_text("another")
    size = deliver_warm(found, cache, here / "put")
    assert (here / "put").stat().st_size == size
    assert execute(["python3", "app.py"], here / "put").stdout == b"put\n"
    os.mkfifo(here / "pipe")
    with subprocess.Popen(["cmp", here / "pipe", here / "put"]) as compares:
        assert deliver_warm(found, cache, here / "pipe") == size
    assert compares.returncode == 0
    with warm_bundle(found, cache) as ready:
        assert not isinstance(ready, str)
        assert ready[0].read_bytes() == (here / "put").read_bytes()
    assert sorted(os.listdir(here)) == ["app.py", "pipe", "put"]
