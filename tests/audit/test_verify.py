"""A bundle is made again from what is inside it, anywhere, and every difference is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

import limpet
from limpet.audit.inspect import audit_bundle
from limpet.audit.reading import read_own
from limpet.audit.verify import rebuild, taken_out, verify, verify_bundle
from limpet.contract import BACKENDS, Backend
from limpet.errors import BundleError, LimpetError, VersionError
from limpet.formats.bundle import packed_guest
from limpet.formats.bundle import read as bundle_file
from limpet.formats.bundle.write import GUEST_SECTION
from limpet.tools.cache import Cache
from limpet.tools.toolchain import version
from limpet.version import __version__
from tests.support import ROOT, unikernels
from tests.support.bundle_edit import Edited
from tests.support.bundles import BUSYBOX, Maker, need
from tests.support.caches import seeded
from tests.support.command import Cli
from tests.support.sources import HELLO

pytestmark = pytest.mark.slow

EVERY = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to pack, with a link, a name that is no UTF-8, and zeros at its end."""
    root = tmp_path_factory.mktemp("tree")
    (root / "a").write_text("a\n")
    os.link(root / "a", root / "b")
    (root / "link").symlink_to("a")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("odd\n")
    (root / "zeros").write_bytes(bytes(20_000))
    return root


OPTIONS: list[dict[str, Any]] = [
    {},
    {"timeout": 1500, "max_output": 4096, "memory": 64 << 20},
    {"cpu": "v3", "rewrite": False},
    {"environment": ("A=b \udcff", "HOME")},
    {"backends": BACKENDS},
]


@EVERY
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_same(make: Maker, backend: Backend, options: dict[str, Any], tree: Path) -> None:
    """Every option, and the packed files, come back as they were."""
    made = make(make.compile(HELLO, "hello"), backend, root=tree, **options)
    verdict = verify(made.path)
    assert verdict.same, verdict.differences
    assert (verdict.limpet, verdict.toolchain) == (__version__, version())


@pytest.mark.parametrize("flags", [("-static",), ("-static-pie",), ("-static", "-s")], ids=" ".join)
def test_same_kinds(make: Maker, flags: tuple[str, ...]) -> None:
    """Fixed, position-independent and stripped programs."""
    program = make.compile(HELLO, "hello", *flags, compiler="gcc")
    assert verify(make(program, "process").path).same


@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_same_unikernels(tmp_path: Path, target: str) -> None:
    """Unikernels with devices."""
    path = tmp_path / "bundle"
    guest = limpet.load(unikernels.build(tmp_path, target, devices=True))
    limpet.build(limpet.plan(guest)).write(path)
    assert verify(path).same


@EVERY
def test_same_devices(make: Maker, backend: Backend) -> None:
    """A program with devices."""
    source = "#include <fcntl.h>\nint main(int n, char **a) { return open(a[0], n); }\n"
    made = make(make.compile(source, "opens"), backend, devices=("block:data", "net:wire"))
    assert verify(made.path).same


def test_same_large(make: Maker) -> None:
    """A real program; what the bundle keeps of its file is small."""
    program = need(BUSYBOX, "busybox-static")
    path = make(program, "kvm").path
    assert verify(path).same
    bundle = bundle_file.read_bundle(path)
    assert packed_guest.take_out(bundle) == program.read_bytes()
    assert len(bundle.packed_guest or b"") < 20_000


