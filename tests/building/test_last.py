"""A bundle that is made from the last one is the one that is made from nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import limpet
from limpet.building.last import Last, last_of
from limpet.cli import exchanged
from limpet.cli.job import Job, Packing
from limpet.contract.pages import PAGE, align_up
from limpet.formats import elf
from limpet.loading.files import pack
from limpet.tools.cache import Cache
from limpet.tools.progress import silent
from tests.support.bundles import Maker, execute, need
from tests.support.command import Cli
from tests.support.edited import PROGRAM, SCRIPT, Project, made


@dataclass(frozen=True)
class Base:
    """A bundle of the project as it was, and what is kept of it."""

    project: Project
    path: Path
    last: Last

    def exchanged(self, folder: Path) -> Path | None:
        """The bundle of the project as it is now, if it can be made from that one."""
        changed, path = self.last.changed(self.project.python), folder / "exchanged"
        return path if changed and changed.write(self.path, path) else None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("last")
    project = made(folder)
    bundle = limpet.build(project.job().plan(silent))
    bundle.write(folder / "base")
    return Base(project, folder / "base", last_of(bundle.plan, "base", project.python))


@pytest.fixture
def project(base: Base) -> Project:
    """Everything as it was when the bundle was made, but for times."""
    base.project.reset()
    return base.project


def longer(project: Project) -> None:
    """By what moves the files behind, in all three, one after an editor's manner."""
    new = project["new"]
    new.write_text(SCRIPT + "# more\n" * 3)
    new.rename(project["app.py"])
    project["helper.py"].write_text("x = 1\n" + "y = 2\n" * 900)
    project["data"].write_bytes(bytes(range(256)) * 33)


def shorter(project: Project) -> None:
    """Down to nothing, with other rights."""
    project["app.py"].write_text("import late,helper")
    project["app.py"].chmod(0o600)
    project["data"].write_text("")
    project["deep"].write_text("")


def over_a_page(project: Project) -> None:
    """The script has pages of its own then; the module only has another time."""
    project["app.py"].write_text(SCRIPT + "#" * 20_000)
    os.utime(project["helper.py"])


@pytest.mark.parametrize("edit", [longer, shorter, over_a_page])
def test_same_bytes(
    base: Base, project: Project, edit: Callable[[Project], None], tmp_path: Path
) -> None:
    """Where only texts have changed nothing is planned, and the bytes are those of a plan."""
    edit(project)
    path = base.exchanged(tmp_path)
    assert path and path.read_bytes() == limpet.build(project.job().plan(silent)).data
    names = ("app.py", "helper.py", "data")
    ran = execute(["python3.9", *(f"/{name}" for name in names)], path)
    assert ran.stdout == b"".join(project[name].read_bytes() for name in names)


def test_over_another(base: Base, project: Project, tmp_path: Path) -> None:
    """The same bytes are there where the file was one made so, larger or smaller, and is kept."""
    path, own = tmp_path / "made", None
    for edit in longer, shorter, over_a_page, shorter:
        project.reset()
        edit(project)
        changed = base.last.changed(project.python)
        before = path.stat().st_ino if own else None
        assert changed
        own = changed.write(base.path, path, own)
        assert own and before in (None, path.stat().st_ino)
        assert path.read_bytes() == limpet.build(project.job().plan(silent)).data


def _another_module(project: Project) -> None:
    project["app.py"].write_text("import helper, late, more\n")


def _module_of_a_module(project: Project) -> None:
    project["helper.py"].write_text("import other\n")


def _module_that_appears(project: Project) -> None:
    project["late.py"].write_text("")


def _module_that_goes(project: Project) -> None:
    project["helper.py"].unlink()


def _link(project: Project) -> None:
    project["app.py"].rename(project["other.py"])
    project["app.py"].symlink_to("other.py")


def _link_to_a_module(project: Project) -> None:
    project["helper.py"].rename(project["other.py"])
    project["helper.py"].symlink_to("other.py")


def _object(project: Project) -> None:
    project["data"].write_bytes(project.python.read_bytes()[:4000])


def _more_library(project: Project) -> None:
    project["home/lib/python3.9/new.py"].write_text("")


def _more_room(project: Project) -> None:
    project["data"].write_bytes(b"more" * 100_000)


def _moved_objects(project: Project) -> None:
    project["deep"].write_bytes(b"more" * 2000)


