"""What a known interpreter gets by itself: its library, its environment, its text and modules."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from limpet.formats.tree.write import Node
from limpet.loading import seen
from limpet.loading.asked import NOTHING, Wants, asked_of
from limpet.loading.files import TIME, Finder, folder, put_content
from limpet.loading.interpreted import Interpreted
from limpet.loading.interpreters import KNOWN, imported, known
from limpet.loading.layers import Layers
from limpet.loading.start import start_of

LIBRARY = ("os.py", "json/__init__.py", "lib-dynload/_x.so", "test/test_os.py", "config-3.9/a")


def _write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter by name and by its library; below it something is installed."""
    home = tmp_path / "home"
    for each in LIBRARY:
        _write(home / "lib/python3.9" / each)
    _write(home / "lib/python3/dist-packages/yaml/__init__.py", "import yaml_more\n")
    _write(home / "lib/python3/dist-packages/yaml_more.abi3.so")
    _write(home / "lib/python3/dist-packages/other.py")
    (home / "bin").mkdir()
    _write(home / "bin/python3.9").chmod(0o755)
    (home / "bin/python3").symlink_to("python3.9")
    return home / "bin/python3"


def _packed(
    python: Path, texts: Mapping[str, Path] = {}, wants: Wants = NOTHING
) -> tuple[Node, Interpreted, Layers]:
    which = known(python)
    assert which is not None
    top = folder(b"")
    layers = Layers(top, Finder(False), host=True)
    found = Interpreted(which, layers, str(python), os.path.realpath(python))
    with layers.keeping(which.times):
        found.pack(texts, wants)
    return top, found, layers


def _below(top: Node, path: Path) -> set[str]:
    start = f"{path}/"
    return {each.removeprefix(start) for each in top.files() if each.startswith(start)}


def test_library(python: Path, tmp_path: Path) -> None:
    """All of it but what runs no program; its objects are told, so that theirs are found."""
    top, found, _ = _packed(python)
    assert _below(top, tmp_path / "home") == {f"lib/python3.9/{each}" for each in LIBRARY[:3]}
    assert any(each.endswith("/_x.so") for each in found.objects)
    assert any("CPython 3.9: its library" in each for each in found.why)


def test_times(python: Path) -> None:
    """Sources keep their time, by which compiled files are believed; nothing else does."""
    top, _, _ = _packed(python)
    nodes = [top]
    for node in nodes:
        nodes += node.children.values()
    kept = {os.fsdecode(node.name) for node in nodes if node.modified != TIME}
    assert kept == {"os.py", "__init__.py"}


def test_no_library(python: Path) -> None:
    """A program of that name without a library beside it gets nothing."""
    for each in (python.parents[1] / "lib").rglob("os.py"):
        each.unlink()
    top, found, _ = _packed(python)
    assert not list(top.files()) and not found.why


@pytest.mark.parametrize("name", ["python2.7", "python3", "python3.9-config", "mypython3.9", "sh"])
def test_other_names(tmp_path: Path, name: str) -> None:
    """The version is the name's, links followed; others are no interpreter that is known."""
    assert known(_write(tmp_path / name)) is None


def test_environment(python: Path, tmp_path: Path) -> None:
    """It is that of the path which a user named, and comes with what is installed into it."""
    for where in ("pip/a.py", "thing/b.py", "thing/tests/c.py"):
        _write(tmp_path / "venv/lib/python3.9/site-packages" / where)
    _write(tmp_path / "venv/pyvenv.cfg", f"home = {python.parent}\n")
    named = tmp_path / "venv/bin/python3"
    named.parent.mkdir()
    named.symlink_to(python)
    top, found, _ = _packed(named)
    packages = {f"lib/python3.9/site-packages/thing/{each}" for each in ("b.py", "tests/c.py")}
    assert _below(top, tmp_path / "venv") == {"pyvenv.cfg", *packages}
    assert any("site-packages, without pip" in each for each in found.why)


