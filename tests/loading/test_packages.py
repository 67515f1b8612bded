"""An environment with more than can be packed: what is named is, and what that requires."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limpet.formats.tree.write import Node
from limpet.loading import editable, packages, seen
from limpet.loading.asked import NOTHING, Wants
from limpet.loading.distributions import POINTS, Distributions
from limpet.loading.files import Finder, folder
from limpet.loading.interpreted import Interpreted
from limpet.loading.interpreters import known
from limpet.loading.layers import Layers
from tests.support.bundles import need

MANY = 160


def _write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _installed(
    site: Path, name: str, files: tuple[str, ...], *requires: str, points: str = ""
) -> None:
    """As pip leaves it."""
    for each in files:
        _write(site / each)
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
    _write(
        site / info / "METADATA",
        f"Metadata-Version: 2.1\nName: {name}\n{lines}\nRequires-Dist: no\n",
    )
    if points:
        _write(site / info / "entry_points.txt", points)
    record = [*(f"{each},sha256=x,1" for each in files), f"{info}/METADATA,,", "../../../bin/x,,"]
    _write(site / info / "RECORD", "\n".join(record))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with many shared objects and packages."""
    home = tmp_path / "home"
    _write(home / "lib/python3.9/os.py")
    _write(home / "lib/python3/dist-packages/outside.py")
    _write(home / "bin/python3.9")
    venv = tmp_path / "venv"
    _write(venv / "pyvenv.cfg", "include-system-site-packages = false\n")
    (venv / "bin").mkdir()
    (venv / "bin/python3").symlink_to(home / "bin/python3.9")
    site = venv / "lib/python3.9/site-packages"
    _installed(site, "many", tuple(f"many/o{at}.so" for at in range(MANY)))
    _installed(
        site,
        "The-App",
        ("app/__init__.py", "app/tests/t.py", "app.libs/libx.so.1"),
        "helper[fast] (>=2) ; python_version > '3'",
        "many; extra == 'all'",
        "absent",
    )
    _installed(site, "helper", ("help.py", "__pycache__/help.pyc"), 'quick ; extra == "fast"')
    _installed(site, "quick", ("_quick.cpython-39.so",), "the_app")
    _installed(site, "hooked", ("hook.py", "hooked/__init__.py"))
    _write(site / "untold.py", "import many_names, help\n")
    _write(site / "start.pth", f"import sys; __import__('hook').go()\n{tmp_path}/work\n# x\n")
    _write(tmp_path / "work/mine.py", "import help\n")
    return venv


def _packed(venv: Path, wants: Wants = NOTHING) -> tuple[set[str], Interpreted, Layers]:
    python = venv / "bin/python3"
    which = known(python)
    assert which is not None
    top: Node = folder(b"")
    layers = Layers(top, Finder(False), host=True)
    found = Interpreted(which, layers, str(python), os.path.realpath(python))
    found.pack({}, wants)
    site = f"{venv}/lib/python3.9/site-packages/"
    files = {each.removeprefix(site) for each in top.files()}
    return (
        {each for each in files if not each.startswith("/") and ".dist-info/" not in each},
        found,
        layers,
    )


STARTUP = {"start.pth", "hook.py"}
APP = {"app/__init__.py", "app/tests/t.py", "app.libs/libx.so.1", "help.py", "_quick.cpython-39.so"}


@pytest.mark.parametrize(
    ("names", "packed"),
    [
        ((), set()),
        (("app",), APP),
        (("help",), {"help.py"}),
        (("_quick",), APP),
        (("untold",), {"untold.py", "help.py"}),
        (("mine",), {"help.py"}),
        (("outside", "nowhere"), set()),
    ],
)
def test_named(environment: Path, names: tuple[str, ...], packed: set[str]) -> None:
    """What is named comes with what it requires, and with what its extras require; no more."""
    files, found, _ = _packed(environment, Wants(names))
    assert files == packed | STARTUP
    assert "too much to be packed whole" in found.left_out


def test_time_zones(environment: Path) -> None:
    """Who imports what looks for them has the host's, but not which of them is the host's."""
    need(Path("/usr/share/zoneinfo/Europe/Berlin"), "tzdata")
    for name, there in (("zoneinfo", True), ("help", False)):
        files = set(_packed(environment, Wants((name,)))[2].top.files())
        assert ("/usr/share/zoneinfo/Europe/Berlin" in files) is there
        assert not files & {
            "/usr/share/zoneinfo/localtime",
            "/usr/share/zoneinfo/right/Europe/Berlin",
        }


def test_compiled_once(environment: Path) -> None:
    """What was compiled for ``-O`` is as much again, and Python does without."""
    home = Path(os.path.realpath(environment / "bin/python3")).parents[1]
    kept = home / "lib/python3.9/__pycache__/os.cpython-39.pyc"
    for each in (kept, kept.with_suffix(".opt-1.pyc"), kept.with_suffix(".opt-2.pyc")):
        _write(each)
    files = set(_packed(environment)[2].top.files())
    assert {each for each in files if each.endswith(".pyc") and str(home) in each} == {str(kept)}


def test_terminals(environment: Path) -> None:
    """Who imports what draws on them has what the usual ones can do, and no other."""
    folder = os.path.realpath(need(Path("/lib/terminfo"), "ncurses-base"))
    for name, there in (("curses", True), ("help", False)):
        files = set(_packed(environment, Wants((name,)))[2].top.files())
        assert (f"{folder}/x/xterm-256color" in files) is there
        assert (f"{folder}/v/vt100" in files) is there
        assert f"{folder}/m/mach" not in files


