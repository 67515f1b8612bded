"""Features of a monitor: each a folder, any two build together, none makes a hidden call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import limpet
from limpet import contract
from limpet.arch.x86_64.host import REQUESTS
from limpet.contract import BACKENDS, Backend
from limpet.contract.limits import EXIT_MOST, LINE_MOST, STDERR
from limpet.errors import PlanError, ToolchainError
from limpet.formats.memory import Memory
from limpet.guests.linux.terminal import TERMINAL
from limpet.planning.explain import as_text
from limpet.planning.features import Feature, features
from limpet.sources import C_ROOT, MONITOR_INCLUDES, MONITOR_ROOT
from limpet.tools.toolchain import compile_object
from tests.support import unikernels
from tests.support.bundles import Maker
from tests.support.caches import seeded
from tests.support.large import large
from tests.support.proved import (
    CHOSEN_ENDS,
    CHOSEN_PORTS,
    CHOSEN_UDP,
    DATAGRAMS,
    ENDPOINTS,
    NAMES,
    PUBLISHED,
    THREADS,
    UDP_ENDPOINTS,
)
from tests.support.sources import SOCKETS

OPTIONAL = [each for each in features() if each.optional]
OPENS = """
#include <fcntl.h>
#include <sys/ioctl.h>
int main(int n, char **a) { return open(a[0], n) + ioctl(0, n, a); }
"""
REMOVES = """
#include <fcntl.h>
#include <unistd.h>
int main(int n, char **a) { return open(a[0], n) + unlink(a[n]); }
"""
DATA = "int data[100000] = {1}; int main(int n, char **a) { (void)a; return data[n]; }\n"
GIVEN = "fd:3:80", "fd:web:80/udp"
NOTHING = "int main(void) { return 0; }\n"
FLAGS = ["-Os", "-DLIMPET_MONITOR=1", *MONITOR_INCLUDES]

LIMITS = [
    limpet.Options(timeout=timeout, max_output=output, cpu=cpu)
    for timeout, output, cpu in product((0, 1500), (0, 4096), ("v2", "v3"))
] + [
    limpet.Options(
        max_output=4096,
        strict=True,
        features=("help", "tender", "report", "gdb", "dumpcore", "starter"),
    ),
    limpet.Options(features=(TERMINAL,)),
    limpet.Options(max_output=4096, features=(TERMINAL,)),
]
DEVICES: list[tuple[str, ...]] = [(), ("block:a",), ("net:b",), ("block:a", "net:b")]


def linux(make: Maker, backends: tuple[Backend, ...]) -> Iterator[limpet.Plan]:
    """A program with every choice of limits, each beside two of devices, and one with threads."""
    guest = limpet.load(make.compile(OPENS, "opens"))
    threads = limpet.load(make.compile_folder(THREADS))
    for number, options in enumerate(LIMITS):
        for devices in (DEVICES[number % 4], DEVICES[(number + number // 4 + 1) % 4]):
            yield limpet.plan(guest, replace(options, devices=devices, backends=backends))
        yield limpet.plan(threads, replace(options, backends=backends))
    yield limpet.plan(
        threads,
        limpet.Options(
            features=("timers", "signals", "jit", "rights", "trace", "shown"), backends=backends
        ),
    )
    volume = limpet.Options(devices=("volume:/v",), backends=backends)
    yield limpet.plan(guest, volume)
    yield limpet.plan(limpet.load(make.compile(REMOVES, "removes")), volume)
    sockets = limpet.load(make.compile(SOCKETS, "sockets"))
    for strict in (False, True):
        options = limpet.Options(strict=strict, backends=backends)
        yield limpet.plan(sockets, replace(options, publish=PUBLISHED))
        yield limpet.plan(sockets, replace(options, connect=ENDPOINTS))
        yield limpet.plan(sockets, replace(options, connect=(*ENDPOINTS, *NAMES)))
        yield limpet.plan(sockets, replace(options, connect=NAMES, log="log"))
        yield limpet.plan(sockets, replace(options, publish=DATAGRAMS, connect=UDP_ENDPOINTS))
        yield limpet.plan(sockets, replace(options, publish=DATAGRAMS, connect=NAMES, log="log"))
        yield limpet.plan(sockets, replace(options, publish=PUBLISHED, log="log"))
        yield limpet.plan(sockets, replace(options, publish=GIVEN))
        yield limpet.plan(sockets, replace(options, publish=GIVEN, devices=("volume:/v",)))
    options = replace(volume, publish=(*GIVEN, *CHOSEN_PORTS), connect=CHOSEN_ENDS)
    yield limpet.plan(sockets, replace(options, features=("help",)))
    options = limpet.Options(publish=("ask=5353:53/udp",), connect=CHOSEN_UDP, backends=backends)
    yield limpet.plan(sockets, replace(options, strict=True))
    data = limpet.load(make.compile(DATA, "data"))
    yield limpet.plan(data, limpet.Options(timeout=1500, words=("a", "b"), backends=backends))
    if len(backends) == 1:  # as every snapshot
        stopped = replace(guest, memory=Memory((), hot=((4096, 8192), (16384, 20480))))
        kept = limpet.Options(snapshot=True, features=("rewind", "starter"), backends=backends)
        yield limpet.plan(stopped, kept)
        kept = replace(kept, features=("rewind", "signals"), cpu="v3", max_output=4096)
        yield limpet.plan(replace(threads, memory=Memory(())), kept)


def solo5(folder: Path, target: str) -> Iterator[limpet.Plan]:
    """A unikernel with and without devices, with every choice of limits."""
    for devices, options in product((False, True), LIMITS):
        inner = folder / str(devices)
        inner.mkdir(exist_ok=True)
        yield limpet.plan(limpet.load(unikernels.build(inner, target, devices=devices)), options)


def compiled(plan: limpet.Plan, folder: Path) -> None:
    """The monitor of ``plan``, warnings being errors."""
    for name, text in (*plan.sources.items(), ("contract.h", contract.c_header())):
        (folder / name).write_text(text)
    compile_object(folder / "monitor.c", folder / "monitor.o", flags=FLAGS, include=folder)


def named(plan: limpet.Plan, included: bool) -> set[str]:
    """The features that are in, or out."""
    return {d.name for d in plan.decisions if d.subject == "feature" and d.included == included}


@pytest.mark.parametrize(
    "kind", ["kvm", "process", pytest.param("both", marks=large), "hvt", "spt"]
)
def test_every_choice_of_features_builds(make: Maker, tmp_path: Path, kind: str) -> None:
    """For every kind of guest, each choice of two features beside each other, where it can be."""
    backends: dict[str, tuple[Backend, ...]] = {"kvm": ("kvm",), "process": ("process",)}
    if kind in ("hvt", "spt"):
        plans = list(solo5(tmp_path, kind))
    else:
        plans = list(linux(make, backends.get(kind, BACKENDS)))
    for plan in plans:
        compiled(plan, tmp_path)
        assert named(plan, True) | named(plan, False) == {each.name for each in OPTIONAL}
    inside = set().union(*(named(plan, True) for plan in plans))
    unikernel = {"attend", "broker", "closed_descriptors", "jit", "rights", "signals", "slots"}
    unikernel |= {"shown", "log", "namer", "porter", "sockets", "tables", "tick", "timers", "trace"}
    unikernel |= {"broken_pipes", "chosen", "inherited", "volumes", "words"}
    never = {"hvt": unikernel, "spt": unikernel}.get(kind, set())
    if kind not in ("kvm", "hvt"):
        never = never | {"kvm_required"}
    if kind == "kvm":
        never = never | {"namer", "shown"}
    if kind not in ("kvm", "process"):
        never = never | {"hot_pages"}
    if kind not in ("kvm", "process"):
        never = never | {"rewind"}
    if kind in ("process", "spt"):
        never = never | {"extended_state", "tables", "large_data", "gdb", "dumpcore"}
    never = never | ({"terminal", "large_data"} if kind in ("hvt", "spt") else {"tender"})
    if kind != "hvt":
        never = never | {"protection_keys", "frames"}
    assert inside == {each.name for each in OPTIONAL} - never


def _files(feature: Feature) -> list[Path]:
    folder = MONITOR_ROOT / ("features" if feature.optional else "") / feature.name
    return sorted(folder.glob("*.[ch]"))


@pytest.mark.parametrize("feature", OPTIONAL, ids=lambda feature: feature.name)
def test_a_feature_declares_what_it_calls(feature: Feature) -> None:
    """Its C makes the declared system calls and requests, and its TOML declares no other."""
    text = "".join(path.read_text() for path in _files(feature))
    for shared in re.findall(r'#include "(core/(?!monitor\.h)\w+\.h)"', text):
        text += (MONITOR_ROOT / shared).read_text()
    own = [each for each in feature.hosts if not each.traced]
    assert {each.host.call for each in own} == {
        name.lower() for name in re.findall(r"\bNR_(\w+)", text)
    }
    declared = {name for each in own for name in each.requests}
    assert declared == {name for name in REQUESTS if re.search(rf"\b{name}\b", text)}
    assert all(each.host.why for each in feature.hosts)


def test_an_undeclared_call_does_not_compile(make: Maker, tmp_path: Path) -> None:
    """A monitor has the numbers of what its parts declare, and no others."""
    plan = limpet.plan(limpet.load(make.compile(NOTHING, "nothing")))
    made = plan.sources["monitor.c"]
    compiled(plan, tmp_path)
    for call in ("host3(NR_EXECVE, 0, 0, 0);", "host3(NR_SETITIMER, 0, 0, 0);"):
        changed = made.replace("    prepare(stack);\n", f"    prepare(stack);\n    {call}\n")
        with pytest.raises(ToolchainError, match="undeclared identifier 'NR_"):
            compiled(replace(plan, sources={**plan.sources, "monitor.c": changed}), tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_of_a_feature_are_declared(make: Maker, backend: Backend) -> None:
    """Behind the filter an alarm may do what timeout's TOML says; on kvm that adds nothing."""
    guest = limpet.load(make.compile(NOTHING, "nothing"))
    plain = limpet.plan(guest, limpet.Options(backends=(backend,))).filters[backend]
    timed = limpet.plan(guest, limpet.Options(backends=(backend,), timeout=9)).filters[backend]
    more = [rule for rule in timed.rules if rule not in plain.rules]
    if backend == "kvm":
        assert not more
        return
    line, end = more
    assert (line.call, line.label) == ("write", "host_timeout_write")
    assert (end.call, end.label) == ("exit_group", "host_timeout_exit_group")
    assert line.pins[0].values == (STDERR,) and line.pins[2].max == LINE_MOST
    assert end.pins[0].max == EXIT_MOST