def _page_of_an_object(project: Project) -> None:
    """The writer would take the object's segment from there."""
    libc = Path("/lib/x86_64-linux-gnu/libc.so.6").read_bytes()
    header = elf.Header.unpack(libc)
    rows = (
        elf.ProgramHeader.unpack(libc, header.phoff + at * elf.PROGRAM_SIZE)
        for at in range(header.phnum)
    )
    constants = [each for each in rows if each.kind == elf.PT_LOAD and each.flags == elf.PF_R][1]
    project["data"].write_bytes(libc[constants.offset : constants.offset + PAGE])


@pytest.mark.parametrize(
    "edit",
    [
        _another_module,
        _module_of_a_module,
        _module_that_appears,
        _module_that_goes,
        _link,
        _link_to_a_module,
        _object,
        _more_library,
        _more_room,
        _moved_objects,
        _page_of_an_object,
    ],
)
def test_planned_anew(
    base: Base, project: Project, edit: Callable[[Project], None], tmp_path: Path
) -> None:
    """What may change more than the files is not made from the last bundle."""
    assert base.exchanged(tmp_path)
    edit(project)
    (tmp_path / "exchanged").unlink()
    assert not base.exchanged(tmp_path)


def test_a_small_tree(make: Maker, tmp_path: Path) -> None:
    """Where the program is larger than its tree, it is not looked for there; nor in it the tree."""
    program, data = make.compile(PROGRAM, "small"), tmp_path / "data"
    data.write_bytes(b"a" * 5000)
    options = limpet.Options(backends=("process",))
    job = Job.given(program, options, Packing(given={"/data": data}))
    bundle = limpet.build(job.plan(silent))
    bundle.write(tmp_path / "base")
    last = last_of(bundle.plan, "base", program)
    data.write_bytes(b"b" * 4999)
    changed = last.changed(program)
    assert changed and changed.write(tmp_path / "base", tmp_path / "made")
    assert (tmp_path / "made").read_bytes() == limpet.build(job.plan(silent)).data
    assert execute(["small", "data"], tmp_path / "made").stdout == data.read_bytes()


def _prints(folder: Path) -> Path:
    """A dynamic program that is no interpreter."""
    (folder / "prints.c").write_text(PROGRAM)
    gcc = need(Path(shutil.which("gcc") or "/usr/bin/gcc"), "gcc libc6-dev")
    subprocess.run([gcc, "-O1", "-o", folder / "prints", folder / "prints.c"], check=True)
    return folder / "prints"


def test_other_names(tmp_path: Path) -> None:
    """Other files that the command line names, in the same folders, are exchanged as well."""
    program = _prints(tmp_path)
    texts = {name: tmp_path / name for name in ("data", "A", "zz-longer-name", "lib64")}
    for name, path in texts.items():
        path.write_text(f"{name}\n" * 900)

    def job(*names: str) -> Job:
        given = {name: texts[name.rpartition("/")[2]] for name in names}
        options = limpet.Options(backends=("process",))
        return Job.given(program, options, Packing(given=given))

    first = job("/data", "/sub/data")
    bundle = limpet.build(first.plan(silent))
    bundle.write(tmp_path / "base")
    last, made = last_of(bundle.plan, "base", program), tmp_path / "made"
    for others in (("/zz-longer-name", "/sub/A"), ("/A", "/sub/data")):
        changed = last.others(program, job(*others).packing.given)
        assert changed and changed.write(tmp_path / "base", made)
        assert made.read_bytes() == limpet.build(job(*others).plan(silent)).data
    assert execute(["prints", "/A"], made).stdout == texts["A"].read_bytes()
    for names in ["/data"], ["/data", "/A", "/sub/A"], ["/data", "/other/data"]:
        assert not last.others(program, job(*names).packing.given)
    taken = last.others(program, job("/lib64", "/sub/data").packing.given)
    assert taken and not taken.write(tmp_path / "base", made)
    shutil.copy(program, texts["A"])
    assert not last.others(program, job("/A", "/sub/data").packing.given)