def test_alone(environment: Path) -> None:
    """With -S nothing that is installed counts."""
    files, found, _ = _packed(environment, Wants(("app",), alone=True))
    assert files == set() and found.left_out == ""


def test_told(environment: Path) -> None:
    """What says what there is, is there: of all of them, without the lists of files."""
    _, _, layers = _packed(environment)
    told = [each for each in layers.top.files() if ".dist-info/" in each]
    assert len(told) == 5 and all(each.endswith("/METADATA") for each in told)


def test_plugins(environment: Path) -> None:
    """Entry points for what is packed come with their modules, and nothing else's are told."""
    site = environment / "lib/python3.9/site-packages"
    for at, group in enumerate(("the_app.hooks", "The-App11", "console_scripts", "the_apple")):
        points = f"# points\n [ {group} ]\nx = plugin{at}:run\n"
        _installed(site, f"plug-{at}", (f"plugin{at}.py",), "many_more", points=points)
    _installed(site, "many_more", ("more.py",))
    files, _, layers = _packed(environment, Wants(("app",)))
    assert files == APP | STARTUP | {"plugin0.py", "plugin1.py", "more.py"}
    told = {
        os.path.basename(os.path.dirname(each)) for each in layers.top.files() if POINTS in each
    }
    assert told == {"plug_0-1.0.dist-info", "plug_1-1.0.dist-info"}
    assert not [each for each in _packed(environment)[2].top.files() if POINTS in each]


def test_little(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a bound all of it is packed, whoever names it."""
    monkeypatch.setattr(packages, "MOST_OBJECTS", MANY + 2)
    files, found, _ = _packed(environment)
    assert {"many/o0.so", "app/__init__.py", "untold.py"} <= files and found.left_out == ""
    monkeypatch.setattr(packages, "MOST_BYTES", 100)
    assert _packed(environment)[0] == STARTUP


@pytest.mark.parametrize("change", ["new.py", "The_App-1.0.dist-info/METADATA", "help.py"])
def test_seen(environment: Path, change: str) -> None:
    """What is installed later, or requires something else, is noticed."""
    _, _, layers = _packed(environment, Wants(("app",)))
    then = seen.written(layers.seen)
    assert seen.same(then)
    _write(
        environment / "lib/python3.9/site-packages" / change.replace("the_app", "The_App"), "more"
    )
    assert not seen.same(then)


def test_damaged(tmp_path: Path) -> None:
    """What cannot be read tells nothing."""
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "a-1.dist-info/RECORD").write_bytes(
        b'\xff\xfe,,\n"b\n/etc/passwd,,\n../c.py,,\n' * 9
    )
    (tmp_path / "a-1.dist-info/METADATA").write_bytes(b"Requires-Dist: \xff\nRequires-Dist:\n" * 9)
    (tmp_path / "a-1.dist-info/entry_points.txt").write_bytes(b"[" + b" " * 9999 + b"\n[ d.x ]\n")
    (tmp_path / "b-1.dist-info").touch()
    told = Distributions(str(tmp_path), Layers(folder(b""), Finder(False), host=True))
    assert told.needed(["c", "d", "etc", "", ".", ".."]) == []


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real environment with more shared objects than Linux starts a program with."""
    venv = tmp_path_factory.mktemp("crowded")
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60
    )
    site = next(venv.glob("lib/python3.*/site-packages"))
    small = next(Path("/usr/lib").glob(f"{site.parent.name}/lib-dynload/_zoneinfo.*.so"))
    for at in range(400):
        shutil.copy(small, site / f"crowd{at}.so")
    _installed(site, "greeting", ("greeting.py",))
    (site / "greeting.py").write_text("TEXT = 'hello'\n")
    yield venv


def test_it_runs(crowded: Path) -> None:
    """Whoever works in such an environment starts a program that uses some of it."""
    words = [sys.executable, "-m", "limpet", "run", "--backend", "process"]
    words += [str(crowded / "bin/python3"), "-c", "import greeting; print(greeting.TEXT)"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=300)
    assert done.stdout == b"hello\n", done.stderr
    assert done.stderr.count(b"too much to be packed whole") == 1


@pytest.mark.parametrize("whole", [False, True])
def test_installed_where_it_is_written(
    environment: Path, tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A startup file names the folder of its modules, or a finder that knows where each is."""
    monkeypatch.setattr(packages, "MOST_OBJECTS", MANY + 2 if whole else 1)
    site = environment / "lib/python3.9/site-packages"
    _write(site / "__editable__.flat.pth", "import __editable___flat_finder; x.install()")
    _write(tmp_path / "flat/flat/__init__.py")
    table = f"MAPPING: dict[str, str] = {{'flat': '{tmp_path}/flat/flat'}}\nNAMESPACES = {{}}\n"
    _write(site / "__editable___flat_finder.py", table)
    layers = _packed(environment, Wants(("mine", "flat")))[2]
    files = set(layers.top.files())
    assert {f"{tmp_path}/work/mine.py", f"{tmp_path}/flat/flat/__init__.py"} <= files
    assert f"{site}/__editable___flat_finder.py" in files


@pytest.mark.parametrize(
    "text", ["{1: 2}", "{'a': 1}", "{[]: 1}", "[]", "{" * 9000, "{'a': b}", ""]
)
def test_a_finder_that_is_another(text: str) -> None:
    """What is no table of names is none."""
    assert editable.table(f"MAPPING = {text}\n") == {}