def test_explain_names_features(make: Maker) -> None:
    """Those in and those out, each with its reason."""
    guest = limpet.load(make.compile(NOTHING, "nothing"))
    text = as_text(limpet.plan(guest, limpet.Options(timeout=9)))
    inside, outside = text.partition("\nfeatures in\n")[2].split("\nfeatures out\n")
    assert re.search(r"timeout +--timeout is given", inside)
    assert re.search(r"output_limit +no --max-output", outside)


def test_a_feature_that_is_not_there(make: Maker) -> None:
    """Nor can one be asked for by name that comes by itself."""
    guest = limpet.load(make.compile(NOTHING, "nothing"))
    for name in ("no_such", "timeout"):
        with pytest.raises(PlanError, match=f"no such feature: {name}"):
            limpet.plan(guest, limpet.Options(features=(name,)))
    for words in (("a=b",), ("a=1", "a=2"), ("A b",), ("a=-1",), ("",)):
        with pytest.raises(PlanError, match="a feature cannot be asked for with"):
            limpet.plan(guest, limpet.Options(features=words))
    with pytest.raises(PlanError, match="the feature report takes no number"):
        limpet.plan(guest, limpet.Options(features=("report=3",)))


# --- a new feature ---------------------------------------------------------------------------

GREETING = """\
summary = "Says hello before the guest starts."
when = ["asked"]
in = "it is asked for"
out = "it is not asked for"

[[file]]
source = "greeting.c"

[[hook]]
at = "prepared"
call = "greet()"

[[constant]]
name = "GREETINGS"

[[host]]
call = "write"
why = "the greeting"
phase = "before"

[[host]]
call = "getpid"
why = "who greets"
phase = "before"
"""

