"""A start that is cached looks at little, and never runs what is stale without a word."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpet.errors import BuildError, PlanError, TimeLimit
from limpet.loading import seen
from limpet.loading.interpreters import known
from limpet.sandbox import bundles, looked
from limpet.sandbox.exchange import Limits
from limpet.sandbox.executor import SandboxExecutor
from limpet.sandbox.looked import Looked
from limpet.sandbox.packages import check_packed, modules_of
from limpet.sandbox.pool import Pool
from limpet.sandbox.prepared import Prepared
from limpet.sandbox.recipe import Recipe
from limpet.sandbox.sandbox import Sandbox
from limpet.tools.cache import Cache


class Kept:
    """Texts and one entry, as the cache has them."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def text(self, name: str) -> str | None:
        """What was put."""
        return self.texts.get(name)

    def put_text(self, name: str, text: str) -> None:
        """Put it."""
        self.texts[name] = text

    def held(self, name: str) -> str:
        """As if it were there."""
        return name


class Timed:
    """Stands in for a timer: the test says when its time has come."""

    waiting: Callable[[], None] | None = None

    def __init__(self, _: float, call: Callable[[], None]) -> None:
        Timed.waiting = call

    def start(self) -> None:
        """Nothing yet."""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A file of the library's, one of a package's in it, and one elsewhere."""
    monkeypatch.setattr("limpet.sandbox.looked.threading.Timer", Timed)
    monkeypatch.setattr("limpet.sandbox.looked._looking", {})
    monkeypatch.setattr("limpet.sandbox.looked.own_files", lambda: "same")
    monkeypatch.setattr(bundles, "_library", lambda _: str(tmp_path / "library"))
    found = {
        "own": tmp_path / "library" / "os.py",
        "package": tmp_path / "library" / "site-packages" / "p.py",
        "other": tmp_path / "elsewhere" / "q.py",
    }
    for path in found.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    return found


def kept_of(tmp_path: Path, paths: dict[str, Path], at: float) -> Kept:
    """A cache in which all of these were looked at."""
    cache = Kept()
    found = {str(each): seen.state_of(str(each)) for each in paths.values()}
    pattern = f"{seen.GLOB}{tmp_path}/library/site-packages/*/*.toml"
    found[pattern] = seen.state_of(pattern)
    cache.texts["seen-1"] = seen.written(found)
    fields = {"bundle": "bundle-1", "seen": "1", "own": "same", "looked": at, "python": "p"}
    Looked(cache, "words", {**fields, **bundles._shown(found, Path("p"))}).keep()  # type: ignore[arg-type]
    return cache


def bundle(cache: Any) -> Any:
    """What a start takes."""
    Timed.waiting = None
    found = Looked.kept(cache, "words")
    return found.bundle if found and found.is_same() else "anew"


def come() -> None:
    """The time of what waits."""
    assert Timed.waiting
    Timed.waiting()


def test_all_the_same(tmp_path: Path, paths: dict[str, Path]) -> None:
    """It starts at once; what is looked at later holds for a minute."""
    cache = kept_of(tmp_path, paths, 0)
    assert bundle(cache) == "bundle-1"
    come()
    assert bundle(cache) == "bundle-1" and not Timed.waiting


@pytest.mark.parametrize("name", ["package", "other"])
def test_an_edited_package(tmp_path: Path, paths: dict[str, Path], name: str) -> None:
    """In its place, so that no folder shows it: it is seen before the start."""
    cache = kept_of(tmp_path, paths, 0)
    paths[name].write_text("22")
    assert bundle(cache) == "anew" and not Timed.waiting


def test_an_edited_library(tmp_path: Path, paths: dict[str, Path]) -> None:
    """It is said right after the start, and the next one has it."""
    cache = kept_of(tmp_path, paths, 0)
    paths["own"].write_text("22")
    assert bundle(cache) == "bundle-1"
    with pytest.warns(RuntimeWarning, match="have changed since it was packed"):
        come()
    assert bundle(cache) == "anew"


def test_a_cache_that_is_only_read(
    tmp_path: Path, paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be noted: that is no error, and what has changed is said nevertheless."""
    cache = kept_of(tmp_path, paths, 0)

    def refuse(name: str, _: str) -> None:
        raise BuildError(f"{name}: the cache cannot be written")

    monkeypatch.setattr(cache, "put_text", refuse)
    assert bundle(cache) == "bundle-1"
    come()
    paths["own"].write_text("22")
    assert bundle(cache) == "bundle-1"
    with pytest.warns(RuntimeWarning, match="the next ones as well, .* cannot be written"):
        come()