def test_large_files_stay_where_they_are(make: Maker, tmp_path: Path) -> None:
    """Neither an audit nor what it makes again has a copy of packed files in memory."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "data").write_bytes(os.urandom(1 << 20) * 48)
    path = make(make.compile(HELLO, "hello"), "process", root=tmp_path / "root").path
    tracemalloc.start()
    bundle = read_own(path)
    found = audit_bundle(bundle)
    assert verify_bundle(bundle).same
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.findings == () and path.stat().st_size > 48 << 20
    assert peak < 24 << 20, peak


@EVERY
def test_guest_comes_out(make: Maker, backend: Backend) -> None:
    """To the byte, and it is the same guest."""
    program = make.compile(HELLO, "hello")
    bundle = bundle_file.read_bundle(make(program, backend).path)
    assert packed_guest.take_out(bundle) == program.read_bytes()
    assert taken_out(bundle).image == limpet.load(program).image


def test_other_zlib(make: Maker) -> None:
    """A bundle whose guest another zlib packed is the same if the guest is."""
    plan = limpet.plan(limpet.load(make.compile(HELLO, "hello")))
    made = limpet.build(plan)
    plain = zlib.decompress(bundle_file.parse(made.data, "made").packed_guest or b"")
    other = limpet.build(plan, packed=zlib.compress(plain, 1))
    assert other.data != made.data
    path = make(make.compile(HELLO, "hello"), "kvm").path.with_name(f"other-{os.getpid()}")
    other.write(path)
    assert verify(path).same
    wrong = limpet.build(plan, packed=zlib.compress(plain + b"\0"))
    assert wrong.data == made.data


@EVERY
def test_every_part_is_compared(make: Maker, backend: Backend, tree: Path) -> None:
    """A byte changed anywhere: the part is named, or what it holds cannot be used."""
    path = make(make.compile(HELLO, "hello"), backend, root=tree).path
    edited = Edited(path)
    places = {part.name: part.offset + part.size - 1 for part in edited.bundle.parts}
    places |= {"headers": 0x30, "section headers": len(edited.data) - 70}
    for name, at in places.items():
        edited = Edited(path)
        edited.data[at] ^= 0x10
        try:
            verdict = verify(edited.write(path.with_name(f"changed-{os.getpid()}")))
        except BundleError as error:
            known = ("the guest's own file", "packed files", "its headers are not those")
            assert any(each in error.message for each in known), name
            continue
        assert not verdict.same
        assert name in {each.part for each in verdict.differences}, name
        assert at in {each.offset for each in verdict.differences} or name == "tree"


def test_changed_guest_is_refused(make: Maker) -> None:
    """The guest's section, and an option, in the record."""
    path = make(make.compile(HELLO, "hello"), "kvm").path
    edited = Edited(path)
    at = next(offset for name, offset, _ in edited.bundle.sections if name == GUEST_SECTION)
    edited.data[at + 40] ^= 1
    with pytest.raises(BundleError, match="the guest's own file in it is damaged"):
        verify(edited.write(path.with_name(f"changed-{os.getpid()}")))
    edited = Edited(path)
    edited.in_record(b'"memory":134217728', b'"memory":268435456')
    parts = {
        each.part
        for each in verify(edited.write(path.with_name(f"changed-{os.getpid()}"))).differences
    }
    assert {"monitor", "supervisor", "limpet.record"} <= parts


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f'"limpet":"{__version__}"', '"limpet":"9.1.0"', "made with the newer limpet 9.1.0; here"),
        (f'"limpet":"{__version__}"', '"limpet":"0.0.1"', "made with the limpet 0.0.1; here is"),
        (
            f'"{version()}"',
            f'"{version()[:-1]}9"',
            f"made with the newer toolchain {version()[:-1]}9",
        ),
        ('"rewrite":true', '"rewrote":true', "made with the option rewrote = True, which Limpet"),
        ('"timeout":0', '"timeout":[]'[:11], "its record is damaged"),
    ],
)
def test_other_tools(make: Maker, old: str, new: str, message: str) -> None:
    """What made it is named when it is not what is here."""
    path = make(make.compile(HELLO, "hello"), "kvm").path
    edited = Edited(path)
    edited.in_record(old.encode(), new.encode())
    with pytest.raises(LimpetError, match=message) as caught:
        verify(edited.write(path.with_name(f"changed-{os.getpid()}")))
    if "made with" in message:
        assert isinstance(caught.value, VersionError)


@EVERY
def test_rebuild_is_build(make: Maker, backend: Backend, tree: Path) -> None:
    """Re-bundled with other options, a guest gives the bundle that these options give."""
    program = make.compile(HELLO, "hello")
    path = make(program, backend, root=tree).path
    for changed in ({"memory": 32 << 20}, {"backends": BACKENDS}, {"cpu": "v3", "timeout": 1000}):
        wanted = make(program, backend, root=tree, **changed).path.read_bytes()
        assert rebuild(path, changed).data == wanted


def test_commands(make: Maker, tmp_path: Path) -> None:
    """verify and rebuild as a user types them."""
    cli = Cli(tmp_path, tmp_path)
    cli.env["LIMPET_CACHE"] = str(seeded(tmp_path / "cache"))
    path = make(make.compile(HELLO, "hello"), "kvm").path
    done = cli("verify", path)
    assert done.returncode == 0, done.stderr
    assert "the same, byte for byte" in done.stdout
    edited = Edited(path)
    edited.data[edited.bundle.monitor.offset + 0x1000] ^= 1
    done = cli("verify", edited.write(tmp_path / "changed"))
    assert done.returncode == 3
    assert "monitor differs: 1 bytes, the first at offset" in done.stderr
    edited = Edited(path)
    edited.in_record(f'"{__version__}"'.encode(), b'"9.1.0"')
    done = cli("verify", edited.write(tmp_path / "newer"))
    assert done.returncode == 1
    assert "limpet: try: install what made it" in done.stderr
    (tmp_path / "f").write_text("packed\n")
    done = cli("rebuild", path, "-o", "new", "--backend", "process", "--file", "f:/f")
    assert done.returncode == 0, done.stderr
    bundle = bundle_file.read_bundle(tmp_path / "new")
    assert bundle.record.options["backends"] == ("process",)
    assert bundle.record.tree and bundle.record.tree.files
    assert subprocess.run([tmp_path / "new"], env={}, capture_output=True, check=False).stdout


AS_ANOTHER_USER = ["unshare", "--user", "--map-user=1234"]


def test_anywhere(make: Maker, tmp_path: Path) -> None:
    """Another folder, cache, home, locale, time zone, mask and user make the same bytes."""
    program = make.compile(HELLO, "hello")
    here = make(program, "kvm").path
    shutil.copy(program, tmp_path / program.name)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "HOME": str(tmp_path),
        "LIMPET_CACHE": str(tmp_path / "cache"),
        "TZ": "Pacific/Auckland",
        "LANG": "C",
    }
    build = ["-m", "limpet", "build", "--backend", "kvm", "-o", "made", program.name]
    other = subprocess.run([*AS_ANOTHER_USER, "true"], check=False).returncode == 0
    done = subprocess.run(
        [*(AS_ANOTHER_USER if other else ()), sys.executable, *build],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        umask=0o27,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made").read_bytes() == here.read_bytes()
    assert verify(tmp_path / "made", Cache(seeded(tmp_path / "mine"))).same
