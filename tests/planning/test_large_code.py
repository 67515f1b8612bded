"""Which constants a virtual machine can run beside code: few, and nothing that is written."""

from __future__ import annotations

import pytest

from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.formats.image import Access
from limpet.planning.large_code import Rights, run_as_well

READ, CODE, WRITE = Access.READ, Access.READ | Access.EXECUTE, Access.READ | Access.WRITE
LOW, END = 2 * LARGE_PAGE, 5 * LARGE_PAGE


def laid(*runs: tuple[int, Access], at: int = LOW) -> list[Rights]:
    """Runs of so many pages, one behind the other; rights of nothing are a hole."""
    found = []
    for pages, access in runs:
        if access:
            found.append((at, at + pages * PAGE, access))
        at += pages * PAGE
    return found


@pytest.mark.parametrize(("before", "runs"), [(31, True), (128, True), (129, False), (700, False)])
def test_few_constants_before_code(before: int, runs: bool) -> None:
    """A quarter of the first 2 MiB at most."""
    found = list(run_as_well(laid((before, READ), (1536 - before, CODE))))
    assert found == ([(LOW, LOW + before * PAGE)] if runs else [])


@pytest.mark.parametrize(("behind", "runs"), [(128, True), (129, False)])
def test_few_constants_behind_code(behind: int, runs: bool) -> None:
    """And of the last; those in the next 2 MiB, where there is no code, are none."""
    found = list(run_as_well(laid((1536 - behind, CODE), (behind + 100, READ))))
    assert found == ([(END - behind * PAGE, END)] if runs else [])


def test_constants_on_both_sides() -> None:
    """Both count."""
    many = laid((60, CODE), (40, READ), (300, CODE), (60, READ), (1000, CODE))
    assert list(run_as_well(many)) == [
        (LOW + 60 * PAGE, LOW + 100 * PAGE),
        (LOW + 400 * PAGE, LOW + 460 * PAGE),
    ]
    many = laid((60, CODE), (70, READ), (200, CODE), (60, READ), (1000, CODE))
    assert list(run_as_well(many)) == []


@pytest.mark.parametrize("between", [Access(0), WRITE, WRITE | Access.EXECUTE])
def test_nothing_else_is_there(between: Access) -> None:
    """A hole, another object behind one, or what is written: such 2 MiB are small pages."""
    assert list(run_as_well(laid((31, READ), (5, between), (3000, CODE)))) == []
    assert list(run_as_well(laid((31, READ), (469, CODE), (5, between), (3000, CODE)))) == []


def test_in_large_pages_of_the_file() -> None:
    """Where those are small, it would be for nothing."""
    assert list(run_as_well(laid((31, READ), (992, CODE)))) == []
    assert list(run_as_well(laid((31, READ), (993, CODE))))


def test_whole_pieces_alone() -> None:
    """Code that only begins within 2 MiB has the rest of them with nothing before it."""
    assert list(run_as_well(laid((31, READ), (1500, CODE), at=LOW + PAGE))) == []
    assert list(run_as_well(laid((2000, CODE)))) == []
