"""Whole bundles as an enemy writes them, with Limpet's own writer: findings or one error, soon.

What is changed is inside: the record, the filter, the packed files, the code, the segments.  Bytes
changed at random would mostly be refused for their form.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.audit.inspect import audit
from limpet.cli.audit import command
from limpet.cli.verify import command as verify
from limpet.contract import Backend
from limpet.errors import LimpetError
from limpet.formats.bundle.read import read_bundle
from limpet.formats.bundle.write import RECORD_SECTION, Load, write
from tests.support.audited import EVERY
from tests.support.bundles import Made, Maker

OPENS = "#include <fcntl.h>\nint main(int n, char **a) { return open(a[0], n); }\n"
MOST_SECONDS = 20
"""For one audit, on a machine that does much else."""

VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 5, 63, 64, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 47, 1 << 63),
    *((1 << 64) - 1, 1 << 64, 10**40, 1.5, "", "x", "within", "sector", "last", "exit_group"),
    *("\x1b[2J", "a\nFINDING   b", "\ud800", "é" * 300, "0" * 64, [], {}, [[]], [0, 0], [1, 2, 3]),
]


@dataclass(frozen=True)
class Parts:
    """A bundle to be written again."""

    entry: int
    loads: tuple[Load, ...]
    record: Any
    guest: bytes
    filters: tuple[tuple[int, int], ...]  # address and bytes

    @classmethod
    def of(cls, path: Path) -> Parts:
        """A bundle's."""
        bundle = read_bundle(path)
        loads = tuple(
            Load(p.name, p.address, p.memory_size, bundle.content(p), p.flags) for p in bundle.parts
        )
        record = json.loads(bundle.section(RECORD_SECTION) or b"")
        found = tuple((f.address, 8 * f.instructions) for f in audit(path).filters)
        return cls(bundle.entry, loads, record, bundle.packed_guest or b"", found)

    def written(self) -> bytes:
        """Its bytes."""
        text = json.dumps(self.record, sort_keys=True, separators=(",", ":")).encode()
        return write(self.entry, self.loads, text, self.guest)


Changed = Callable[[st.DataObject, Parts], Parts]


def _record(data: st.DataObject, parts: Parts) -> Parts:
    """A value of the record is another, missing, or there many times."""
    record = copy.deepcopy(parts.record)
    at: Any = record
    while True:
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return parts
        key = data.draw(st.sampled_from(keys))
        deeper = isinstance(at[key], dict | list) and at[key]
        if not deeper or data.draw(st.integers(0, 3)) == 0:
            break
        at = at[key]
    kind = data.draw(st.integers(0, 5))
    if kind == 0:
        del at[key]
    elif kind == 1 and isinstance(at, list):
        at += [at[key]] * data.draw(st.sampled_from([1, 64, 5000]))
    else:
        at[key] = data.draw(st.sampled_from(VALUES))
    return replace(parts, record=record)


def _bytes(data: st.DataObject, parts: Parts, low: int, high: int) -> Parts:
    """Some bytes of memory between two addresses are others."""
    at = data.draw(st.integers(low, max(low, high - 9)))
    content = data.draw(st.binary(min_size=1, max_size=8))
    loads = []
    for load in parts.loads:
        changed = bytearray(load.content)
        if load.address <= at < load.address + len(changed):
            where = at - load.address
            changed[where : where + len(content)] = content
        loads.append(replace(load, content=bytes(changed[: len(load.content)])))
    return replace(parts, loads=tuple(loads))


def _filter(data: st.DataObject, parts: Parts) -> Parts:
    address, size = data.draw(st.sampled_from(parts.filters))
    return _bytes(data, parts, address, address + size)


def _code(data: st.DataObject, parts: Parts) -> Parts:
    return _bytes(data, parts, parts.entry, parts.entry + 3000)


def _tree(data: st.DataObject, parts: Parts) -> Parts:
    tree = parts.record.get("tree")
    address = tree.get("address") if isinstance(tree, dict) else None
    return _bytes(data, parts, address, address + 400) if type(address) is int else parts