def test_modules(python: Path, tmp_path: Path) -> None:
    """What a text uses is packed from beside it, or from where it is installed, and so on."""
    text = _write(
        tmp_path / "d/app.py", "import os, helper as h\nfrom pack.a import b; import yaml\n"
    )
    _write(tmp_path / "d/helper.py", "    from own import x\nfrom . import other\n")
    _write(tmp_path / "d/own.cpython-39.so")
    _write(tmp_path / "d/pack/a.py", "import json, late")
    _write(tmp_path / "d/late.py")
    for unused in ("other.py", "pack.txt", "os"):
        _write(tmp_path / "d" / unused)
    top, found, _ = _packed(python, {"/sub/app.py": text})
    beside = {"helper.py", "own.cpython-39.so", "pack/a.py", "late.py"}
    assert _below(top, Path("/sub")) == beside
    installed = _below(top, tmp_path / "home/lib/python3/dist-packages")
    assert installed == {"yaml/__init__.py", "yaml_more.abi3.so"}
    assert {each.rpartition("/")[2] for each in found.objects} == {
        "_x.so",
        "own.cpython-39.so",
        "yaml_more.abi3.so",
    }


@pytest.mark.parametrize("change", ["helper.py", "../home/lib/python3.9/new.py", "yaml.py"])
def test_seen(python: Path, tmp_path: Path, change: str) -> None:
    """What appears later, and would be packed, is noticed."""
    text = _write(tmp_path / "d/app.py", "import helper\nimport yaml\n")
    _, _, layers = _packed(python, {"/app.py": text})
    known_then = seen.written(layers.seen)
    assert seen.same(known_then)
    _write(tmp_path / "d" / change, "more")
    assert not seen.same(known_then)


@pytest.mark.parametrize(
    ("words", "packed"),
    [
        (["app.py", "x.py"], ["/app.py"]),
        (["-X", "dev", "-Wd", "-u", "d/x.py"], ["/d/x.py"]),
        (["--", "app.py"], ["/app.py"]),
        (["-c", "app.py"], []),
        (["-capp.py"], []),
        (["-m", "app", "x.py"], ["/app.py"]),
        (["-m", "server", "app:make()", "--port", "8:x"], ["/app.py"]),
        (["x.py", "app:a.b", "d.x:it"], ["/app.py", "/d/x.py", "/x.py"]),
        (["x.py", "data:it", "d:x", "data.app:it", "d.y:it"], ["/x.py"]),
        (["x.py", "app:", ":app", "app: a", "http://app:80", "app"], ["/x.py"]),
        (["-mpack.sub"], ["/pack/__main__.py", "/pack/data.txt"]),
        (["pack"], ["/pack/__main__.py", "/pack/data.txt"]),
        (["-m"], []),
        (["-m", ""], []),
        (["-", "app.py"], []),
        (["nowhere.py"], []),
        ([], []),
        (["-W"], []),
    ],
)
def test_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], packed: list[str]
) -> None:
    """The word that is a program's text, or names a module of the working folder, and no other."""
    for each in ("app.py", "x.py", "d/x.py", "pack/__main__.py", "pack/data.txt", "pack/.git/x"):
        _write(tmp_path / each)
    _write(tmp_path / "data" / "key.pem")
    monkeypatch.chdir(tmp_path)
    which = known(_write(tmp_path / "python3.9"))
    assert which is not None
    assert sorted(asked_of(which, words).texts) == packed


