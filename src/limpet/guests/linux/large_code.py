"""Constants of a Linux program that can be run, beside its code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from limpet.contract.pages import LARGE_PAGE, PAGE
from limpet.formats.image import Access
from limpet.guests.linux.place import PlacedProgram
from limpet.plain import quoted
from limpet.planning.large_code import Run, run_as_well
from limpet.planning.options import Options
from limpet.planning.plan import Decision
from limpet.planning.regions import NOTHING, Region, part

WHY = "the program's constants, which can be run as well: 2 MiB are one page with its code"


def beside_code(
    regions: Iterable[Region], program: PlacedProgram, options: Options
) -> tuple[Run, ...]:
    """The constants of ``program`` that a large page of its code would have, ascending.

    A bundle for one backend has them in its file beside that code.  What is loaded later has none:
    few guests come to it.
    """
    own = program.regions[-1].end
    runs = (
        (each.address, each.end, each.access)
        for each in regions
        if each.address < own and each.late is None and each.host == NOTHING
    )
    return tuple(run_as_well(runs)) if len(options.backends) == 1 else ()


def with_code(regions: Iterable[Region], runs: Sequence[Run]) -> Iterator[Region]:
    """``regions``, where these ``runs`` of constants can be run."""
    for region in regions:
        at = region.address
        for first, end in runs:
            low, high = max(first, at), min(end, region.end)
            if low < high:
                yield from part(region, at, low)
                can_run = replace(region, access=region.access | Access.EXECUTE, why=WHY)
                yield from part(can_run, low, high)
                at = high
        if at == region.address:
            yield region
        else:
            yield from part(region, at, region.end)


def run_bytes(regions: Iterable[Region], runs: Sequence[Run]) -> bytes:
    """All that the program can run where constants are among that: what is an instruction may begin
    in one of them and end in the other."""
    if not runs:
        return b""
    ends = {at for run in runs for at in run}
    return b"".join(
        each.content or b""
        for each in regions
        if Access.EXECUTE in each.access and (each.why == WHY or {each.address, each.end} & ends)
    )


def large_pages(runs: Iterable[Run], program: PlacedProgram, *, strict: bool) -> Iterator[Decision]:
    """What each such piece costs, or what is left out for it."""
    pieces: dict[int, int] = {}
    for low, high in runs:
        piece = low // LARGE_PAGE * LARGE_PAGE
        pieces[piece] = pieces.get(piece, 0) + (high - low) // PAGE
    for piece, count in pieces.items():
        what = f"{count} pages of constants of {quoted(_name_at(program, piece))}"
        why = (
            f"--strict: {what}, beside its code, cannot be run"
            if strict
            else f"{what} can be run, beside its code (--strict: none)"
        )
        yield Decision("large page", f"{piece:#x}", not strict, why)


def _name_at(program: PlacedProgram, at: int) -> str:
    """Whose memory is there."""
    paths = (each.known.path for each in program.objects if each.first <= at < each.end)
    return next(paths, program.image.name)