def test_no_thread(tmp_path: Path, paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """None can be started by a program that is ending: it is looked at right away."""
    cache = kept_of(tmp_path, paths, 0)

    def refuse(_: Timed) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(Timed, "start", refuse)
    paths["own"].write_text("22")
    with pytest.warns(RuntimeWarning, match="have changed since it was packed"):
        assert bundle(cache) == "bundle-1"
    assert bundle(cache) == "anew"


def test_what_was_thrown_out(tmp_path: Path, paths: dict[str, Path]) -> None:
    """Nobody knows any more what was looked at: the next start makes it anew, without a word."""
    cache = kept_of(tmp_path, paths, 0)
    assert bundle(cache) == "bundle-1"
    del cache.texts["seen-1"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        come()
    assert bundle(cache) == "anew"


@pytest.mark.parametrize("text", ["", "{", "\0\0", "[1]"])
def test_a_damaged_note(tmp_path: Path, paths: dict[str, Path], text: str) -> None:
    """It says nothing, and is written again."""
    cache = kept_of(tmp_path, paths, 1e12)
    cache.texts[looked._name_of("words")] = text
    assert bundle(cache) == "anew"


def test_a_new_file(tmp_path: Path, paths: dict[str, Path]) -> None:
    """Its folder shows it at once."""
    cache = kept_of(tmp_path, paths, 1e12)
    other = paths["own"].with_name("new.py")
    other.write_text("")
    os.replace(other, paths["own"])
    assert bundle(cache) == "anew"


def test_a_pattern_of_folders(tmp_path: Path, paths: dict[str, Path]) -> None:
    """What a package's pattern matches below folders that nobody has looked at."""
    (paths["package"].parent / "q").mkdir()
    cache = kept_of(tmp_path, paths, 0)
    assert bundle(cache) == "bundle-1"
    (paths["package"].parent / "q" / "new.toml").touch()
    assert bundle(cache) == "anew"


def test_another_recipe(tmp_path: Path, paths: dict[str, Path]) -> None:
    """One whose words have the same sum is not taken for this one."""
    cache = kept_of(tmp_path, paths, 1e12)
    (text,) = [text for name, text in cache.texts.items() if name.startswith("sandbox-")]
    cache.texts[looked._name_of("others")] = text
    assert Looked.kept(cache, "words") and not Looked.kept(cache, "others")  # type: ignore[arg-type]


def test_packages_by_what_pip_calls_them(tmp_path: Path) -> None:
    """Which modules are meant is read from what was installed, and nothing of it is run."""
    python = tmp_path / "bin" / "python3.11"
    python.parent.mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    python.symlink_to(os.path.realpath(sys.executable))
    which = known(python)
    assert which
    told = tmp_path / which.environment / "learn_kit-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: Learn-kit\nVersion: 1.0\n")
    files = "klearn/__init__.py", "_k.cpython-39-x86_64-linux-gnu.so", "learn_kit.libs/a.so"
    (told / "RECORD").write_text("".join(f"{each},,\n" for each in (*files, "../bin/x", "a.txt")))
    found = modules_of(["learn.kit", "Learn-Kit", "json", "klearn.tree"], python, which)
    assert found == ("_k", "klearn", "_k", "klearn", "json", "klearn.tree")
    with pytest.raises(PlanError, match="has no module learn-kid"):
        modules_of(["learn-kid"], python, which)


def test_packages_that_are_installed_where_they_are_written(tmp_path: Path) -> None:
    """Their names are told, or are those of the folder that the environment names."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    python = tmp_path / "bin" / "python3.11"
    python.symlink_to(os.path.realpath(sys.executable))
    which = known(python)
    assert which
    site = tmp_path / which.environment
    for name, beside in (("A.Told", ()), ("own_name", ("tests", "own_name")), ("b-c", ("tests",))):
        low = name.lower().replace(".", "_").replace("-", "_")
        told = site / f"{low}-1.0.dist-info"
        told.mkdir(parents=True)
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (told / "RECORD").write_text(f"{low}.pth,,\n__editable___{low}_finder.py,,\n")
        for each in ("its_name", *beside):
            (tmp_path / low / each).mkdir(parents=True)
        (tmp_path / low / "setup.py").touch()
        (site / f"{low}.pth").write_text(f"import os\n{tmp_path / low}\n/nowhere\n")
    (site / "a_told-1.0.dist-info" / "top_level.txt").write_text("first\nsecond\nnot/this\n")
    assert modules_of(["a-told", "A_Told"], python, which) == ("first", "second") * 2
    assert modules_of(["Own.Name", "b_c"], python, which) == ("own_name", "its_name")


def test_what_was_only_looked_for_is_not_there(tmp_path: Path) -> None:
    """A pattern that matched nothing has its module's name."""
    with pytest.raises(PlanError, match="has no module nonesuch"):
        check_packed(["nonesuch"], {"*/somewhere/nonesuch.*": "of nothing"}, tmp_path)
    check_packed(["there", "sys"], {"/somewhere/there.py": "of it"}, tmp_path)


def test_an_environment_is_its_python(tmp_path: Path) -> None:
    """As --python takes it."""
    made = Recipe.of(backend="process", python=str(tmp_path), packages=(), warm="", memory=64 << 20)
    assert made.interpreter == tmp_path / "bin" / "python"


def test_packages_are_of_the_environment_that_runs_this(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without packages nothing of it counts, so that all have one bundle."""
    monkeypatch.setattr(sys, "prefix", "/environment")
    monkeypatch.setattr(sys, "executable", "/environment/bin/python")
    given: dict[str, Any] = {"backend": "process", "python": "", "warm": "", "memory": 64 << 20}
    made = Recipe.of(packages=["numpy"], **given)
    assert str(made.interpreter) == "/environment/bin/python"
    assert Recipe.of(packages=(), **given).python == ""


def test_code_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for what is to be warm: its option is named."""
    monkeypatch.setattr(bundles, "LONGEST_WARM", 1)
    made = Recipe.of(
        backend="process", python="", packages=(), warm="while True: pass", memory=64 << 20
    )
    with pytest.raises(TimeLimit, match="warm: its code has not come to its end within 1 sec"):
        bundles.made(made, Cache(tmp_path))


def test_arguments() -> None:
    """What is no size and no time is said."""
    for given in ({"wall": -1}, {"cpu": "1"}, {"output": -1}, {"wall": float("nan")}):
        with pytest.raises(PlanError, match="is no limit"):
            Limits(**given)
    with pytest.raises(PlanError, match="an executor takes a pool, and not int"):
        SandboxExecutor(4)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="and not int"):
        Pool(4)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="memory: '1G' is no number of bytes"):
        Recipe.of(backend="process", python="", packages=(), warm="", memory="1G")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="backend: 'docker' is no backend"):
        Recipe.of(backend="docker", python="", packages=(), warm="", memory=1)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="warm: 5 is no text"):
        Recipe.of(backend="process", python="", packages=(), warm=5, memory=1)  # type: ignore[arg-type]
    others: dict[str, Any] = {"python": 5, "packages": None, "files": {"/a": 5}}
    for name, other in others.items():
        with pytest.raises(PlanError, match=f"{name}: .*(5|None)"):
            Sandbox(backend="process", **{name: other})
    made = Recipe.of(backend="process", python="", packages=(), warm="", memory=64 << 20)
    for files in (["/a"], {5: b""}):
        with pytest.raises(PlanError, match=r"files: .* has no paths"):
            Prepared(made, Limits(), files, {})  # type: ignore[arg-type]
    for wrong, said in (
        ("numpy", "is not a list"),
        (["a b"], "'a b' is no module"),
        (["-x"], "-x"),
    ):
        with pytest.raises(PlanError, match=said):
            Recipe.of(backend="process", python="", packages=wrong, warm="", memory=64 << 20)
