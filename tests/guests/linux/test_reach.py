"""What part.toml declares, against what the library OS's compiled code reaches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from limpet.formats.manifest import KINDS
from limpet.guests.linux import library
from limpet.guests.linux.parts import (
    CORE_HYPERCALLS,
    Reach,
    SystemCall,
    file_kinds,
    served,
)
from limpet.tools.cache import Cache
from tests.support.reach import Objects, Reached, file_operations

CORE_ENTRIES = ("syscall_serve", "start_program", "trap_kvm", "trap_process")
"""What the assembly calls, whatever the program's system calls are."""

OPERATIONS = {name for kind in file_kinds() for name in kind.operations}


@pytest.fixture(scope="module")
def objects() -> Iterator[Objects]:
    """The library OS as it is compiled for every guest."""
    with library.objects(Cache.default()) as known:
        yield Objects(known)


def beyond_core(names: set[str] | tuple[str, ...]) -> set[str]:
    """Without the hypercalls that every guest has."""
    return set(names) - set(CORE_HYPERCALLS)


def described(found: Reached) -> tuple[set[str], set[str], set[str]]:
    """Hypercalls, operations and kinds of file as part.toml declares them."""
    there = {kind.name for kind in file_kinds() if kind.at_start} | set(KINDS.values())
    known = {kind.name for kind in file_kinds()}
    return beyond_core(found.hypercalls), found.uses & OPERATIONS, (found.tables & known) - there


def agree(found: Reached, declared: Reach) -> None:
    """Both directions; a hypercall that every guest has may be left out."""
    hypercalls, uses, makes = declared.hypercalls, declared.uses, declared.makes
    assert described(found) == (beyond_core(hypercalls), set(uses), set(makes))
    assert set(hypercalls) <= found.hypercalls


def test_reader_sees_the_tables(objects: Objects) -> None:
    """Each kind that is declared is a table; the members are those of the structure."""
    assert {kind.name for kind in file_kinds()} < set(objects.operations())
    assert file_operations()[:4] == ("read", "write", "pread", "pwrite")
    assert set(file_operations()) > OPERATIONS


@pytest.mark.parametrize("call", served().values(), ids=lambda call: call.name)
def test_system_call(objects: Objects, call: SystemCall) -> None:
    """A system call reaches the hypercalls, operations and kinds of file that it declares."""
    agree(objects.function(f"sys_{call.name}"), call.reach)
    if call.lesser:
        agree(objects.function(f"sys_{call.lesser.function}"), call.lesser.reach)
        assert call.lesser.reach != call.reach


def test_operations_of_files(objects: Objects) -> None:
    """An operation reaches the hypercalls that its kind declares; an undeclared one none."""
    declared = {kind.name: kind.operations for kind in file_kinds()}
    for kind, operations in objects.operations().items():
        for name, found in operations.items():
            agree(found, Reach(declared.get(kind, {}).get(name, ()), (), ()))
        assert set(declared.get(kind, ())) <= set(operations)


def test_core(objects: Objects) -> None:
    """What every guest has reaches what every guest has, and opens nothing."""
    for name in CORE_ENTRIES:
        found = objects.function(name)
        assert not beyond_core(found.hypercalls), name
        assert not found.uses and not found.tables, name
    reached = set.union(*(objects.function(name).hypercalls for name in CORE_ENTRIES))
    assert reached == set(CORE_HYPERCALLS)