GREETING_C = """\
static void greet(void) {
    for (u64 i = 0; i < GREETINGS && host3(NR_GETPID, 0, 0, 0) > 0; i++)
        host3(NR_WRITE, STDERR, (long)"hello\\n", 6);
}
"""

GREETED = b"hello\n"

USE = """\
import sys
from pathlib import Path
import limpet
from limpet.audit.inspect import audit
from limpet.audit.verify import verify
guest = limpet.load(sys.argv[1])
for features in ((), ("greeting=3",)):
    for backend in ("kvm", "process"):
        options = limpet.Options(backends=(backend,), features=features)
        bundle = limpet.build(limpet.plan(guest, options))
        path = Path(sys.argv[2]) / "bundle"
        bundle.write(path)
        done = limpet.run(path)
        calls = {name for call in audit(path).calls for name in call.calls}
        print(done.status, done.stderr, "getpid" in calls, audit(path).findings, verify(path).same)
"""


def test_a_new_feature_is_a_folder(make: Maker, tmp_path: Path) -> None:
    """One more folder in a copy of Limpet: it builds, runs, is audited and verified."""
    package = tmp_path / "src" / "limpet"
    shutil.copytree(C_ROOT.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "c" / "monitor" / "features" / "greeting"
    folder.mkdir()
    (folder / "feature.toml").write_text(GREETING)
    (folder / "greeting.c").write_text(GREETING_C)
    program = make.compile(NOTHING, "nothing")
    argv = [sys.executable, "-c", USE, str(program), str(tmp_path)]
    own = {"PYTHONPATH": str(package.parent), "LIMPET_CACHE": str(seeded(tmp_path / "cache"))}
    done = subprocess.run(argv, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    plain = "0 b'' False () True"
    greeted = f"0 {3 * GREETED!r} True () True"
    assert done.stdout.splitlines() == [plain, plain, greeted, greeted]