def test_a_word_that_names_a_module(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is packed for it is told, and who passes on words of others has nothing packed."""
    monkeypatch.chdir(tmp_path)
    for each in ("x.py", "site/__init__.py", "site/main.py"):
        _write(tmp_path / each)
    words = ["x.py", "site.main:app", "x:y"]
    start = start_of(python, None, words)
    assert sorted(start.files) == ["/site/__init__.py", "/site/main.py", "/x.py"]
    assert start.given == (
        "gives the guest a copy of site/__init__.py and 1 more for site.main:app",
        "gives the guest a copy of x.py for x:y",
    )
    start = start_of(python, None, words, gives=False)
    assert (sorted(start.files), start.given) == (["/x.py"], ())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"uvicorn.run('main:app')", {"main"}),
        (b'uvicorn.run(\n    "shop.main:make()", port=1)', {"shop"}),
        (b"raise ValueError('secrets:key')", set()),
        (b"kind = {'data:text': 'keys:all'}", set()),
    ],
)
def test_a_text_that_names_an_application(text: bytes, names: set[str]) -> None:
    """It gives it to what runs it; a string alone says nothing."""
    assert imported(text, KNOWN[0]) == names


def test_start(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called by its path, with the text that it is given, or whose first line names it."""
    monkeypatch.setenv("PATH", str(python.parent))
    monkeypatch.chdir(tmp_path)
    app = _write(tmp_path / "app.py", "#!/usr/bin/env python3\n")
    start = start_of(Path("python3"), None, ["app.py"])
    assert (start.words, start.files) == ((str(python),), {"/app.py": Path("app.py")})
    assert start.why[-1] == "app.py is packed for CPython 3.9"
    start = start_of(Path("./app.py"))
    assert (start.words, start.files) == ((str(python), "app.py"), {"/app.py": Path("app.py")})
    root = tmp_path / "root"
    _write(root / "app.py")
    assert start_of(Path("python3"), root, ["app.py"]).files == {}
    assert app.exists()


@pytest.mark.parametrize(("name", "called"), [("perl", "Perl"), ("ruby3.1", "Ruby 3.1")])
def test_others(name: str, called: str, tmp_path: Path) -> None:
    """Perl and Ruby get their library and the text that they are given, and no environment."""
    which = known(tmp_path / name)
    assert which is not None and which.name == called
    _write(tmp_path / which.landmark)
    text = _write(tmp_path / "text")
    program = _write(tmp_path / "bin" / name)
    top, found, _ = _packed(program, {})
    assert which.landmark in _below(top, tmp_path)
    assert found.why == [line for line in found.why if line.startswith(f"{called}: its library")]
    for words in ([str(text), "x"], ["-w", str(text)]):
        assert list(asked_of(which, words).texts.values()) == [text]
    assert not asked_of(which, ["-e", str(text)]).texts


def test_links_out_of_the_scripts_folder(python: Path, tmp_path: Path) -> None:
    """Who wrote a script gets nothing of its user's by a link with a module's name."""
    secret = _write(tmp_path / "secret/key.py", "SECRET").parent
    _write(tmp_path / "app/inner.py")
    text = _write(tmp_path / "app/app.py", "import key, secret, pair, inner, near\n")
    (text.parent / "key.py").symlink_to(secret / "key.py")
    (text.parent / "secret").symlink_to(secret)
    (text.parent / "pair").mkdir()
    (text.parent / "pair/key.py").symlink_to(secret / "key.py")
    (text.parent / "near.py").symlink_to("inner.py")
    _, found, _ = _packed(python, {"/app/app.py": text})
    assert {each for each in found.added if each.startswith("/app")} == {
        "/app/inner.py",
        "/app/near.py",
    }


@pytest.mark.parametrize(
    ("program", "words", "modules"),
    [
        ("python3.9", ["-c", "import yaml.x as y, a; from b.c import d"], ("a", "b", "yaml")),
        ("python3.9", ["-IBc", "import yaml", "import no"], ("yaml",)),
        ("python3.9", ["-Ximporttime", "-cimport yaml"], ("yaml",)),
        ("python3.9", ["-c", "try: import a\nexcept: b = __import__('c')"], ("a", "c")),
        ("python3.9", ["-mpytest", "-c", "import no"], ("pytest",)),
        ("python3.9", ["x.py", "-c", "import no"], ()),
        ("perl", ["-we", "use A::B qw(c); require D;", "-MF=g,h", "-M-i"], ("A::B", "D", "F", "i")),
        ("perl", ["-lane", "use parent -norequire, qw(X Y::Z); use 5.1", "-I", "x"], ("X", "Y::Z")),
        ("perl", ["-pi.e", "use.pl", "-e", "use A"], ()),
        ("ruby3.1", ["-e", "require 'json'"], ()),
    ],
)
def test_modules_of_words(
    tmp_path: Path, program: str, words: list[str], modules: tuple[str, ...]
) -> None:
    """What is to be run may be a word itself, which names modules as a text does."""
    which = known(_write(tmp_path / program))
    assert which is not None
    assert asked_of(which, words).wants == Wants(modules)


@pytest.mark.parametrize(("word", "alone"), [("-S", True), ("-IS", True), ("-s", False)])
def test_alone(tmp_path: Path, word: str, alone: bool) -> None:
    """With -S, wherever it stands, a Python looks at nothing that is installed."""
    which = known(_write(tmp_path / "python3.9"))
    assert which is not None
    assert asked_of(which, [word, "-c", "import x"]).wants == Wants(("x",), alone=alone)
    assert not asked_of(which, ["x.py", word]).wants.alone


def test_words_are_followed(python: Path, tmp_path: Path) -> None:
    """A module that a word names is packed, and what that names."""
    top, found, _ = _packed(python, {}, Wants(("yaml", "json", "absent")))
    installed = _below(top, tmp_path / "home/lib/python3/dist-packages")
    assert installed == {"yaml/__init__.py", "yaml_more.abi3.so"}
    assert any("yaml, which what is run names" in each for each in found.why)


def test_nothing_installed_is_followed(python: Path, tmp_path: Path) -> None:
    """With -S a module is looked for beside the script alone."""
    text = _write(tmp_path / "d/app.py", "import yaml, helper\n")
    _write(tmp_path / "d/helper.py", "import other\n")
    top, _, _ = _packed(python, {"/sub/app.py": text}, Wants(("yaml",), alone=True))
    assert _below(top, Path("/sub")) == {"helper.py"}
    assert not _below(top, tmp_path / "home/lib/python3/dist-packages")


def test_modules_of_perl(tmp_path: Path) -> None:
    """By all of their name, with what is compiled of them, beside the script and installed."""
    home = tmp_path / "home"
    which = known(tmp_path / "perl")
    assert which is not None
    _write(home / which.landmark)
    program, library = _write(home / "bin/perl"), home / "lib/x86_64-linux-gnu/perl/5.36"
    _write(library / "A/B.pm", "use A::More;\n=pod\n\nuse A::Prose;\n\n=cut\n__END__\nuse A::Data;")
    for each in ("A/B/Inner.pm", "A/B/readme", "auto/A/B/B.so", "A/More.pm", "A.pm", "auto/A/A.so"):
        _write(library / each)
    for each in ("A/Prose.pm", "A/Data.pm"):
        _write(library / each)
    text = _write(tmp_path / "d/x.pl", "use strict; use Own;\n{ require A::B }\n")
    _write(tmp_path / "d/lib/Own.pm", "use parent 'Own::Base';")
    _write(tmp_path / "d/lib/Own/Base.pm")
    top, found, _ = _packed(program, {"/x.pl": text})
    packed = {"A/B.pm", "A/B/Inner.pm", "auto/A/B/B.so", "A/More.pm"}
    assert _below(top, library) == packed
    assert _below(top, Path("/lib")) == {"Own.pm", "Own/Base.pm"}
    assert [each.rpartition("/")[2] for each in found.objects] == ["B.so"]


def test_beside_under_a_link(tmp_path: Path) -> None:
    """What lies beside a script is laid where its folder leads, as /lib does."""
    top = folder(b"")
    layers = Layers(top, Finder(False), host=False)
    link = Node(b"lib", stat.S_IFLNK | 0o777, TIME, 7, partial(put_content, b"usr/lib"))
    top.children[b"lib"] = link
    top.children[b"usr"] = folder(b"usr")
    top.children[b"usr"].children[b"lib"] = folder(b"lib")
    assert layers.lay("/lib/a/x.py", str(_write(tmp_path / "x.py")))
    assert list(top.files()) == ["/usr/lib/a/x.py"]


def test_java(tmp_path: Path) -> None:
    """Its machine and its settings, which lie beside it, and nothing of its compiler's."""
    home = tmp_path / "jvm"
    for each in ("bin/java", "lib/modules", "lib/server/libjvm.so", "lib/src.zip", "lib/ct.sym"):
        _write(home / each)
    _write(home / "conf/security/java.security")
    _write(home / "jmods/java.base.jmod")
    top, found, _ = _packed(home / "bin/java")
    there = ("lib/modules", "lib/server/libjvm.so", "conf/security/java.security")
    assert {each for each in _below(top, home) if "." in each or each in there} == set(there)
    assert f"{home}/lib/server/libjvm.so" in found.objects