def test_a_tree_within(make: Maker, tmp_path: Path) -> None:
    """Where the tree stands in the program, byte by byte, there is no other place to change."""
    data = tmp_path / "data"
    data.write_bytes(b"a" * 5000)
    tree = bytearray(pack(None, {"/data": data}).data)
    numbers = ",".join(map(str, tree.ljust(align_up(len(tree), PAGE), b"\0")))
    more = f"const unsigned char more[1 << 19] __attribute__((aligned(4096))) = {{{numbers}}};\n"
    used = "int main(int count, char **words) { *(volatile char *)more;"
    source = more + PROGRAM.replace("int main(int count, char **words) {", used)
    program, options = make.compile(source, "within"), limpet.Options(backends=("process",))
    job = Job.given(program, options, Packing(given={"/data": data}))
    for first, then in (("a", "b"), ("b", "a")):
        data.write_text(first * 5000)
        bundle = limpet.build(job.plan(silent))
        last = last_of(bundle.plan, "base", program)
        bundle.write(tmp_path / f"base{first}")
        data.write_text(then * 5000)
        changed = last.changed(program)
        assert changed and not changed.write(tmp_path / f"base{first}", tmp_path / "made")


def test_touched_library(tmp_path: Path) -> None:
    """No time that a user can set hides a change."""
    project = made(tmp_path)
    library = project["home/lib/python3.9/os.py"]
    last, before = last_of(project.job().plan(silent), "x", project.python), library.stat()
    assert last.changed(project.python)
    library.write_text("# A LIBRARY\n")
    os.utime(library, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not last.changed(project.python)


@pytest.mark.parametrize("text", ["", "{", "[]", "[1, 2, 3, 4, 5]", '["a", "b", "c", [[1]], []]'])
def test_damaged(text: str) -> None:
    """What was kept is not believed to be whole."""
    assert Last.parse(text) is None


def test_another_kind(project: Project) -> None:
    """What is kept is not found for other options, other names, or another program."""
    outline = project.keys().outline
    project["app.py"].write_text("#")
    assert project.keys().outline == outline
    (project["new.py"]).write_text("#")
    assert project.keys(script="new.py").outline != outline
    assert project.keys(memory=64 << 20).outline != outline


def _command(project: Project, folder: Path) -> Callable[[], str]:
    """``limpet build`` of the project to ``folder / "made"``, which returns what was said."""
    limpet_ = Cli(folder, folder)
    limpet_.env["LIMPET_CACHE"] = str(Cache.default().root)
    files = (f"{path}:{name}" for name, path in project.job().packing.files.items())
    words: list[str | Path] = ["-v", "build", "--backend", "process", project.python, "-o", "made"]
    words += [word for each in files for word in ("--file", each)]
    return lambda: limpet_(*words).stderr


def test_command(project: Project, tmp_path: Path) -> None:
    """A command makes the bundle so, and anew when the last one is gone."""
    build = _command(project, tmp_path)
    assert "built in" in build()
    with project.built().bundle(Cache.default()) as made:
        last = made.path.parent
    for text, quick in (("import helper, late\n", True), ("import late, helper #\n", False)):
        project["app.py"].write_text(text)
        assert ("only texts have changed" in build()) is quick
        assert execute(["python3.9", "/app.py"], tmp_path / "made").stdout == text.encode()
        shutil.rmtree(last, ignore_errors=True)


def test_written_once(project: Project, tmp_path: Path) -> None:
    """Where it is put, not into the cache: what asks again, or for one to run, has the same."""
    build, cache = _command(project, tmp_path), Cache.default()
    build()
    project["app.py"].write_text("import helper, late # once\n")
    assert "only texts have changed" in build()
    content = (tmp_path / "made").read_bytes()
    assert "only texts have changed" in build()
    assert (tmp_path / "made").read_bytes() == content
    with project.built().bundle(cache) as made:
        assert made.path.read_bytes() == content
    (tmp_path / "made").unlink()
    assert "built in" not in build()
    assert (tmp_path / "made").read_bytes() == content
    assert os.listdir(tmp_path) == ["made"]


def test_a_note_that_is_torn(tmp_path: Path) -> None:
    """What does not say itself that it is whole is none: its pages would be anybody's."""
    old, folder = tmp_path / "old", tmp_path / "folder"
    for each in (old, folder):
        each.mkdir()
    (old / exchanged.BUNDLE).write_bytes(b"")
    note = exchanged._with_sum(json.dumps(["base 1 2", 4096, 8192]))
    for torn in (note[:-3] + "]", note.replace("8192", "8193"), note.partition("\n")[2], ""):
        (old / exchanged._OWN).write_text(torn)
        assert exchanged._taken(old, folder, "base 1 2") is None
    (old / exchanged._OWN).write_text(note)
    assert exchanged._taken(old, folder, "base 1 2") == [4096, 8192]