def _anywhere(data: st.DataObject, parts: Parts) -> Parts:
    load = data.draw(st.sampled_from(parts.loads))
    return _bytes(data, parts, load.address, load.address + min(len(load.content), 16384))


def _segment(data: st.DataObject, parts: Parts) -> Parts:
    index = data.draw(st.integers(0, len(parts.loads) - 1))
    loads = list(parts.loads)
    loads[index] = replace(
        loads[index],
        flags=data.draw(st.integers(0, 7)),
        name=data.draw(st.sampled_from([loads[index].name, "devices", "monitor", "\x1b[1m"])),
    )
    return replace(parts, loads=tuple(loads))


CHANGES: tuple[Changed, ...] = (_record, _record, _filter, _code, _tree, _anywhere, _segment)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tree."""
    root = tmp_path_factory.mktemp("root")
    (root / "etc").mkdir()
    (root / "etc" / "motd").write_text("welcome\n")
    return root


@EVERY
def test_hostile_bundles(make: Maker, backend: Backend, root: Path, tmp_path: Path) -> None:
    """No change leads to anything but findings or one error, within seconds and on plain lines."""
    devices = ("block:data", "net:wire")
    made = make(make.compile(OPENS, "opens"), backend, root=root, devices=devices, timeout=9000)
    _hold_against_changes(made, tmp_path / "enemy", 60)


THREADS = """
#include <pthread.h>
#include <termios.h>
static void *nothing(void *x) { return x; }
int main(int n, char **a) {
    pthread_t thread;
    struct termios modes = {0};
    return pthread_create(&thread, 0, nothing, a) + tcsetattr(n, 0, &modes);
}
"""


@EVERY
def test_hostile_bundles_of_more(make: Maker, backend: Backend, tmp_path: Path) -> None:
    """The same of threads, a terminal, and shared objects with places of their own."""
    program = make.compile(THREADS, "threads", compiler="gcc")
    made = make(program, backend, features=("terminal",), memory=64 << 20)
    _hold_against_changes(made, tmp_path / "enemy", 10)


def _hold_against_changes(made: Made, path: Path, examples: int) -> None:
    parts, runner = Parts.of(made.path), CliRunner()
    assert read_bundle(made.path).data == parts.written()

    @settings(max_examples=examples, deadline=None, database=None)
    @given(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3), st.data())
    def change(changes: list[Changed], data: st.DataObject) -> None:
        changed = parts
        for each in changes:
            changed = each(data, changed)
        path.write_bytes(changed.written())
        started = time.monotonic()
        done = runner.invoke(command, ["--read-only", str(path)], standalone_mode=False)
        assert time.monotonic() - started < MOST_SECONDS
        if done.exception and not isinstance(done.exception, LimpetError | SystemExit):
            raise done.exception
        assert done.exit_code in (1, 3, 6)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.output)

    change()


def _hypercall(record: Any, name: str) -> None:
    record["hypercalls"].append(name)


def _feature(record: Any, name: str) -> None:
    record["options"]["features"].append(name)


@EVERY
@pytest.mark.parametrize("say", [_hypercall, _feature], ids=["hypercall", "feature"])
def test_a_record_of_what_is_not_there(
    make: Maker, backend: Backend, say: Callable[[Any, str], None], tmp_path: Path
) -> None:
    """What the record alone has is one error or a difference, by each command that reads it."""
    parts, path = Parts.of(make(make.compile(OPENS, "opens"), backend).path), tmp_path / "enemy"
    for name in ("terminal", "no such thing", "\x1b[2J\n"):
        record = copy.deepcopy(parts.record)
        say(record, name)
        path.write_bytes(replace(parts, record=record).written())
        for each in (command, verify):
            done = CliRunner().invoke(each, [str(path)], standalone_mode=False)
            if not isinstance(done.exception, LimpetError):
                assert isinstance(done.exception, SystemExit), (name, each, done)
                assert done.exit_code in (1, 3, 6), (name, each, done)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.output)
